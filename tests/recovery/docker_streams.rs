//! Commands in containers: every byte arrives both ways, and nothing but a true exit status counts as success.

use crate::docker_rig::{Rig, digest_of, noise, run, said, sh, write_all};
use std::io::{Read, Write};
use std::time::Duration;
use xtask::domain::exec::Exec;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::secret::Secret;
use xtask::ports::Site;

const SIZE: u64 = 64 << 20;

fn refusal(error: &anyhow::Error) -> &Refusal {
    error.downcast_ref().unwrap_or_else(|| panic!("not a refusal: {error:#}"))
}

/// Processes in the container with this number among their words; the asking ones do not match their own pattern.
fn processes(site: &dyn Site, number: &str) -> String {
    let pattern = format!("[{}]{}", &number[..1], &number[1..]);
    said(site, &["sh", "-c", &format!("grep -l '{pattern}' /proc/[0-9]*/cmdline 2>/dev/null; :")])
}

#[test]
fn docker_sixty_four_mebibytes_come_back_as_they_were_sent() {
    let Some(rig) = Rig::new("docker_sixty_four_mebibytes_come_back_as_they_were_sent") else { return };
    let site = rig.open();
    let mut running = site.start(&Exec::site("cat").reads_stdin()).unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let (sent, (length, received)) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || noise(SIZE, |block| stdin.write_all(block).unwrap()));
        let received = digest_of(&mut running.stdout);
        (writer.join().unwrap(), received)
    });
    assert_eq!((length, received), (SIZE, sent));
    assert!(running.control.wait().unwrap().ok());
}

#[test]
fn docker_the_container_sees_the_same_bytes_and_their_end() {
    let Some(rig) = Rig::new("docker_the_container_sees_the_same_bytes_and_their_end") else { return };
    let site = rig.open();
    let mut running = site.start(&Exec::site("sha256sum").reads_stdin()).unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let sent = noise(SIZE, |block| stdin.write_all(block).unwrap());
    drop(stdin);
    let mut text = String::new();
    running.stdout.read_to_string(&mut text).unwrap();
    assert_eq!(text.split_whitespace().next(), Some(sent.as_str()));
    assert!(running.control.wait().unwrap().ok());
}

#[test]
fn docker_exit_status_stderr_and_declared_bytes_are_told() {
    let Some(rig) = Rig::new("docker_exit_status_stderr_and_declared_bytes_are_told") else { return };
    let site = rig.open();
    let (text, exit) = run(site.as_site(), sh("printf out; echo oops >&2; echo xtask-declared-bytes 3 >&2; exit 7"));
    let exit = exit.unwrap();
    assert_eq!((text.as_str(), exit.code, exit.stderr.as_str(), exit.declared_bytes), ("out", 7, "oops\n", Some(3)));
}

#[test]
fn docker_carriage_returns_and_every_byte_pass_untouched() {
    let Some(rig) = Rig::new("docker_carriage_returns_and_every_byte_pass_untouched") else { return };
    let site = rig.open();
    let every: Vec<u8> = (0..=255).chain(*b"a\nb\r\nc\x03\x04\x1a").collect();
    let mut running = site.start(&Exec::site("cat").reads_stdin()).unwrap();
    write_all(running.stdin.take().unwrap(), &every);
    let mut back = Vec::new();
    running.stdout.read_to_end(&mut back).unwrap();
    assert_eq!(back, every);
}

#[test]
fn docker_a_session_answers_line_by_line() {
    let Some(rig) = Rig::new("docker_a_session_answers_line_by_line") else { return };
    let site = rig.open();
    let mut running = site.start(&sh("while read -r n; do echo ack $n; done").reads_stdin()).unwrap();
    let mut stdin = running.stdin.take().unwrap();
    for n in 1..=20 {
        writeln!(stdin, "{n}").unwrap();
        let want = format!("ack {n}\n");
        let mut got = vec![0; want.len()];
        running.stdout.read_exact(&mut got).unwrap();
        assert_eq!(got, want.as_bytes());
    }
    drop(stdin);
    assert!(running.control.wait().unwrap().ok());
}

#[test]
fn docker_a_command_that_ends_without_reading_breaks_the_writers_pipe() {
    let Some(rig) = Rig::new("docker_a_command_that_ends_without_reading_breaks_the_writers_pipe") else { return };
    let site = rig.open();
    let mut running = site.start(&sh("exit 3").reads_stdin()).unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let block = vec![0; 1 << 20];
    let error = (0..1024).find_map(|_| stdin.write_all(&block).err()).expect("a gigabyte was swallowed");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(digest_of(&mut running.stdout).0, 0);
    assert_eq!(running.control.wait().unwrap().code, 3);
}

#[test]
fn docker_a_producer_killed_half_way_is_no_success() {
    let Some(rig) = Rig::new("docker_a_producer_killed_half_way_is_no_success") else { return };
    let site = rig.open();
    let (text, exit) = run(site.as_site(), sh("head -c 1000000 /dev/zero; kill -9 $$"));
    assert_eq!(text.len(), 1_000_000);
    assert_eq!(exit.unwrap().code, 137);
}

#[test]
fn docker_a_container_killed_under_a_command_is_no_success() {
    let Some(rig) = Rig::new("docker_a_container_killed_under_a_command_is_no_success") else { return };
    let site = rig.open();
    let mut running = site.start(&Exec::site("cat").arg("/dev/zero")).unwrap();
    running.stdout.read_exact(&mut [0; 4096]).unwrap();
    site.kill().unwrap();
    std::io::copy(&mut running.stdout, &mut std::io::sink()).ok();
    let exit = running.control.wait();
    assert!(!exit.as_ref().is_ok_and(|exit| exit.ok()), "{exit:?}");
}

#[test]
fn docker_a_command_past_its_limit_is_killed_with_all_it_started() {
    let Some(rig) = Rig::new("docker_a_command_past_its_limit_is_killed_with_all_it_started") else { return };
    let site = rig.open();
    let exec = sh("sleep 9871 & sleep 9871; echo never").timeout(Duration::from_secs(2));
    let mut running = site.start(&exec).unwrap();
    let mut text = String::new();
    let read = running.stdout.read_to_string(&mut text).unwrap_err();
    assert_eq!(read.kind(), std::io::ErrorKind::TimedOut);
    let error = running.control.wait().unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::Timeout);
    assert_eq!(processes(site.as_site(), "9871"), "");
}

#[test]
fn docker_dropping_the_control_kills_the_command() {
    let Some(rig) = Rig::new("docker_dropping_the_control_kills_the_command") else { return };
    let site = rig.open();
    for exec in [sh("sleep 9872 & echo; sleep 9872"), sh("echo; sleep 9872").user("postgres")] {
        let mut running = site.start(&exec).unwrap();
        running.stdout.read_exact(&mut [0]).unwrap();
        assert_ne!(processes(site.as_site(), "9872"), "");
        drop(running);
        assert_eq!(processes(site.as_site(), "9872"), "");
    }
}

#[test]
fn docker_a_command_that_leaves_something_behind_is_bounded_and_no_silent_success() {
    let Some(rig) = Rig::new("docker_a_command_that_leaves_something_behind_is_bounded_and_no_silent_success") else {
        return;
    };
    let site = rig.open();
    let exec = sh("echo done; sleep 9873 & exit 0").timeout(Duration::from_secs(30));
    let mut running = site.start(&exec).unwrap();
    let mut text = String::new();
    let read = running.stdout.read_to_string(&mut text);
    let exit = running.control.wait();
    assert_eq!(text, "done\n");
    assert_eq!(read.is_ok(), exit.is_ok(), "{read:?} {exit:?}");
}

#[test]
fn docker_a_slow_reader_gets_every_byte_of_commands_that_ended_long_ago() {
    let Some(rig) = Rig::new("docker_a_slow_reader_gets_every_byte_of_commands_that_ended_long_ago") else { return };
    let site = rig.open();
    // Sizes around all that pipes, engine and socket can hold between them: some commands have written all, none was read.
    let sizes = (1..=16).map(|n| n * 80_000);
    let start = |size: u64| site.start(&Exec::site("head").arg("-c").arg(size.to_string()).arg("/dev/zero")).unwrap();
    let started: Vec<_> = sizes.map(|size| (size, start(size))).collect();
    // Some engines throw away what is unread 2 s after an end; and other commands must not wait for those readers.
    assert_eq!(said(site.as_site(), &["sh", "-c", "sleep 5; echo awake"]), "awake");
    for (size, mut running) in started {
        let read = digest_of(&mut running.stdout).0;
        assert_eq!((read, running.control.wait().unwrap().code), (size, 0));
    }
}

#[test]
fn docker_killing_ends_a_reader_with_an_error_and_the_command_with_137() {
    let Some(rig) = Rig::new("docker_killing_ends_a_reader_with_an_error_and_the_command_with_137") else { return };
    let site = rig.open();
    let mut running = site.start(&Exec::site("cat").arg("/dev/zero")).unwrap();
    running.stdout.read_exact(&mut [0; 4096]).unwrap();
    running.control.kill().unwrap();
    assert!(std::io::copy(&mut running.stdout, &mut std::io::sink()).is_err());
    assert_eq!(running.control.wait().unwrap().code, 137);
}

#[test]
fn docker_a_missing_program_is_named() {
    let Some(rig) = Rig::new("docker_a_missing_program_is_named") else { return };
    let site = rig.open();
    let error = run(site.as_site(), Exec::site("pg_dumpp")).1.unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::MissingCapability);
    assert!(error.to_string().contains("pg_dumpp"), "{error:#}");
    assert_eq!(run(site.as_site(), sh("exit 127")).1.unwrap().code, 127);
}

#[test]
fn docker_own_tools_are_refused_in_containers() {
    let Some(rig) = Rig::new("docker_own_tools_are_refused_in_containers") else { return };
    let site = rig.open();
    let error = site.start(&Exec::own(["sqlite", "census"])).err().expect("refused");
    assert_eq!(refusal(&error).kind, RefusalKind::Configuration);
}

#[test]
fn docker_a_secret_reaches_the_command_and_no_error() {
    let Some(rig) = Rig::new("docker_a_secret_reaches_the_command_and_no_error") else { return };
    let site = rig.open();
    let exec = sh("printf %s \"$PGPASSWORD\"").secret_env("PGPASSWORD", Secret::new("hunter2 =x"));
    assert_eq!(run(site.as_site(), exec).0, "hunter2 =x");
    for key in ["", "A=B", "A\0B"] {
        let error = site.start(&sh(":").secret_env(key, Secret::new("hunter2"))).err().expect("refused");
        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }
}

#[test]
fn docker_output_that_nobody_reads_waits_in_the_container_and_not_in_memory() {
    let Some(rig) = Rig::new("docker_output_that_nobody_reads_waits_in_the_container_and_not_in_memory") else {
        return;
    };
    let site = rig.open();
    let before = resident_mib();
    let unread = site.start(&sh("head -c 2000000000 /dev/zero")).unwrap();
    said(site.as_site(), &["sleep", "2"]);
    let grown = resident_mib().saturating_sub(before);
    drop(unread);
    assert!(grown < 64, "grew by {grown} MiB");
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
