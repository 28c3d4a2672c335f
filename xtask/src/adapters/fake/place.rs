//! One fake site. It must not know what the script says.

use super::child::{self, Child};
use super::{Happening, Record, Shared, lock};
use crate::domain::exec::Exec;
use crate::domain::site::{Capabilities, ImageIdentity, SiteIdentity};
use crate::ports::{OwnedSite, Running, Site};
use anyhow::{Context, Result, ensure};
use std::sync::{Arc, Mutex, Weak};

#[derive(Default)]
pub(super) struct State {
    /// The server was killed and not restarted.
    pub(super) down: bool,
    /// The site was destroyed.
    pub(super) gone: bool,
    children: Vec<Weak<Child>>,
}

/// A place that nothing is at.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) image: Option<ImageIdentity>,
    pub(super) shared: Arc<Shared>,
    pub(super) state: Mutex<State>,
}

impl Place {
    fn identity(&self) -> SiteIdentity {
        SiteIdentity { name: self.name.clone(), kind: "fake".to_owned(), image: self.image.clone() }
    }

    fn start(&self, exec: &Exec) -> Result<Running> {
        let site = self.name.clone();
        let stdin = child::Record::default();
        let record = Record::Ran { site, exec: exec.clone(), stdin: Arc::clone(&stdin) };
        lock(&self.shared.records).push(record);
        {
            let state = lock(&self.state);
            ensure!(!state.gone, "the site {} was destroyed", self.name);
            ensure!(!state.down, "the server at {} was killed", self.name);
        }
        let answer =
            self.shared.answer(exec).with_context(|| format!("no answer is scripted for `{}`", exec.command_line()))?;
        let (running, child) = child::start(exec, answer, Arc::clone(&self.shared.clock), stdin)?;
        lock(&self.state).children.push(Arc::downgrade(&child));
        Ok(running)
    }

    fn strike(&self, how: &'static str, change: impl FnOnce(&mut State)) -> Result<()> {
        self.shared.note(Happening::Struck { site: self.name.clone(), how });
        let mut state = lock(&self.state);
        ensure!(!state.gone, "the site {} was destroyed", self.name);
        change(&mut state);
        Ok(())
    }

    /// Ends everything here; said once.
    pub(super) fn destroy(&self) {
        let mut state = lock(&self.state);
        kill(&mut state);
        if !std::mem::replace(&mut state.gone, true) {
            self.shared.note(Happening::Struck { site: self.name.clone(), how: "destroy" });
        }
    }
}

fn kill(state: &mut State) {
    state.children.drain(..).filter_map(|c| c.upgrade()).for_each(|c| c.kill(false));
}

/// Somebody's.
pub(super) struct Attached(pub(super) Arc<Place>);

/// This run's.
pub(super) struct OwnedPlace(pub(super) Arc<Place>);

macro_rules! site {
    ($of:ty) => {
        impl Site for $of {
            fn identity(&self) -> SiteIdentity {
                self.0.identity()
            }

            fn start(&self, exec: &Exec) -> Result<Running> {
                self.0.start(exec)
            }

            fn logs(&self, _lines: usize) -> Result<String> {
                Ok(String::new())
            }

            fn scratch(&self) -> String {
                format!("/scratch/{}", self.0.name)
            }
        }
    };
}

site!(Attached);
site!(OwnedPlace);

impl OwnedSite for OwnedPlace {
    fn capabilities(&self) -> Capabilities {
        Capabilities { pause: true, network: true, server: true }
    }

    fn kill(&self) -> Result<()> {
        self.0.strike("kill", |state| {
            state.down = true;
            kill(state);
        })
    }

    fn restart(&self) -> Result<()> {
        self.0.strike("restart", |state| {
            kill(state);
            state.down = false;
        })
    }

    fn pause(&self) -> Result<()> {
        self.0.strike("pause", |_| ())
    }

    fn resume(&self) -> Result<()> {
        self.0.strike("resume", |_| ())
    }

    fn disconnect(&self) -> Result<()> {
        self.0.strike("disconnect", |_| ())
    }

    fn reconnect(&self) -> Result<()> {
        self.0.strike("reconnect", |_| ())
    }

    fn destroy(&self) -> Result<()> {
        self.0.destroy();
        Ok(())
    }

    fn as_site(&self) -> &dyn Site {
        self
    }
}

impl Drop for OwnedPlace {
    fn drop(&mut self) {
        self.0.destroy();
    }
}
