//! A container of our own without a network, or on a private one without a way out, with labelled volumes; made to be hurt and destroyed.
//! It must not know what runs inside.

use super::container;
use super::engine::Engine;
use super::exec;
use super::fault::{self, within};
use super::images::Prepared;
use super::mounts::{self, Volume};
use super::pipe::Pipes;
use super::removal::{self, Thing};
use crate::domain::exec::Exec;
use crate::domain::site::{Capabilities, ContainerSpec, ImageIdentity, Reach, SiteIdentity};
use crate::ports::{OwnedSite, Running, Site};
use anyhow::{Context, Result, bail};
use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, HostConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
};
use bollard::query_parameters::{KillContainerOptionsBuilder, StopContainerOptionsBuilder};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take to stop in its own good order.
const GRACE_SECONDS: i32 = 60;
/// Parallel workers of a database share memory here; the engine's own 64 MiB makes large restores fail. A limit, not a reservation.
const SHARED_MEMORY: i64 = 1 << 30;

pub(super) struct OwnedContainer {
    engine: Arc<Engine>,
    name: String,
    /// Its own, when it has one.
    network: Option<String>,
    volumes: Vec<Volume>,
    image: ImageIdentity,
    scratch: String,
    pipes: Option<Pipes>,
    destroyed: AtomicBool,
}

impl OwnedContainer {
    /// Makes the site. Every part is labelled in the call that creates it, so a death at any moment leaves only labelled things.
    pub(super) fn open(engine: &Arc<Engine>, spec: &ContainerSpec, image: Prepared, purpose: &str) -> Result<Self> {
        let docker = engine.client()?;
        let _creating = engine.creating()?;
        let name = engine.name(purpose);
        let site = Self {
            engine: engine.clone(),
            network: (spec.reach == Reach::PrivateNetwork).then(|| format!("{name}-net")),
            volumes: mounts::volumes(&name, &[("data", &spec.data), ("scratch", &spec.scratch)], &image.config),
            name,
            image: image.identity.clone(),
            scratch: spec.scratch.clone(),
            pipes: engine.pipes(),
            destroyed: AtomicBool::new(false),
        };
        // On failure `site` is dropped, which removes whatever was made.
        engine
            .run(site.create(&docker, spec, &image))
            .with_context(|| format!("open a {purpose} site from {}", site.image.used))?;
        Ok(site)
    }

    async fn create(&self, docker: &Docker, spec: &ContainerSpec, image: &Prepared) -> Result<()> {
        let labels = self.engine.identity.labels();
        if let Some(network) = &self.network {
            let request = NetworkCreateRequest {
                name: network.clone(),
                driver: Some("bridge".to_owned()),
                internal: Some(true),
                labels: Some(labels.clone()),
                ..Default::default()
            };
            within(fault::CHANGE, &format!("create the network {network}"), docker.create_network(request)).await?;
        }
        for volume in &self.volumes {
            self.engine.not_abandoned()?;
            mounts::create(docker, volume, &labels).await?;
        }
        self.engine.not_abandoned()?;
        let info = within(fault::LOOK, "ask the engine how much memory it has", docker.info()).await?;
        let body = self.body(spec, image, &labels, info.mem_total)?;
        container::create_with(&self.engine, docker, &self.name, body, self.pipes.as_ref()).await?;
        mounts::open_to_all(docker, &self.name, &self.scratch).await?;
        if spec.user.is_some() {
            // The server makes its own folder in it, and nobody there is root who could give it one.
            mounts::open_to_all(docker, &self.name, &spec.data).await?;
        }
        self.engine.not_abandoned()?;
        container::start(docker, &self.name).await
    }

    fn body(
        &self,
        spec: &ContainerSpec,
        image: &Prepared,
        labels: &HashMap<String, String>,
        memory: Option<i64>,
    ) -> Result<ContainerCreateBody> {
        let mut env = Vec::new();
        for (key, value) in
            spec.env.iter().map(|(k, v)| (k, v.as_str())).chain(spec.secret_env.iter().map(|(k, v)| (k, v.expose())))
        {
            // Checked here because the engine would repeat a malformed line, secret and all, in its error.
            anyhow::ensure!(
                !key.is_empty() && !key.contains(['=', '\0']) && !value.contains('\0'),
                "malformed environment variable `{key}`"
            );
            env.push(format!("{key}={value}"));
        }
        let host = HostConfig {
            network_mode: Some(self.network.clone().unwrap_or_else(|| "none".to_owned())),
            mounts: Some(self.volumes.iter().map(|v| mounts::mount(v, labels)).collect()),
            shm_size: Some(SHARED_MEMORY),
            // What is restored there must not cost the host its other services.
            memory: memory.filter(|all| *all > 0).map(|all| all / 4 * 3),
            // Without it the server is process 1 and inherits whatever a killed command leaves behind; PostgreSQL takes the
            // death of such a stranger for a crash of its own and goes into recovery.
            init: Some(true),
            ..container::limits()
        };
        Ok(ContainerCreateBody {
            image: Some(image.id.clone()),
            user: spec.user.clone().filter(|_| is_root(image.config.user.as_deref())),
            env: Some(env),
            cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
            labels: Some(container::labels(labels, &image.config)),
            host_config: Some(host),
            ..Default::default()
        })
    }

    fn act<F>(&self, act: impl FnOnce(Docker) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send,
    {
        if self.destroyed.load(Ordering::SeqCst) {
            bail!("the site {} is destroyed", self.name);
        }
        let docker = self.engine.client()?;
        self.engine.run(act(docker))
    }

    fn own_network(&self) -> Result<&str> {
        self.network.as_deref().with_context(|| format!("the site {} has no network", self.name))
    }

    async fn runs(&self, docker: &Docker) -> Result<bool> {
        let container =
            within(fault::LOOK, &format!("look at {}", self.name), docker.inspect_container(&self.name, None)).await?;
        Ok(container.state.and_then(|s| s.running).unwrap_or(false))
    }

    /// The answer to a kill comes before the death.
    async fn until_stopped(&self, docker: &Docker) -> Result<()> {
        let until = Instant::now() + fault::LOOK;
        while self.runs(docker).await? {
            anyhow::ensure!(
                Instant::now() < until,
                "{} still runs {} s after SIGKILL",
                self.name,
                fault::LOOK.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// Whether an image that names this user runs as root.
fn is_root(user: Option<&str>) -> bool {
    let user = user.unwrap_or_default();
    matches!(user.split(':').next(), None | Some("" | "0" | "root"))
}

impl Site for OwnedContainer {
    fn identity(&self) -> SiteIdentity {
        SiteIdentity { name: self.name.clone(), kind: "container".to_owned(), image: Some(self.image.clone()) }
    }

    fn start(&self, exec: &Exec) -> Result<Running> {
        exec::start(&self.engine, &self.name, &self.name, exec, self.pipes.as_ref())
    }

    fn logs(&self, lines: usize) -> Result<String> {
        let docker = self.engine.client()?;
        self.engine.run(container::logs(&docker, &self.name, lines))
    }

    fn scratch(&self) -> String {
        self.scratch.clone()
    }
}

impl OwnedSite for OwnedContainer {
    fn capabilities(&self) -> Capabilities {
        Capabilities { pause: true, network: self.network.is_some(), server: true }
    }

    fn kill(&self) -> Result<()> {
        self.act(|docker| async move {
            self.engine.streams.release(Some(&self.name));
            let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
            within(fault::LOOK, &format!("kill {}", self.name), docker.kill_container(&self.name, Some(options)))
                .await?;
            self.until_stopped(&docker).await
        })
    }

    fn restart(&self) -> Result<()> {
        self.act(|docker| async move {
            self.engine.streams.release(Some(&self.name));
            let options = StopContainerOptionsBuilder::default().t(GRACE_SECONDS).build();
            let stop = docker.stop_container(&self.name, Some(options)); // one that does not run is no error
            within(Duration::from_secs(90), &format!("stop {}", self.name), stop).await?;
            container::start(&docker, &self.name).await
        })
    }

    fn pause(&self) -> Result<()> {
        self.act(|docker| async move {
            within(fault::LOOK, &format!("pause {}", self.name), docker.pause_container(&self.name)).await
        })
    }

    fn resume(&self) -> Result<()> {
        self.act(|docker| async move {
            within(fault::LOOK, &format!("resume {}", self.name), docker.unpause_container(&self.name)).await
        })
    }

    fn disconnect(&self) -> Result<()> {
        let network = self.own_network()?;
        self.act(|docker| async move {
            let request = NetworkDisconnectRequest { container: self.name.clone(), force: Some(true) };
            let call = docker.disconnect_network(network, request);
            within(fault::LOOK, &format!("cut {} off its network", self.name), call).await
        })
    }

    fn reconnect(&self) -> Result<()> {
        let network = self.own_network()?;
        self.act(|docker| async move {
            let request = NetworkConnectRequest { container: self.name.clone(), ..Default::default() };
            let call = docker.connect_network(network, request);
            within(fault::LOOK, &format!("connect {} to its network", self.name), call).await
        })
    }

    fn destroy(&self) -> Result<()> {
        if self.destroyed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut parts = vec![Thing::Container(self.name.clone())];
        parts.extend(self.volumes.iter().map(|v| Thing::Volume(v.name.clone())));
        parts.extend(self.network.clone().map(Thing::Network));
        let docker = self.engine.client()?;
        self.engine.streams.release(Some(&self.name));
        self.engine
            .run(removal::remove_all(&docker, &parts))
            .with_context(|| format!("destroy the site {}", self.name))?;
        self.destroyed.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn as_site(&self) -> &dyn Site {
        self
    }
}

impl Drop for OwnedContainer {
    fn drop(&mut self) {
        // On a thread of its own: that works in any runtime and while unwinding. What cannot be removed keeps its labels
        // and is removed by the next sweep; nothing can be reported from here.
        std::thread::scope(|scope| {
            scope.spawn(|| self.destroy()).join().ok();
        });
    }
}
