//! The client against servers on this host's loopback address: plain ones that answer in every form and misbehave, and an encrypted one.

use super::exchange::base64;
use super::*;
use crate::adapters::clock::SystemClock;
use crate::domain::secret::Secret;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

const LONG: Duration = Duration::from_secs(20);

fn client() -> Client {
    Client::new(Arc::new(SystemClock::start()))
}

fn ask(address: &str, over: Over) -> Ask {
    Ask { address: address.into(), host: "shop.example".into(), path: "/x".into(), over, login: None }
}

/// The request's head, as far as it comes.
fn heard(stream: &mut impl Read) -> String {
    let (mut text, mut block) = (Vec::new(), [0; 1024]);
    while !text.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut block) {
            Ok(n) if n > 0 => text.extend_from_slice(&block[..n]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A server that hears one request, says this, and closes; it returns what it heard.
fn server(says: Vec<u8>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let heard = heard(&mut stream);
        stream.write_all(&says).ok();
        heard
    });
    (address, thread)
}

fn said(says: &[u8]) -> Result<Answer, Unanswered> {
    let (address, thread) = server(says.to_vec());
    let answer = client().ask(&ask(&address, Over::Plain), LONG);
    thread.join().unwrap();
    answer
}

#[test]
fn a_body_is_read_in_each_form_it_can_have() {
    for (says, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", "he"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let answer = said(says.as_bytes()).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{says}");
        assert!(!answer.cut && answer.certificate.is_none());
    }
    let answer = said(b"HTTP/1.1 301 Moved\r\nLocation: https://a/\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!((answer.status, answer.header("location")), (301, Some("https://a/")), "no redirect is followed");
}

#[test]
fn an_answer_that_is_cut_short_or_is_none_is_no_answer() {
    for (says, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "closed within the answer's body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", "closed within the answer's body"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not in the form that its head tells"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no length of a body"),
        ("HTTP/1.1 200 OK\r\nCont", "closed within the answer's head"),
        ("", "closed without an answer"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "does not speak HTTP"),
    ] {
        let error = said(says.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{says}: {error}");
    }
}

#[test]
fn neither_head_nor_body_may_be_endless() {
    let head = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 200 << 10]].concat();
    assert!(said(&head).unwrap_err().to_string().contains("head does not end"));
    let body = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), vec![b'x'; 5 << 20]].concat();
    let answer = said(&body).unwrap();
    assert!(answer.cut && answer.body.len() == 4 << 20);
}

#[test]
fn nobody_and_somebody_who_says_nothing_are_told_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for over in [Over::Plain, Over::AnyTls] {
        let late = client().ask(&ask(&address, over), Duration::from_millis(100)).unwrap_err();
        assert_eq!(late, Unanswered::Late(address.clone(), 0));
    }
    drop(silent);
    assert_eq!(client().ask(&ask(&address, Over::Plain), LONG).unwrap_err(), Unanswered::Refused(address));
}

#[test]
fn the_request_names_the_host_and_carries_the_login_and_nothing_can_be_smuggled_into_it() {
    let (address, thread) = server(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    let asked = Ask { login: Some(Secret::new("ops:canary")), ..ask(&address, Over::Plain) };
    client().ask(&asked, LONG).unwrap();
    let heard = thread.join().unwrap();
    assert!(heard.starts_with("GET /x HTTP/1.1\r\nHost: shop.example\r\n"), "{heard}");
    assert!(heard.contains("Authorization: Basic b3BzOmNhbmFyeQ==\r\n"), "{heard}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for (host, path) in [("a\r\nX: y", "/"), ("a", "/ HTTP/1.1\r\nHost: b"), ("a", "x")] {
        let asked = Ask { host: host.into(), path: path.into(), ..ask(&address, Over::Plain) };
        let error = client().ask(&asked, LONG).unwrap_err().to_string();
        assert!(error.contains("cannot be written into a request"), "{error}");
    }
}

#[test]
fn base64_is_that_of_the_standard() {
    let all = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
    assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
}

/// A server with a certificate of 2020 for shop.example that nobody vouches for; it serves so many connections.
fn encrypted(times: usize) -> (String, JoinHandle<()>) {
    let certificate = CertificateDer::from(include_bytes!("../../../../fixtures/tls/shop.crt.der").to_vec());
    let key = PrivatePkcs8KeyDer::from(include_bytes!("../../../../fixtures/tls/shop.key.der").to_vec());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key));
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        for _ in 0..times {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
            if heard(&mut stream).ends_with("\r\n\r\n") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok();
            }
        }
    });
    (address, thread)
}

#[test]
fn a_certificate_is_told_of_whatever_it_is_and_never_trusted_for_that() {
    let (address, thread) = encrypted(3);
    let answer = client().ask(&ask(&address, Over::AnyTls), LONG).unwrap();
    let certificate = answer.certificate.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"ok".as_slice()));
    assert_eq!((certificate.subject.as_str(), certificate.fits), ("CN=shop.example", true));
    assert_eq!(certificate.until.to_string(), "2021-01-01T00:00:00Z");
    assert!(certificate.untrusted.is_some());
    let other = Ask { host: "other.example".into(), ..ask(&address, Over::AnyTls) };
    assert!(!client().ask(&other, LONG).unwrap().certificate.unwrap().fits);
    let refused = client().ask(&ask(&address, Over::TrustedTls), LONG).unwrap_err().to_string();
    assert!(refused.contains("invalid peer certificate") || refused.contains("trusts no authority"), "{refused}");
    thread.join().unwrap();
}
