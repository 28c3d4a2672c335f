//! Sites that run nothing: they answer from a script, keep a record of everything that was asked of them, and fail on request.
//! The same record is what `--plan` prints.

mod answer;
mod child;
mod clock;
mod pipe;
mod place;
mod proxy;

pub use answer::{Answer, Script};
pub use clock::ManualClock;
pub use proxy::{FakeSurroundings, FakeWeb};

use crate::domain::exec::Exec;
use crate::domain::refusal::Refusal;
use crate::domain::report::Machine;
use crate::domain::site::{Attachment, ImageIdentity, ImageOrigin, SiteSpec, VolumeOf};
use crate::ports::{Clock, Events, OwnedSite, Site, Sites, Swept};
use anyhow::Result;
use place::{Attached, OwnedPlace, Place};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One thing that was asked of the sites, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A site was made.
    Opened {
        /// Its name.
        site: String,
        /// What it is for.
        purpose: String,
    },
    /// A site was attached to.
    Attached {
        /// Its name.
        site: String,
    },
    /// A command was started.
    Ran {
        /// Where.
        site: String,
        /// The command.
        exec: Exec,
        /// What it has read so far.
        stdin: Vec<u8>,
    },
    /// A site was struck or changed: `kill`, `restart`, `pause`, `resume`, `disconnect`, `reconnect`, `destroy`.
    Struck {
        /// Which.
        site: String,
        /// How.
        how: &'static str,
    },
}

enum Record {
    Done(Happening),
    Ran { site: String, exec: Exec, stdin: child::Record },
}

struct Rule {
    part: String,
    answer: Answer,
    once: bool,
}

struct Shared {
    clock: Arc<dyn Clock>,
    rules: Mutex<Vec<Rule>>,
    records: Mutex<Vec<Record>>,
    places: Mutex<Vec<Weak<Place>>>,
    containers: Mutex<Option<Refusal>>,
    otherwise: Option<Answer>,
}

/// Scripted sites.
#[derive(Clone)]
pub struct FakeSites(Arc<Shared>);

impl FakeSites {
    /// Sites that refuse every command without a scripted answer.
    pub fn strict(clock: Arc<dyn Clock>) -> Self {
        Self::new(clock, None)
    }

    /// Sites whose commands print nothing and end well unless scripted otherwise: a recorder.
    pub fn lenient(clock: Arc<dyn Clock>) -> Self {
        Self::new(clock, Some(Answer::prints("")))
    }

    fn new(clock: Arc<dyn Clock>, otherwise: Option<Answer>) -> Self {
        let (rules, records, places, containers) = Default::default();
        Self(Arc::new(Shared { clock, rules, records, places, containers, otherwise }))
    }

    /// Answers every command whose command line holds `part`; of several rules that fit, the last one counts.
    pub fn on(&self, part: &str, answer: Answer) -> &Self {
        self.rule(part, answer, false)
    }

    /// As [`FakeSites::on`], for one command only.
    pub fn once(&self, part: &str, answer: Answer) -> &Self {
        self.rule(part, answer, true)
    }

    fn rule(&self, part: &str, answer: Answer, once: bool) -> &Self {
        lock(&self.0.rules).push(Rule { part: part.to_owned(), answer, once });
        self
    }

    /// From now on there are no container sites, for this reason.
    pub fn without_containers(&self, why: Refusal) -> &Self {
        *lock(&self.0.containers) = Some(why);
        self
    }

    /// Everything that happened so far, in order.
    pub fn happenings(&self) -> Vec<Happening> {
        let told = |record: &Record| match record {
            Record::Done(happening) => happening.clone(),
            Record::Ran { site, exec, stdin } => {
                Happening::Ran { site: site.clone(), exec: exec.clone(), stdin: lock(stdin).clone() }
            }
        };
        lock(&self.0.records).iter().map(told).collect()
    }

    /// The command lines that were started, in order, as a person would type them.
    pub fn command_lines(&self) -> Vec<String> {
        let line = |record: &Record| match record {
            Record::Ran { exec, .. } => Some(exec.command_line()),
            Record::Done(_) => None,
        };
        lock(&self.0.records).iter().filter_map(line).collect()
    }

    fn place(&self, name: impl FnOnce(usize) -> String, image: Option<ImageIdentity>) -> Arc<Place> {
        let mut places = lock(&self.0.places);
        let name = name(places.len() + 1);
        let place = Arc::new(Place { name, image, shared: Arc::clone(&self.0), state: Mutex::default() });
        places.push(Arc::downgrade(&place));
        place
    }

    fn image(&self, spec: &SiteSpec) -> Result<Option<ImageIdentity>> {
        let SiteSpec::Container(container) = spec else { return Ok(None) };
        self.containers()?;
        Ok(Some(ImageIdentity {
            wanted: container.image.clone(),
            used: container.image.clone(),
            digest: format!("sha256:{}", "0".repeat(64)),
            origin: ImageOrigin::Present,
            prepared_ms: 0,
        }))
    }
}

impl Shared {
    fn answer(&self, exec: &Exec) -> Option<Answer> {
        let line = exec.command_line();
        let mut rules = lock(&self.rules);
        let Some(at) = rules.iter().rposition(|rule| line.contains(&rule.part)) else { return self.otherwise.clone() };
        if rules[at].once { Some(rules.remove(at).answer) } else { Some(rules[at].answer.clone()) }
    }

    fn note(&self, happening: Happening) {
        lock(&self.records).push(Record::Done(happening));
    }
}

impl Sites for FakeSites {
    fn containers(&self) -> Result<()> {
        lock(&self.0.containers).clone().map_or(Ok(()), |why| Err(why.into()))
    }

    fn prepare_image(&self, spec: &SiteSpec, _events: &dyn Events) -> Result<Option<ImageIdentity>> {
        self.image(spec)
    }

    fn open(&self, spec: &SiteSpec, purpose: &str) -> Result<Box<dyn OwnedSite>> {
        let image = self.image(spec)?;
        let place = self.place(|n| format!("fake-{purpose}-{n}"), image);
        self.0.note(Happening::Opened { site: place.name.clone(), purpose: purpose.to_owned() });
        Ok(Box::new(OwnedPlace(place)))
    }

    fn volume(&self, of: &VolumeOf) -> Result<PathBuf> {
        self.containers().map(|()| PathBuf::from(format!("/fake-volumes/{}", of.name)))
    }

    fn attach(&self, to: &Attachment) -> Result<Box<dyn Site>> {
        let name = match to {
            Attachment::Service { project, service } => self.containers().map(|()| format!("{project}-{service}"))?,
            Attachment::Folder(folder) => folder.display().to_string(),
            Attachment::Volume(of) => self.volume(of)?.display().to_string(),
        };
        let place = self.place(|_| name, None);
        self.0.note(Happening::Attached { site: place.name.clone() });
        Ok(Box::new(Attached(place)))
    }

    fn sweep(&self) -> Result<Swept> {
        let places: Vec<_> = lock(&self.0.places).iter().filter_map(Weak::upgrade).collect();
        let kept = places.iter().filter(|place| !lock(&place.state).gone).map(|place| place.name.clone()).collect();
        Ok(Swept { kept, ..Swept::default() })
    }

    fn abandon(&self) -> Result<()> {
        let places: Vec<_> = lock(&self.0.places).iter().filter_map(Weak::upgrade).collect();
        places.iter().for_each(|place| place.destroy());
        Ok(())
    }

    fn machine(&self) -> Machine {
        Machine { cpus: 1, platform: "fake".to_owned(), docker: None }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
