//! Running one described command at a site, with its input and output. Success needs the child's 0, a whole input and a whole
//! output; the engine is asked what a failure means.

use crate::domain::engine::{Act, Engine, Feed};
use crate::domain::event::Event;
use crate::domain::exec::{Exec, Exit};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::flow::world::World;
use crate::ports::Site;
use anyhow::{Context, Result, anyhow};
use std::io::{Read, Write};

/// Answers longer than this are refused: a command that is asked a question does not print a database.
const MOST_ANSWER: u64 = 256 << 20;
const CHUNK: usize = 256 << 10;
/// Progress is told every so many bytes.
const STEP: u64 = 4 << 20;

/// The bytes that a `Feed::Data` or `Feed::Extra` stands for: opens the plain stream and says how long it is.
pub type Opener<'a> = dyn Fn(&Feed) -> Result<(Box<dyn Read + Send>, Option<u64>)> + 'a;

/// Runs a command that reads nothing; returns what it printed.
pub fn ask(world: &World, site: &dyn Site, engine: &dyn Engine, exec: &Exec) -> Result<String> {
    run(world, site, engine, exec, None)
}

/// Carries out an act; `open` provides the artifact's bytes when the act wants them. Returns what it printed.
pub fn act(world: &World, site: &dyn Site, engine: &dyn Engine, act: &Act, open: &Opener<'_>) -> Result<String> {
    let source: Option<(Box<dyn Read + Send>, Option<u64>)> = match &act.feed {
        Feed::Nothing => None,
        Feed::Text(text) => Some((Box::new(std::io::Cursor::new(text.clone().into_bytes())), None)),
        Feed::Data | Feed::Extra(_) => Some(open(&act.feed).with_context(|| act.title.clone())?),
    };
    run(world, site, engine, &act.exec, source).with_context(|| act.title.clone())
}

/// An act that wants no artifact.
pub fn plain_act(world: &World, site: &dyn Site, engine: &dyn Engine, wanted: &Act) -> Result<String> {
    act(world, site, engine, wanted, &|_| Err(anyhow!("this act has no artifact to read")))
}

fn run(
    world: &World,
    site: &dyn Site,
    engine: &dyn Engine,
    exec: &Exec,
    source: Option<(Box<dyn Read + Send>, Option<u64>)>,
) -> Result<String> {
    let mut child = site.start(exec).with_context(|| exec.program_name().to_owned())?;
    let mut stdout = child.stdout;
    let mut answer = Vec::new();
    let (fed, read) = std::thread::scope(|scope| {
        let stdin = child.stdin.take();
        let feeder = source.map(|(from, total)| scope.spawn(move || feed(world, from, total, stdin)));
        let read = (&mut stdout).take(MOST_ANSWER + 1).read_to_end(&mut answer);
        if answer.len() as u64 > MOST_ANSWER {
            let _ = child.control.kill();
        }
        drop(stdout);
        let fed = match feeder {
            None => Fed::Whole,
            Some(thread) => thread.join().unwrap_or_else(|_| Fed::Source(anyhow!("the feeding thread panicked"))),
        };
        (fed, read)
    });
    if let Fed::Source(error) = fed {
        let _ = child.control.kill();
        return Err(error);
    }
    let exit = child.control.wait().with_context(|| exec.program_name().to_owned())?;
    if !exit.ok() {
        return Err(failure(engine, exec, &exit));
    }
    read.with_context(|| format!("{}: its output", exec.program_name()))?;
    if let Fed::Child(error) = fed {
        return Err(anyhow::Error::new(error).context(format!("{} stopped reading its input", exec.program_name())));
    }
    if answer.len() as u64 > MOST_ANSWER {
        return Err(anyhow!("{} printed more than {MOST_ANSWER} bytes", exec.program_name()));
    }
    String::from_utf8(answer).with_context(|| format!("{}: its output is not UTF-8", exec.program_name()))
}

/// How feeding a child ended.
enum Fed {
    Whole,
    /// The source failed: the child got less than everything, whatever it says.
    Source(anyhow::Error),
    /// The child did not take everything.
    Child(std::io::Error),
}

fn feed(world: &World, mut from: Box<dyn Read + Send>, total: Option<u64>, to: Option<Box<dyn Write + Send>>) -> Fed {
    let Some(mut to) = to else { return Fed::Source(anyhow!("the command takes no input")) };
    let mut chunk = vec![0; CHUNK];
    let mut progress = Progress::new(world, total);
    loop {
        let n = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Fed::Source(unwrap_io(error)),
        };
        if let Err(error) = to.write_all(&chunk[..n]) {
            return Fed::Child(error);
        }
        progress.add(n as u64);
    }
    match to.flush() {
        Ok(()) => Fed::Whole,
        Err(error) => Fed::Child(error),
    }
}

/// An `io::Error` that carries a refusal gives it back, so that its exit code and hint survive the stream.
pub fn unwrap_io(error: std::io::Error) -> anyhow::Error {
    match error.downcast::<Refusal>() {
        Ok(refusal) => refusal.into(),
        Err(error) => error.into(),
    }
}

/// A command that ended badly for no cause that the engine knows.
#[derive(Debug, thiserror::Error)]
#[error("{name}: exit {code}: {said}")]
pub struct Exited {
    name: String,
    code: i32,
    /// The end of its standard error.
    pub said: String,
}

/// What a failed command means, by the engine's knowledge.
pub fn failure(engine: &dyn Engine, exec: &Exec, exit: &Exit) -> anyhow::Error {
    let name = exec.program_name();
    if let Some(refusal) = engine.explain(exec, exit) {
        return anyhow::Error::new(refusal).context(format!("{name}: exit {}", exit.code));
    }
    let said = exit.stderr.trim();
    let said = if said.is_empty() { "it said nothing" } else { said };
    if exit.code > 128 {
        let message = format!("{name} was killed by signal {}: {said}", exit.code - 128);
        let hint = "look for an out-of-memory kill or an operator's kill on that machine, then run it again";
        return Refusal::new(RefusalKind::Producer, message, hint).into();
    }
    Exited { name: name.to_owned(), code: exit.code, said: said.to_owned() }.into()
}

/// Tells progress, not more often than every [`STEP`].
pub struct Progress<'a> {
    world: &'a World,
    total: Option<u64>,
    bytes: u64,
    told: u64,
}

impl<'a> Progress<'a> {
    /// Nothing moved yet.
    pub fn new(world: &'a World, total: Option<u64>) -> Self {
        Self { world, total, bytes: 0, told: 0 }
    }

    /// So many bytes more.
    pub fn add(&mut self, bytes: u64) {
        self.at(self.bytes + bytes);
    }

    /// So many bytes in all.
    pub fn at(&mut self, bytes: u64) {
        self.bytes = bytes;
        // Of what is small nobody wants to know how fast it was.
        let ended = Some(self.bytes) == self.total && self.bytes >= STEP;
        if self.bytes - self.told >= STEP || ended {
            self.told = self.bytes;
            self.world.events.tell(Event::Progress { bytes: self.bytes, total: self.total });
        }
    }
}
