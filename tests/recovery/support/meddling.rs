//! Sites that are meddled with on purpose: a decorator over the real ones, so that a drill's judgement can be attacked without a
//! line of test code in the product.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use xtask::domain::exec::{Exec, Exit};
use xtask::domain::report::Machine;
use xtask::domain::site::{Attachment, Capabilities, ImageIdentity, SiteIdentity, SiteSpec, VolumeOf};
use xtask::ports::{Control, Events, OwnedSite, Running, Site, Sites, Swept};

/// What to do with a command that is about to start.
pub enum Meddle {
    /// Nothing.
    Let,
    /// Pretend that it ran and succeeded.
    Skip,
    /// Pretend that it ran and printed this.
    Answer(String),
    /// This was done before it; now let it run.
    Done,
}

/// Sees every command at every owned site before it starts. `purpose` is the site's (`drill`, `fresh`, `vault`).
pub type Hook = dyn Fn(&str, &dyn Site, &Exec) -> anyhow::Result<Meddle> + Send + Sync;

/// Sees every site that is opened.
type Opened = dyn Fn(&str, &dyn Site) + Send + Sync;

/// The decorator. `fired` counts the commands that were meddled with: a sabotage that never happened proves nothing.
pub struct Meddling {
    inner: Arc<dyn Sites>,
    hook: Arc<Hook>,
    fired: Arc<AtomicUsize>,
    opened: Box<Opened>,
    prepares: Box<dyn Fn() + Send + Sync>,
}

impl Meddling {
    /// Meddles by this hook.
    pub fn with(
        inner: Arc<dyn Sites>,
        hook: impl Fn(&str, &dyn Site, &Exec) -> anyhow::Result<Meddle> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            hook: Arc::new(hook),
            fired: Arc::default(),
            opened: Box::new(|_, _| ()),
            prepares: Box::new(|| ()),
        }
    }

    /// Also tells of every site that is opened.
    pub fn watching(mut self, opened: impl Fn(&str, &dyn Site) + Send + Sync + 'static) -> Self {
        self.opened = Box::new(opened);
        self
    }

    /// Also does this before an image is made ready.
    pub fn preparing(mut self, prepares: impl Fn() + Send + Sync + 'static) -> Self {
        self.prepares = Box::new(prepares);
        self
    }

    /// How often the hook meddled.
    pub fn fired(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.fired)
    }
}

struct MeddledSite {
    inner: Box<dyn OwnedSite>,
    purpose: String,
    hook: Arc<Hook>,
    fired: Arc<AtomicUsize>,
}

impl MeddledSite {
    fn pretend(&self, text: String) -> Running {
        self.fired.fetch_add(1, Ordering::SeqCst);
        Running {
            stdin: Some(Box::new(std::io::sink())),
            stdout: Box::new(std::io::Cursor::new(text)),
            control: Box::new(Pretended),
        }
    }
}

impl Site for MeddledSite {
    fn identity(&self) -> SiteIdentity {
        self.inner.identity()
    }

    fn start(&self, exec: &Exec) -> anyhow::Result<Running> {
        match (self.hook)(&self.purpose, self.inner.as_site(), exec)? {
            Meddle::Let => self.inner.start(exec),
            Meddle::Done => {
                self.fired.fetch_add(1, Ordering::SeqCst);
                self.inner.start(exec)
            }
            Meddle::Skip => Ok(self.pretend(String::new())),
            Meddle::Answer(text) => Ok(self.pretend(text)),
        }
    }

    fn logs(&self, lines: usize) -> anyhow::Result<String> {
        self.inner.logs(lines)
    }

    fn scratch(&self) -> String {
        self.inner.scratch()
    }
}

struct Pretended;

impl Control for Pretended {
    fn wait(&mut self) -> anyhow::Result<Exit> {
        Ok(Exit::default())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl OwnedSite for MeddledSite {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn kill(&self) -> anyhow::Result<()> {
        self.inner.kill()
    }
    fn restart(&self) -> anyhow::Result<()> {
        self.inner.restart()
    }
    fn pause(&self) -> anyhow::Result<()> {
        self.inner.pause()
    }
    fn resume(&self) -> anyhow::Result<()> {
        self.inner.resume()
    }
    fn disconnect(&self) -> anyhow::Result<()> {
        self.inner.disconnect()
    }
    fn reconnect(&self) -> anyhow::Result<()> {
        self.inner.reconnect()
    }
    fn destroy(&self) -> anyhow::Result<()> {
        self.inner.destroy()
    }
    fn as_site(&self) -> &dyn Site {
        self
    }
}

impl Sites for Meddling {
    fn containers(&self) -> anyhow::Result<()> {
        self.inner.containers()
    }
    fn prepare_image(&self, spec: &SiteSpec, events: &dyn Events) -> anyhow::Result<Option<ImageIdentity>> {
        (self.prepares)();
        self.inner.prepare_image(spec, events)
    }
    fn open(&self, spec: &SiteSpec, purpose: &str) -> anyhow::Result<Box<dyn OwnedSite>> {
        let inner = self.inner.open(spec, purpose)?;
        (self.opened)(purpose, inner.as_site());
        Ok(Box::new(MeddledSite {
            inner,
            purpose: purpose.to_owned(),
            hook: Arc::clone(&self.hook),
            fired: Arc::clone(&self.fired),
        }))
    }
    fn volume(&self, of: &VolumeOf) -> anyhow::Result<std::path::PathBuf> {
        self.inner.volume(of)
    }
    fn attach(&self, to: &Attachment) -> anyhow::Result<Box<dyn Site>> {
        self.inner.attach(to)
    }
    fn sweep(&self) -> anyhow::Result<Swept> {
        self.inner.sweep()
    }
    fn abandon(&self) -> anyhow::Result<()> {
        self.inner.abandon()
    }
    fn machine(&self) -> Machine {
        self.inner.machine()
    }
}
