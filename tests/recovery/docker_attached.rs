//! Attached services: commands run beside the service in a sidecar, never inside it, and nothing of ours stays.

use crate::docker_rig::{Rig, docker, random, run, said, sh};
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::Attachment;
use xtask::ports::Sites;

/// Somebody's service, as Compose would label it; removed on drop.
struct Service {
    project: String,
    id: String,
}

impl Service {
    fn start(rig: &Rig) -> Self {
        let project = format!("shop{}", random());
        let (of_project, of_service) =
            (format!("com.docker.compose.project={project}"), "com.docker.compose.service=db".to_owned());
        let labels = ["--label", &of_project, "--label", &of_service, "--label", "io.xtask.owner="];
        let command = [&rig.image, "sh", "-c", "echo somebody is here; exec sleep infinity"];
        let id = docker(&[["run", "-d", "--hostname", "theirs"].as_slice(), &labels, &command].concat()).expect("runs");
        Self { project, id }
    }

    fn attachment(&self, service: &str) -> Attachment {
        Attachment::Service { project: self.project.clone(), service: service.to_owned() }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.id]).expect("removed");
    }
}

#[test]
fn docker_commands_run_beside_the_service_in_its_network_and_never_inside() {
    let Some(rig) = Rig::new("docker_commands_run_beside_the_service_in_its_network_and_never_inside") else { return };
    let service = Service::start(&rig);
    let before = docker(&["diff", &service.id]).unwrap();
    {
        let site = rig.sites.attach(&service.attachment("db")).unwrap();
        let theirs = docker(&["exec", &service.id, "readlink", "/proc/self/ns/net", "/proc/self/ns/pid"]).unwrap();
        let ours = said(&*site, &["readlink", "/proc/self/ns/net", "/proc/self/ns/pid"]);
        assert_eq!(ours.lines().next(), theirs.lines().next(), "the network is shared");
        assert_ne!(ours.lines().nth(1), theirs.lines().nth(1), "the processes are not");
        let (_, exit) = run(&*site, sh(&format!("echo x > {}/x && echo x > /tmp/x", site.scratch())).user("postgres"));
        assert!(exit.unwrap().ok());
        assert!(said(&*site, &["cat", "/proc/self/status"]).contains("CapEff:\t0000000000000000"));
        assert_eq!(site.logs(5).unwrap().trim(), "somebody is here");
        assert_eq!(rig.left().len(), 2 + usize::from(rig.image.starts_with("postgres")), "{:?}", rig.left());
    }
    assert_eq!(rig.left(), Vec::<String>::new());
    assert_eq!(docker(&["diff", &service.id]).unwrap(), before);
    assert_eq!(
        docker(&["inspect", "--format", "{{.State.Status}} {{len .ExecIDs}}", &service.id]).unwrap(),
        "running 0"
    );
}

#[test]
fn docker_a_service_that_is_not_there_is_said_with_what_is() {
    let Some(rig) = Rig::new("docker_a_service_that_is_not_there_is_said_with_what_is") else { return };
    let service = Service::start(&rig);
    let error = rig.sites.attach(&service.attachment("cache")).err().expect("no such service");
    let refusal = error.downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.kind, RefusalKind::MissingStore);
    assert!(refusal.message.contains("it has: db"), "{}", refusal.message);
    docker(&["pause", &service.id]).unwrap();
    let error = rig.sites.attach(&service.attachment("db")).err().expect("it is paused");
    assert!(format!("{error:#}").contains("Paused"), "{error:#}");
    docker(&["unpause", &service.id]).unwrap();
}
