//! What a simulated run sees of the world beside its disk: a clock that jumps, stores whose commands answer at once and go wrong on
//! request, and whoever listens. It must not know what is done with any of it.

use super::faults::{Fault, Tally};
use super::sabotage::Sabotage;
use anyhow::Result;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xtask::domain::event::Event;
use xtask::domain::exec::{Exec, Exit};
use xtask::domain::mark::Moment;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::SiteIdentity;
use xtask::ports::{Clock, Control, Events, Running, Site};

/// What every store's data holds, and no encrypted file and no message may.
pub const CANARY: &str = "canary-of-the-data-5d2f";

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct SimClock(Mutex<(Moment, jiff::Timestamp)>);

impl SimClock {
    pub fn at(wall: jiff::Timestamp) -> Self {
        Self(Mutex::new((Moment::ZERO, wall)))
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap();
        now.0 += time;
        now.1 += time;
    }

    /// Somebody sets the wall clock.
    pub fn jump(&self, hours: i64) {
        let mut now = self.0.lock().unwrap();
        now.1 += jiff::SignedDuration::from_hours(hours);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        self.0.lock().unwrap().0
    }

    fn wall(&self) -> jiff::Timestamp {
        self.0.lock().unwrap().1
    }

    fn sleep(&self, time: Duration) {
        self.pass(time);
    }
}

/// Keeps what is said.
#[derive(Debug, Default)]
pub struct Heard(pub Mutex<Vec<String>>);

impl Events for Heard {
    fn tell(&self, event: Event) {
        if let Event::Note(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

/// A store's place: it answers the commands of the engines for plain files.
pub struct SimSite {
    pub data: Vec<u8>,
    pub clock: Arc<SimClock>,
    pub tally: Arc<Tally>,
    /// What goes wrong, and at which verb.
    pub trouble: Option<(Fault, &'static str)>,
    pub fired: Arc<Mutex<bool>>,
    pub sabotage: Sabotage,
}

/// The verbs of each engine in the order of a backup, the dump last.
pub const VERBS: [(&str, &[&str]); 2] = [
    ("sqlite", &["inspect", "facts", "snapshot", "census-copy", "release", "read"]),
    ("files", &["inspect", "facts", "census-taken", "release", "dump"]),
];

impl Site for SimSite {
    fn identity(&self) -> SiteIdentity {
        SiteIdentity { name: "sim".to_owned(), kind: "fake".to_owned(), image: None }
    }

    fn start(&self, exec: &Exec) -> Result<Running> {
        let verb = exec.args.get(1).map(String::as_str).unwrap_or_default();
        let trouble = self.trouble.filter(|(_, at)| *at == verb).map(|(fault, _)| fault);
        if let Some(fault) = trouble {
            *self.fired.lock().unwrap() = true;
            self.tally.fired(fault);
        }
        let dump = matches!(verb, "read" | "dump");
        let mut said = match verb {
            "inspect" if exec.args[0] == "sqlite" => b"state=rows\n".to_vec(),
            "inspect" => b"state=files\n".to_vec(),
            "facts" => b"maker=simulator\n".to_vec(),
            "census-copy" | "census-taken" => census(&self.data).into_bytes(),
            _ if dump => self.data.clone(),
            _ => Vec::new(),
        };
        let mut exit = Exit { declared_bytes: dump.then_some(said.len() as u64), ..Exit::default() };
        let (mut breaks, mut timeout) = (false, None);
        match trouble {
            Some(Fault::ProducerExit) => (exit.code, exit.stderr) = (1, "error: something went wrong\n".to_owned()),
            Some(Fault::ProducerKilled) => exit.code = 137,
            Some(Fault::ProducerLies) => exit.declared_bytes = Some(said.len() as u64 + 1),
            Some(Fault::ProducerCut) => {
                // Half of the liars stand by their half.
                let liar = said.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) % 2 == 0;
                said.truncate(said.len() / 2);
                if liar {
                    exit.declared_bytes = Some(said.len() as u64);
                }
            }
            Some(Fault::ProducerBreaks) => {
                said.truncate(said.len() / 2);
                breaks = true;
            }
            Some(Fault::ProducerEmpty) => {
                said.clear();
                exit.declared_bytes = Some(0);
            }
            Some(Fault::ProducerTimeout) => timeout = Some(exec.timeout),
            Some(Fault::ProducerAbsent) => {
                return Err(Refusal::new(RefusalKind::MissingCapability, "no such program", "install it").into());
            }
            Some(Fault::Stall) => self.clock.pass(Duration::from_secs(540)),
            _ => {}
        }
        match self.sabotage {
            Sabotage::Exit => exit.code = 0,
            Sabotage::Length => exit.declared_bytes = None,
            _ => {}
        }
        let stdout = Box::new(Stream { bytes: Cursor::new(said), breaks });
        Ok(Running { stdin: None, stdout, control: Box::new(Ending { exit, timeout }) })
    }

    fn logs(&self, _lines: usize) -> Result<String> {
        Ok(String::new())
    }

    fn scratch(&self) -> String {
        "/scratch".to_owned()
    }
}

/// These bytes as an artifact of this engine: all of one, as far as its form says.
pub fn artifact(engine: &str, data: &[u8]) -> Vec<u8> {
    let mut whole = if engine == "sqlite" {
        let pages = (100 + data.len()).div_ceil(512) as u32;
        let mut head = b"SQLite format 3\0\x02\0\x01\x01".to_vec();
        head.resize(100, 0);
        head[24..28].copy_from_slice(&1u32.to_be_bytes());
        head[28..32].copy_from_slice(&pages.to_be_bytes());
        head[92..96].copy_from_slice(&1u32.to_be_bytes());
        head
    } else {
        let mut header = tar::Header::new_ustar();
        header.set_path("data").expect("a short name");
        header.set_size(data.len() as u64);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    whole.extend_from_slice(data);
    whole.resize(whole.len().next_multiple_of(512), 0);
    if engine != "sqlite" {
        whole.resize(whole.len() + 1024, 0);
    }
    whole
}

fn census(data: &[u8]) -> String {
    let sum = data.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!("{{\"object\":\"table main.t\",\"kind\":\"content\",\"rows\":{},\"digest\":\"{sum:x}\"}}\n", data.len())
}

struct Stream {
    bytes: Cursor<Vec<u8>>,
    breaks: bool,
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(into)? {
            0 if self.breaks => Err(io::ErrorKind::ConnectionReset.into()),
            n => Ok(n),
        }
    }
}

struct Ending {
    exit: Exit,
    timeout: Option<Duration>,
}

impl Control for Ending {
    fn wait(&mut self) -> Result<Exit> {
        match self.timeout {
            Some(after) => {
                let message = format!("it was killed after {after:?}");
                Err(Refusal::new(RefusalKind::Timeout, message, "find out what it waited for").into())
            }
            None => Ok(self.exit.clone()),
        }
    }

    fn kill(&mut self) -> Result<()> {
        self.exit.code = 137;
        Ok(())
    }
}
