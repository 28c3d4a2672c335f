//! SIGKILL at every step of a drill in containers: a sweep removes what the dead run left, all of it.
#![expect(clippy::disallowed_methods, reason = "the real program is run and killed at moments of its own steps")]

use crate::docker_rig::{Rig, docker};
use crate::support::wait_for;
use rustix::process::Signal;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xtask::domain::scenario::Step;
use xtask::scenarios;

const COMPOSE: &str = "\
name: killed
services:
  db:
    image: IMAGE
    environment: { POSTGRES_DB: shop, POSTGRES_USER: shop, POSTGRES_PASSWORD: only-in-a-test }
    volumes: ['db:/var/lib/postgresql/data']
volumes: { db: {} }
";

/// Everything on the engine whose owner is or was this process, one line each.
pub fn of_owner(pid: u32) -> Vec<String> {
    let line = r#"{{.Label "io.xtask.owner"}} {{.Names}}"#;
    let (volume, network) = (line.replace("Names", "Name"), line.replace("Names", "Name"));
    let lists: [&[&str]; 3] = [
        &["ps", "--all", "--format", line, "--filter", "label=io.xtask.managed=1"],
        &["volume", "ls", "--format", &volume, "--filter", "label=io.xtask.managed=1"],
        &["network", "ls", "--format", &network, "--filter", "label=io.xtask.managed=1"],
    ];
    let all = lists.iter().map(|args| docker(args).expect("docker lists"));
    let all: Vec<String> = all.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    all.into_iter().filter(|line| line.contains(&format!(":{pid}:"))).collect()
}

/// A folder with a stack of one database, a temporary folder for the tool, and the tool in both.
struct Desk {
    project: tempfile::TempDir,
    temporary: tempfile::TempDir,
}

impl Desk {
    fn new(image: &str) -> Self {
        let desk = Self { project: tempfile::tempdir().unwrap(), temporary: tempfile::tempdir().unwrap() };
        std::fs::write(desk.project.path().join("compose.yaml"), COMPOSE.replace("IMAGE", image)).unwrap();
        desk
    }

    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(words).current_dir(self.project.path()).env("TMPDIR", self.temporary.path()).stdin(Stdio::null());
        command
    }

    fn drill(&self, scenario: &str) -> Child {
        let words = ["test-recovery", "--scenario", scenario, "--size", "400kB", "--exposure", "0s", "--no-color"];
        self.program(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn left(&self) -> Vec<std::ffi::OsString> {
        std::fs::read_dir(self.temporary.path()).unwrap().map(|e| e.unwrap().file_name()).collect()
    }
}

/// Lets a drill go on for so many milliseconds, or to its end.
fn go_on(drill: &mut Child, moment: u64) {
    let deadline = Instant::now() + Duration::from_millis(moment);
    while Instant::now() < deadline && drill.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts a drill, kills it a moment after this step has ended, sweeps, and says whether there was anything to sweep.
fn killed_after(step: Option<Step>, scenario: &str, image: &str) -> bool {
    let desk = Desk::new(image);
    let mut drill = desk.drill(scenario);
    let moment = match step {
        Some(step) => {
            wait_for(&mut drill, step.title());
            fastrand::u64(0..150)
        }
        // The container is being made.
        None => fastrand::u64(300..1500),
    };
    go_on(&mut drill, moment);
    drill.kill().unwrap();
    drill.wait().unwrap();
    let left = of_owner(drill.id());
    let swept = desk.program(&["sweep"]).output().unwrap();
    let said = String::from_utf8_lossy(&swept.stdout).into_owned();
    assert!(swept.status.success(), "{said}{}", String::from_utf8_lossy(&swept.stderr));
    let at = format!("killed {moment} ms after {:?} of {scenario}", step.map(Step::title));
    assert_eq!(of_owner(drill.id()), Vec::<String>::new(), "{at}: {said}");
    assert!(desk.left().is_empty(), "{at}: {:?} {said}", desk.left());
    !left.is_empty()
}

#[test]
fn docker_a_drill_that_is_killed_at_any_step_leaves_nothing_after_a_sweep() {
    let Some(rig) = Rig::new("docker_a_drill_that_is_killed_at_any_step_leaves_nothing_after_a_sweep") else { return };
    let steps = |name: &'static str| {
        let scenario = scenarios::find(name).unwrap();
        // After the last step the run is over.
        scenario.steps.iter().rev().skip(1).map(move |step| (Some(*step), name)).collect::<Vec<_>>()
    };
    let mut moments = [steps("total-loss"), vec![(None, "total-loss")]].concat();
    let known: Vec<_> = moments.iter().map(|(step, _)| *step).collect();
    moments.extend(steps("partial-corruption").into_iter().filter(|(step, _)| !known.contains(step)));
    fastrand::shuffle(&mut moments);
    // Others the next time: all of them take two minutes. XTASK_KILLS_DOCKER says how many.
    moments.truncate(crate::faults::killed::times("XTASK_KILLS_DOCKER", 3));
    let (all, moments, something) = (moments.len(), Mutex::new(moments), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some((step, scenario)) = moments.lock().unwrap().pop() else { return };
                    something.fetch_add(usize::from(killed_after(step, scenario, &rig.image)), Ordering::SeqCst);
                }
            });
        }
    });
    // Another test may have swept between a kill and our look.
    let something = something.into_inner();
    println!("{all} kills, {something} left something");
    assert!(all > 0 && something > 0, "of {all} kills none left anything to sweep");
}

#[test]
fn docker_a_drill_that_is_interrupted_removes_everything_and_gives_no_verdict() {
    let Some(rig) = Rig::new("docker_a_drill_that_is_interrupted_removes_everything_and_gives_no_verdict") else {
        return;
    };
    let steps = scenarios::find("total-loss").unwrap().steps;
    let mut moments: Vec<usize> = (0..steps.len() - 1).collect();
    fastrand::shuffle(&mut moments);
    // Others the next time: all of them take two minutes.
    moments.truncate(3);
    let moments = Mutex::new(moments);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(number) = moments.lock().unwrap().pop() else { return };
                    let (signal, code) = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)][number % 3];
                    let desk = Desk::new(&rig.image);
                    let mut drill = desk.drill("total-loss");
                    wait_for(&mut drill, steps[number].title());
                    go_on(&mut drill, fastrand::u64(0..100));
                    let over = drill.try_wait().unwrap().is_some();
                    rustix::process::kill_process(rustix::process::Pid::from_child(&drill), signal).unwrap();
                    let ended = drill.wait().unwrap().code();
                    let at = format!("{signal:?} after `{}`", steps[number].title());
                    assert!(over || ended == Some(code), "{at}: ended with {ended:?}");
                    assert_eq!((of_owner(drill.id()), desk.left()), (vec![], vec![]), "{at}");
                    let report = desk.project.path().join("target/recovery/report.json");
                    assert!(over || !report.exists(), "{at}: a verdict of a run that was ended");
                }
            });
        }
    });
}
