//! Asks web servers over HTTP/1.1, plain or encrypted: one request a connection, no redirect followed, bodies bounded, all of it within
//! one deadline. It must not know what the answers mean.

mod exchange;
mod tls;

use crate::domain::web::{Answer, Ask, Over, Unanswered};
use crate::ports::{Clock, Web};
use exchange::Trouble;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// The real web.
pub struct Client {
    clock: Arc<dyn Clock>,
    tls: tls::Greeter,
}

impl Client {
    /// Trusts the authorities that this host trusts.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { tls: tls::Greeter::new(Arc::clone(&clock)), clock }
    }

    fn exchange(&self, ask: &Ask, until: Duration) -> Result<Answer, Trouble> {
        let left = || until.checked_sub(self.clock.now()).filter(|left| !left.is_zero());
        let mut last = Trouble::Other("the name has no address".to_owned());
        for address in resolve(&ask.address, left().ok_or(Trouble::Late)?)? {
            let stream = match TcpStream::connect_timeout(&address, left().ok_or(Trouble::Late)?) {
                Ok(stream) => stream,
                Err(error) => {
                    last = error.into();
                    continue;
                }
            };
            let stream = exchange::Bounded { stream: &stream, left: &left };
            return match ask.over {
                Over::Plain => exchange::exchange(stream, ask),
                Over::AnyTls | Over::TrustedTls => self.tls.exchange(stream, ask),
            };
        }
        Err(last)
    }
}

impl Web for Client {
    fn ask(&self, ask: &Ask, within: Duration) -> Result<Answer, Unanswered> {
        let done = self.exchange(ask, self.clock.now() + within);
        done.map_err(|trouble| match trouble {
            Trouble::Refused => Unanswered::Refused(ask.address.clone()),
            Trouble::Late => Unanswered::Late(ask.address.clone(), within.as_secs()),
            Trouble::Other(what) => Unanswered::Other(ask.address.clone(), what),
        })
    }
}

/// The addresses of a name. The system's resolver knows no deadline, so it works on a thread of its own, which may outlive us.
fn resolve(name: &str, within: Duration) -> Result<Vec<SocketAddr>, Trouble> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let (tell, told) = mpsc::channel();
    let asked = name.to_owned();
    std::thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(asked.to_socket_addrs().map(Vec::from_iter));
    });
    let found = told.recv_timeout(within).map_err(|_| Trouble::Late)?;
    found.map_err(|error| Trouble::Other(format!("the name cannot be resolved: {error}")))
}

#[cfg(test)]
#[path = "web/tests.rs"]
mod tests;
