//! The encrypted greeting: takes whatever certificate is presented and tells of it, or refuses what this host's authorities do not vouch
//! for. It must not know what is said inside.

use super::exchange::{Bounded, Trouble, exchange};
use crate::domain::web::{Answer, Ask, Certificate, Over};
use crate::ports::Clock;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore};
use rustls::{SignatureScheme, StreamOwned};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode;
use x509_cert::time::Validity;

/// Greets servers.
pub(super) struct Greeter {
    clock: Arc<dyn Clock>,
    provider: Arc<CryptoProvider>,
    trusted: OnceLock<Result<Arc<WebPkiServerVerifier>, String>>,
}

impl Greeter {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, provider: Arc::new(ring::default_provider()), trusted: OnceLock::new() }
    }

    /// The authorities of this host, read once.
    fn authorities(&self) -> &Result<Arc<WebPkiServerVerifier>, String> {
        self.trusted.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let built =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
            built.map_err(|_| "this host trusts no authority: install its certificates (ca-certificates)".to_owned())
        })
    }

    pub(super) fn exchange(&self, stream: Bounded<'_>, ask: &Ask) -> Result<Answer, Trouble> {
        let host = ask.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| Trouble::Other("the host is no name for TLS".to_owned()))?;
        let verifier: Arc<dyn ServerCertVerifier> = match (ask.over, self.authorities()) {
            (Over::TrustedTls, Ok(trusted)) => trusted.clone(),
            (Over::TrustedTls, Err(why)) => return Err(Trouble::Other(why.clone())),
            _ => Arc::new(Anyone(Arc::clone(&self.provider))),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let versions = builder.with_safe_default_protocol_versions().map_err(|e| Trouble::Other(e.to_string()))?;
        let mut config = versions.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connection = ClientConnection::new(Arc::new(config), name.clone());
        let connection = connection.map_err(|e| Trouble::Other(e.to_string()))?;
        let mut stream = StreamOwned::new(connection, stream);
        let answer = exchange(&mut stream, ask)?;
        let chain = stream.conn.peer_certificates().unwrap_or_default();
        let certificate = self.described(chain, &name)?;
        Ok(Answer { certificate: Some(certificate), ..answer })
    }

    fn described(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Result<Certificate, Trouble> {
        let unreadable = |why: String| Trouble::Other(format!("the certificate cannot be read: {why}"));
        let (first, others) = chain.split_first().ok_or_else(|| unreadable("none was presented".into()))?;
        let parsed = Parsed::from_der(first).map_err(|e| unreadable(e.to_string()))?.tbs_certificate;
        let moment = |time: x509_cert::time::Time| {
            Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
                .unwrap_or(Timestamp::MAX)
        };
        let fits = ParsedCertificate::try_from(first).is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok());
        Ok(Certificate {
            subject: parsed.subject.to_string(),
            issuer: parsed.issuer.to_string(),
            from: moment(parsed.validity.not_before),
            until: moment(parsed.validity.not_after),
            fits,
            untrusted: self.distrust(first, others, name, &parsed.validity),
        })
    }

    /// Why no authority vouches for it. Names and dates are judged apart, so it is asked for a moment at which the certificate holds.
    fn distrust(
        &self,
        first: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        holds: &Validity,
    ) -> Option<String> {
        let trusted = match self.authorities() {
            Ok(trusted) => trusted,
            Err(why) => return Some(why.clone()),
        };
        let now = Duration::from_secs(u64::try_from(self.clock.wall().as_second()).unwrap_or_default());
        let moment = now.max(holds.not_before.to_unix_duration()).min(holds.not_after.to_unix_duration());
        let now = UnixTime::since_unix_epoch(moment);
        match trusted.verify_server_cert(first, others, name, &[], now) {
            Ok(_) => None,
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. }
                | CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            )) => None,
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Takes any certificate; the greeting must still be signed with it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
