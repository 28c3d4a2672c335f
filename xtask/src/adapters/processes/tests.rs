//! What is promised of host commands: their ends are known, their time is bounded, and nothing they started outlives them.

use super::*;
use crate::adapters::clock::SystemClock;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use crate::ports::Clock;
use std::time::Duration;

fn host(exec: &Exec, input: &[u8]) -> Result<Output> {
    run(exec, None, Environment::Clean, input, 4 * 1024 * 1024)
}

fn kind(error: &anyhow::Error) -> RefusalKind {
    error.chain().find_map(|c| c.downcast_ref::<Refusal>()).unwrap_or_else(|| panic!("{error:?}")).kind
}

#[test]
fn output_and_exit_status_come_back() {
    let output = host(&Exec::site("echo").args(["a b", "$(id)", "*"]), b"").unwrap();
    assert_eq!((output.stdout, output.exit.code), (b"a b $(id) *\n".to_vec(), 0));
    let output = host(&Exec::site("ls").arg("/nowhere-at-all"), b"").unwrap();
    assert!(output.exit.code != 0 && output.exit.stderr.contains("nowhere-at-all"), "{output:?}");
}

#[test]
fn input_larger_than_any_pipe_goes_through() {
    let input = vec![b'x'; 3_000_000];
    assert!(host(&Exec::site("cat").reads_stdin(), &input).unwrap().stdout == input);
    assert_eq!(host(&Exec::site("true").reads_stdin(), &input).unwrap().exit.code, 0);
}

#[test]
fn a_secret_reaches_the_environment_and_no_message() {
    let exec = Exec::site("env").secret_env("TOKEN", Secret::new("hunter2"));
    let output = String::from_utf8(host(&exec, b"").unwrap().stdout).unwrap();
    assert!(output.contains("TOKEN=hunter2"));
    let exec = Exec { program: Program::Site("no-such-program".to_owned()), ..exec };
    assert!(!format!("{:?}", host(&exec, b"").unwrap_err()).contains("hunter2"));
}

#[test]
fn a_clean_environment_holds_nothing_else() {
    let output = String::from_utf8(host(&Exec::site("env"), b"").unwrap().stdout).unwrap();
    assert!(output.lines().count() > 0);
    for line in output.lines() {
        let name = line.split('=').next().unwrap();
        assert!(KEPT.contains(&name), "{line}");
    }
    let inherited = run(&Exec::site("env"), None, Environment::Inherited, b"", 1 << 20).unwrap().stdout;
    assert!(String::from_utf8_lossy(&inherited).contains("CARGO_MANIFEST_DIR="));
}

#[test]
fn a_missing_program_is_named_with_what_to_do() {
    let error = host(&Exec::site("no-such-program"), b"").unwrap_err();
    assert_eq!(kind(&error), RefusalKind::MissingCapability);
    assert!(format!("{error:#}").contains("run no-such-program: cannot start no-such-program"), "{error:#}");
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_everything_that_it_started() {
    // xargs waits for a child of its own, which holds the same standard output.
    let exec = Exec::site("xargs").arg("sleep").reads_stdin().timeout(Duration::from_millis(300));
    assert_eq!(kind(&host(&exec, b"600").unwrap_err()), RefusalKind::Timeout);
}

#[test]
fn a_command_that_prints_too_much_is_stopped() {
    let error = run(&Exec::site("yes"), None, Environment::Clean, b"", 1000).unwrap_err();
    assert!(error.to_string().contains("more than 1000 bytes"), "{error:#}");
}

fn started(exec: &Exec) -> (crate::ports::Running, std::sync::Arc<Child>) {
    let command = command(exec, Path::new(""), None, Environment::Clean);
    start(command, exec.program_name(), exec.input, Duration::from_secs(60)).unwrap()
}

#[test]
fn death_by_signal_is_an_exit_status() {
    let (mut running, child) = started(&Exec::site("sleep").arg("600"));
    running.control.kill().unwrap();
    assert_eq!(running.control.wait().unwrap().code, 137);
    assert_eq!(running.control.wait().unwrap().code, 137, "asking twice is fine");
    assert!(child.is_over());
    running.control.kill().unwrap();
}

#[test]
fn what_a_child_leaves_behind_in_its_group_ends_with_it() {
    let (mut running, child) = started(&Exec::site("xargs").arg("sleep").reads_stdin());
    running.stdin.take().unwrap().write_all(b"600").unwrap();
    let leader = child.leader().unwrap();
    let clock = SystemClock::start();
    let children = format!("/proc/{0}/task/{0}/children", leader.as_raw_nonzero());
    while std::fs::read_to_string(&children).unwrap().is_empty() {
        assert!(clock.now() < Duration::from_secs(20), "xargs started nothing");
        clock.sleep(Duration::from_millis(2));
    }
    rustix::process::kill_process(leader, rustix::process::Signal::TERM).unwrap();
    // The sleeper holds the output open: it ends now, or the test takes ten minutes.
    assert_eq!(running.stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert_eq!(running.control.wait().unwrap().code, 128 + 15);
    assert!(clock.now() < Duration::from_secs(50));
}

#[test]
fn a_short_question_is_answered_or_refused() {
    assert_eq!(ask("echo", &["hello"]).unwrap(), "hello");
    assert!(ask("false", &[""; 0]).is_err());
    assert!(ask("no-such-program", &[""; 0]).is_err());
}
