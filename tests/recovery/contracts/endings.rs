//! Commands that do not end by themselves: time, kills, and readers that go away.

use super::{PATIENCE, Rig, endless, exec, kind, run};
use std::io::{Read, Write};
use std::time::Duration;
use xtask::domain::refusal::{Refusal, RefusalKind};

const SHORT: Duration = Duration::from_millis(400);

pub fn a_timeout_kills_and_is_called_one(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("sleep", &["600"]).timeout(SHORT)).unwrap();
    let error = running.control.wait().unwrap_err();
    assert_eq!(kind(&error), RefusalKind::Timeout);
    assert!(format!("{error:#}").contains("sleep"), "{error:#}");
}

pub fn a_timeout_ends_a_blocked_reader(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("sleep", &["600"]).timeout(SHORT)).unwrap();
    // The end or an error, but not for ten minutes.
    let _ = running.stdout.read_to_end(&mut Vec::new());
    assert_eq!(kind(&running.control.wait().unwrap_err()), RefusalKind::Timeout);
}

pub fn dropping_the_control_kills(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("cat", &[]).reads_stdin()).unwrap();
    drop(running.control);
    // Its input is still open, so only a kill can end it.
    let _ = running.stdout.read_to_end(&mut Vec::new());
    let stdin = running.stdin.as_mut().unwrap();
    let broken = (0..1000).any(|_| stdin.write_all(&[0; 64 * 1024]).and_then(|()| stdin.flush()).is_err());
    assert!(broken, "somebody still reads");
}

pub fn killing_ends_what_the_command_started(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("xargs", &["tail", "-f"]).reads_stdin()).unwrap();
    running.stdin.take().unwrap().write_all(b"/etc/passwd\n").unwrap();
    running.stdout.read_exact(&mut [0]).expect("the started program prints something");
    running.control.kill().unwrap();
    // It holds the output too, and never ends by itself.
    let _ = running.stdout.read_to_end(&mut Vec::new());
    assert!(!running.control.wait().unwrap().ok());
}

pub fn a_killed_command_has_not_succeeded(rig: &Rig) {
    let site = rig.open();
    let mut running = endless(site.as_site());
    running.control.kill().unwrap();
    let exit = running.control.wait().unwrap();
    assert_eq!(exit.code, 137, "{exit:?}");
}

pub fn killing_twice_is_fine(rig: &Rig) {
    let site = rig.open();
    let mut running = endless(site.as_site());
    running.control.kill().unwrap();
    running.control.kill().unwrap();
    let mut ended = site.start(&exec("true", &[])).unwrap();
    assert!(ended.control.wait().unwrap().ok());
    ended.control.kill().unwrap();
}

pub fn an_output_nobody_reads_does_not_hang(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("yes", &[])).unwrap();
    running.stdout.read_exact(&mut [0; 100]).unwrap();
    drop(running.stdout);
    match running.control.wait() {
        Ok(exit) => assert!(!exit.ok(), "it ended well"),
        Err(error) => {
            let known = error.chain().find_map(|c| c.downcast_ref::<Refusal>()).map(|r| r.kind);
            assert_ne!(known, Some(RefusalKind::Timeout), "it ended only by its timeout of {PATIENCE:?}: {error:#}");
        }
    }
}

pub fn waiting_twice_gives_the_same_answer(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("ls", &["/no-such-place"])).unwrap();
    running.stdout.read_to_end(&mut Vec::new()).unwrap();
    let first = running.control.wait().unwrap();
    assert_eq!(running.control.wait().unwrap(), first);
    let (_, exit) = run(site.as_site(), &exec("true", &[]), b"");
    assert!(exit.ok());
}
