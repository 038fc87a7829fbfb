//! The dialer's verdict on the certificate it is shown.

use std::sync::{Arc, Mutex};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::read_identity;
use crate::sync::lock;

/// Why a dialer did not accept the certificate of the host it dialed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Not signed by our authority.
    WrongAuthority,
    /// Outside its validity; in words.
    Expired(String),
    /// A holder of our authority's certificate, and not the one expected.
    UnexpectedHolder(String),
    /// Anything else; in words.
    Unusable(String),
}

/// Verifies as rustls's own verifier does, and remembers the reason of a refusal in a form a caller can act on: what
/// comes back through QUIC is a string. One for each dial.
#[derive(Debug)]
pub(crate) struct HostVerifier {
    inner: Arc<WebPkiServerVerifier>,
    verdict: Mutex<Option<Rejection>>,
}

impl HostVerifier {
    pub(crate) fn new(inner: Arc<WebPkiServerVerifier>) -> Self {
        Self { inner, verdict: Mutex::new(None) }
    }

    /// Why the certificate was refused, if it was.
    pub(crate) fn rejection(&self) -> Option<Rejection> {
        lock(&self.verdict).clone()
    }
}

impl ServerCertVerifier for HostVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .inspect_err(|error| *lock(&self.verdict) = Some(judge(error, end_entity)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn judge(error: &Error, certificate: &CertificateDer<'_>) -> Rejection {
    let Error::InvalidCertificate(error) = error else {
        return Rejection::Unusable(error.to_string());
    };
    match error {
        // An authority of the same subject and another key shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Rejection::WrongAuthority,
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            Rejection::Expired(format!("expired, {} ago", Span(ago)))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = not_before.as_secs().saturating_sub(time.as_secs());
            Rejection::Expired(format!("not valid yet, for another {}", Span(ahead)))
        }
        CertificateError::Expired => Rejection::Expired("expired".into()),
        CertificateError::NotValidYet => Rejection::Expired("not valid yet".into()),
        // The chain was verified before name and purpose: it is ours, and another's. A client's certificate has not
        // the purpose of a server.
        CertificateError::NotValidForName
        | CertificateError::NotValidForNameContext { .. }
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. } => match read_identity(certificate) {
            Ok(peer) => Rejection::UnexpectedHolder(peer.to_string()),
            Err(reason) => Rejection::Unusable(reason),
        },
        other => Rejection::Unusable(other.to_string()),
    }
}

/// A span of seconds in the largest unit that fits.
struct Span(u64);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
        let (seconds, unit) = units.into_iter().find(|(seconds, _)| self.0 >= *seconds).unwrap_or((1, "s"));
        write!(f, "{} {unit}", self.0 / seconds)
    }
}
