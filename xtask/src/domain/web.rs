//! A request to a web server and what came back, as data: the address is chosen apart from the host that is named, because a proxy is
//! asked at one door for many hosts. It must not know how bytes travel.

use super::secret::Secret;
use jiff::Timestamp;

/// A GET request.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// Where to connect: `host:port`.
    pub address: String,
    /// The host that is named in the request, and in the TLS greeting.
    pub host: String,
    /// The path, beginning with a slash.
    pub path: String,
    /// Plain or encrypted.
    pub over: Over,
    /// What goes into the `Authorization` header as `Basic`: `user:password`.
    pub login: Option<Secret>,
}

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Without encryption.
    Plain,
    /// Encrypted; whatever certificate is presented is taken and told: for looking at a public page only.
    AnyTls,
    /// Encrypted, and refused unless an authority that this host trusts vouches for the certificate.
    TrustedTls,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status (200).
    pub status: u16,
    /// Header names in lower case, with their values; in order.
    pub headers: Vec<(String, String)>,
    /// The body's beginning, up to a bound.
    pub body: Vec<u8>,
    /// Whether the body was longer than the bound.
    pub cut: bool,
    /// The certificate that was presented.
    pub certificate: Option<Certificate>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for, as it says itself.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// From when it holds.
    pub from: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// Whether it is for the host that was named.
    pub fits: bool,
    /// Why no authority of this host vouches for it; `None` = one does.
    pub untrusted: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nobody listens there.
    #[error("{0}: the connection was refused")]
    Refused(String),
    /// It took too long.
    #[error("{0}: no answer within {1} s")]
    Late(String, u64),
    /// Anything else.
    #[error("{0}: {1}")]
    Other(String, String),
}
