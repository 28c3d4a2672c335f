//! The pump on streams that a real engine does not break on demand.

use super::super::channel::CHUNKS;
use super::*;
use bollard::API_DEFAULT_VERSION;
use bollard::Docker;
use futures_util::stream;

/// What the pump makes of these frames, and how many bytes of output came through.
fn pumped(frames: Vec<Result<LogOutput, Error>>, stays_open: bool, timeout: Duration) -> (End, usize) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let _nobody = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let docker = Docker::connect_with_unix(socket.to_str().unwrap(), 1, API_DEFAULT_VERSION).unwrap();
    let word = || "x".to_owned();
    let child =
        Child { docker, container: word(), name: word(), program: word(), exec: word(), user: None, token: word() };
    let (sender, mut receiver) = mpsc::channel(CHUNKS);
    let frames: Frames = match stays_open {
        true => Box::pin(stream::iter(frames).chain(stream::pending())),
        false => Box::pin(stream::iter(frames)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let deadline = Instant::now() + timeout;
        let (heard, kill, read_to_end) = (Arc::default(), Arc::default(), Arc::default());
        let trailer = Trailer::of("x");
        let end = Pump { keeper: None, frames, sender, trailer, read_to_end, heard, kill, child, deadline, timeout }
            .drain()
            .await;
        let mut bytes = 0;
        while let Ok(frame) = receiver.try_recv() {
            bytes += frame.as_ref().len();
        }
        (end, bytes)
    })
}

fn out(text: &'static str) -> Result<LogOutput, Error> {
    Ok(LogOutput::StdOut { message: text.into() })
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn output_passes_and_standard_error_does_not_mix_in() {
    let frames = vec![out("abc"), Ok(LogOutput::StdErr { message: "noise".into() }), out("de\x1ex 007\x1e")];
    let (end, bytes) = pumped(frames, false, LONG);
    assert!(matches!(end, End::Done(7)), "{end:?}");
    assert_eq!(bytes, 5);
}

#[test]
fn a_trailer_in_pieces_is_no_output() {
    let frames = vec![out("abc\x1e"), out("x 0"), out("00"), out("\x1e")];
    let (end, bytes) = pumped(frames, false, LONG);
    assert!(matches!(end, End::Done(0)), "{end:?}");
    assert_eq!(bytes, 3);
}

#[test]
fn an_end_without_the_trailer_is_a_cut() {
    let (end, _) = pumped(vec![out("abc"), out("\x1ex 00")], false, LONG);
    assert!(matches!(end, End::Cut), "{end:?}");
}

#[test]
fn a_frame_cut_short_is_no_clean_end() {
    let (end, _) = pumped(vec![out("abc"), Ok(LogOutput::Console { message: "de".into() })], false, LONG);
    assert!(matches!(&end, End::Broken(why) if why.contains("cut")), "{end:?}");
}

#[test]
fn a_broken_connection_is_no_clean_end() {
    let broken = Err(Error::IOError { err: std::io::ErrorKind::ConnectionReset.into() });
    let (end, bytes) = pumped(vec![out("abc"), broken], false, LONG);
    assert!(matches!(&end, End::Broken(why) if why.contains("broke")), "{end:?}");
    assert_eq!(bytes, 3);
}

#[test]
fn silence_ends_at_the_limit_and_so_does_a_reader_that_never_reads() {
    let (end, _) = pumped(vec![], true, Duration::from_millis(20));
    assert!(matches!(&end, End::TimedOut(refusal) if refusal.kind == RefusalKind::Timeout), "{end:?}");
    let unread = (0..2 * CHUNKS).map(|_| out("abc")).collect();
    let (end, bytes) = pumped(unread, true, Duration::from_millis(20));
    assert!(matches!(end, End::TimedOut(_)), "{end:?}");
    assert_eq!(bytes, 3 * CHUNKS, "what may be on its way is bounded");
}
