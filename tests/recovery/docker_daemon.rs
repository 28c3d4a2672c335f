//! An engine that is not there or not right: a bounded, clear refusal each. These need no Docker; the engine is a fake socket.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use xtask::adapters::clock::SystemClock;
use xtask::adapters::docker::{DockerSites, NoRecipes, RunIdentity};
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::ports::{Clock, Sites};

/// What the adapter says of the engine behind this socket, after at most twice its own bound.
fn verdict(socket: &Path) -> Refusal {
    let run = RunIdentity::of_this_process("test").unwrap();
    let sites = DockerSites::at(socket, &run, Arc::new(NoRecipes)).unwrap();
    let clock = SystemClock::start();
    let errors = [sites.containers().unwrap_err(), sites.sweep().unwrap_err()];
    assert!(clock.now() < Duration::from_secs(20), "took {:?}", clock.now());
    for error in &errors {
        let refusal = error.downcast_ref::<Refusal>().unwrap_or_else(|| panic!("not a refusal: {error:#}"));
        assert_eq!(refusal.kind, RefusalKind::DockerUnavailable);
        assert!(!refusal.hint.is_empty());
    }
    errors[0].downcast_ref::<Refusal>().unwrap().clone()
}

/// An engine that does this with every connection.
fn fake(answer: impl Fn(UnixStream) + Send + 'static) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    (folder, socket)
}

fn says(answer: &'static str) -> Refusal {
    let (_folder, socket) = fake(move |mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        if stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    verdict(&socket)
}

#[test]
fn a_run_that_met_no_engine_has_nothing_to_abandon() {
    let run = RunIdentity::of_this_process("test").unwrap();
    let sites = DockerSites::at(Path::new("/nonexistent/docker.sock"), &run, Arc::new(NoRecipes)).unwrap();
    sites.abandon().unwrap();
}

#[test]
fn no_socket_is_said_with_its_path() {
    let refusal = verdict(Path::new("/nonexistent/docker.sock"));
    assert!(refusal.message.contains("no Docker socket at /nonexistent/docker.sock"), "{refusal:?}");
}

#[test]
fn a_dead_socket_is_said_to_have_no_listener() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(verdict(&socket).message.contains("nothing listens"));
}

#[test]
fn an_engine_that_stalls_is_given_up() {
    let held = std::sync::Mutex::new(Vec::new());
    let (_folder, socket) = fake(move |stream| held.lock().unwrap().push(stream));
    assert!(verdict(&socket).message.contains("did not answer within 5 s"));
}

#[test]
fn an_engine_that_stalls_inside_an_answer_is_given_up() {
    let held = std::sync::Mutex::new(Vec::new());
    let (_folder, socket) = fake(move |mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        assert!(stream.read(&mut [0; 4096]).is_ok_and(|n| n < 4096));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nOK").ok();
        held.lock().unwrap().push(stream);
    });
    assert!(verdict(&socket).message.contains("did not answer within 5 s"));
}

#[test]
fn garbage_is_not_taken_for_an_engine() {
    let refusal = says("SSH-2.0-OpenSSH_9.2p1\r\n\x00\x01\x02");
    assert!(refusal.message.contains("does not speak Docker's protocol"), "{refusal:?}");
}

#[test]
fn another_server_s_answer_is_not_taken_for_an_engine() {
    let refusal = says("HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<html>hi</html>");
    assert!(refusal.message.contains("does not speak Docker's protocol"), "{refusal:?}");
}

#[test]
fn an_engine_in_trouble_is_quoted() {
    let refusal = says(
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 26\r\nConnection: close\r\n\r\n{\"message\":\"out of disk!\"} ",
    );
    assert!(refusal.message.contains("500") && refusal.message.contains("out of disk"), "{refusal:?}");
}

#[test]
fn an_engine_that_hangs_up_is_reported() {
    let refusal = says("");
    assert!(refusal.message.contains("does not speak Docker's protocol"), "{refusal:?}");
}
