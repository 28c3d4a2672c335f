//! A backup of a running service that is killed at random moments: its vault, its server and its container keep nothing of it; and
//! no secret of it is ever in an argument, a message or a set.

use super::desk::{Desk, Left, text};
use super::docker_cli::{RIGHT, Service};
use super::docker_server::{IMAGE, rig};
use super::killed::{killed_at_random, times};
use super::rig::CANARY;
use crate::docker_rig::docker;
use std::collections::BTreeSet;
use std::process::Stdio;

/// Some MB in several tables, so that dump and census take a while.
const FILL: &str = "\
DO $$ BEGIN FOR n IN 1..6 LOOP EXECUTE format('CREATE TABLE part_%s AS SELECT i AS id, md5(i::text) || md5(random()::text) AS text \
FROM generate_series(1, 8000) AS i', n); END LOOP; END $$";

fn desk(service: &Service) -> Desk {
    Desk::postgres(&service.project, &service.name, IMAGE, RIGHT)
}

#[test]
fn docker_f04_f34_f35_a_killed_backup_of_a_service_leaves_no_session_no_process_and_no_half() {
    let Some(rig) = rig("docker_f04_f34_f35", &[IMAGE]) else { return };
    let service = Service::ready(&rig);
    service.sql(FILL).unwrap();
    let left = killed_at_random(times("XTASK_KILLS_DOCKER", 2), &|| desk(&service));
    assert!(left.keys().any(|at| *at < Left::Set), "no kill came before a commit: {left:?}");
}

/// Everything that can be seen of all processes' arguments, gathered while a backup runs.
fn arguments_meanwhile(desk: &Desk, words: &[&str]) -> (BTreeSet<String>, String) {
    let mut backup = desk.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut seen = BTreeSet::new();
    while backup.try_wait().unwrap().is_none() {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|e| Some(e.ok()?.path()));
        seen.extend(processes.filter_map(|pid| std::fs::read(pid.join("cmdline")).ok()).map(|words| text(&words)));
    }
    let done = backup.wait_with_output().unwrap();
    (seen, format!("{}{}", text(&done.stdout), text(&done.stderr)))
}

/// A secret as it is, and as it may be written.
fn spellings(secret: &str) -> [String; 3] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = secret.as_bytes().chunks_exact(3).map(|c| u32::from_be_bytes([0, c[0], c[1], c[2]]));
    let base64 = bits.flat_map(|n| [18, 12, 6, 0].map(|by| char::from(LETTERS[(n >> by) as usize & 63]))).collect();
    let url =
        secret.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") });
    [secret.to_owned(), base64, url.collect()]
}

#[test]
fn docker_f60_a_password_is_in_no_argument_no_message_and_no_set_whether_it_is_right_or_wrong() {
    let Some(rig) = rig("docker_f60", &[IMAGE]) else { return };
    assert_eq!(spellings("Man-")[1..], ["TWFu".to_owned(), "Man%2D".to_owned()]);
    let service = Service::ready(&rig);
    service.sql(FILL).unwrap();
    let desk = desk(&service);
    let before = desk.sets();
    for (password, fails) in [(RIGHT, false), (CANARY, true)] {
        std::fs::write(desk.at("password"), password).unwrap();
        let (arguments, said) = arguments_meanwhile(&desk, &["backup", "shop"]);
        assert!(
            arguments.iter().any(|line| line.contains("pg_dump")) || fails,
            "the dump was never seen: {arguments:?}"
        );
        assert_eq!(said.contains("password authentication failed"), fails, "{said}");
        for spelling in spellings(password) {
            let told: Vec<_> = arguments.iter().filter(|words| words.contains(&spelling)).collect();
            assert!(told.is_empty(), "an argument: {told:?}");
            assert!(!said.contains(&spelling), "a message: {said}");
            let inside = docker(&["exec", &service.name, "sh", "-c", "cat /proc/[0-9]*/cmdline"]).unwrap_or_default();
            assert!(!inside.contains(&spelling), "an argument in the container");
        }
    }
    assert_eq!(desk.sets().len(), before.len() + 1, "the right password makes a set, the wrong one none");
    for name in ["manifest.json", "manifest.sig", "manifest.sha256"] {
        let bytes = text(&std::fs::read(desk.vault().join(&desk.sets()[0]).join(name)).unwrap());
        assert!(!spellings(RIGHT).iter().any(|spelling| bytes.contains(spelling)), "{name}");
    }
}
