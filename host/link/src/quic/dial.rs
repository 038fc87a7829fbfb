//! Dialing, and telling why it failed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{ConnectionError, Endpoint, TransportConfig, TransportErrorCode};
use tokio::time::timeout;

use super::connection::{QuicConnection, canonical, peer_identity};
use super::{CLOSE_BUSY, CLOSE_NO_IDENTITY, WELCOME, printable, settings};
use crate::tls::{HostVerifier, Identity, Rejection, server_name};
use crate::{ConnectError, Expect, LinkConfig, Whose};

/// First of the QUIC error codes that stand for TLS alerts (RFC 9001, 4.8).
const CRYPTO_FIRST: u64 = 0x100;
/// Last of them.
const CRYPTO_LAST: u64 = 0x1ff;

/// What a dial needs of its transport.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) endpoint: Endpoint,
    pub(super) identity: Identity,
    pub(super) transport: Arc<TransportConfig>,
    pub(super) config: Arc<LinkConfig>,
    pub(super) local: SocketAddr,
}

/// Why a handshake did not end well, before it is put in a caller's words.
enum Failure {
    Connection(ConnectionError),
    /// The connection stood, and the welcome was not one.
    Welcome,
    /// The certificate was verified and names nobody.
    Nameless(String),
}

impl Dialer {
    pub(super) async fn dial(&self, to: SocketAddr, expect: Expect) -> Result<QuicConnection, ConnectError> {
        let name = server_name(&expect)?;
        let verifier = Arc::new(HostVerifier::new(self.identity.server_verifier()));
        let config = settings::client(&self.identity, Arc::clone(&verifier), Arc::clone(&self.transport))
            .map_err(|reason| ConnectError::Handshake { to, reason })?;
        let connecting =
            self.endpoint.connect_with(config, to, &name.to_str()).map_err(|error| self.not_begun(to, error))?;

        let after = self.config.handshake_timeout;
        let done = timeout(after, async {
            let connection = connecting.await.map_err(Failure::Connection)?;
            // Who it is has been verified against what was expected; this reads its own name.
            let peer = peer_identity(&connection).map_err(Failure::Nameless)?;
            welcomed(&connection).await?;
            Ok((connection, peer))
        });
        match done.await {
            Ok(Ok((connection, peer))) => Ok(QuicConnection::new(connection, peer, Arc::clone(&self.config))),
            Ok(Err(failure)) => Err(self.explain(to, expect, failure, verifier.rejection())),
            Err(_) => Err(ConnectError::Unreachable { to, after }),
        }
    }

    fn not_begun(&self, to: SocketAddr, error: quinn::ConnectError) -> ConnectError {
        match error {
            quinn::ConnectError::InvalidRemoteAddress(_) => {
                ConnectError::BadAddress { to, from: canonical(self.local) }
            }
            quinn::ConnectError::EndpointStopping => ConnectError::Closed { to },
            other => ConnectError::Io { to, source: io::Error::other(other) },
        }
    }

    fn explain(
        &self,
        to: SocketAddr,
        expected: Expect,
        failure: Failure,
        rejection: Option<Rejection>,
    ) -> ConnectError {
        // Our own verdict comes first: what QUIC says then is only its echo.
        match rejection {
            Some(Rejection::WrongAuthority) => return ConnectError::WrongAuthority { to },
            Some(Rejection::Expired(when)) => {
                return ConnectError::Expired { to, whose: Whose::Theirs, when };
            }
            Some(Rejection::UnexpectedHolder(got)) => {
                return ConnectError::UnexpectedHost { to, expected, got };
            }
            Some(Rejection::Unusable(reason)) => {
                return ConnectError::BadCertificate { to, reason };
            }
            None => {}
        }
        match failure {
            Failure::Connection(error) => self.explain_end(to, error),
            Failure::Nameless(reason) => ConnectError::BadCertificate { to, reason },
            Failure::Welcome => ConnectError::Handshake { to, reason: "it did not say welcome".into() },
        }
    }

    fn explain_end(&self, to: SocketAddr, error: ConnectionError) -> ConnectError {
        match error {
            ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                ConnectError::Refused { to, reason: "it takes no further connection now".into() }
            }
            ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
                Some(alert) => explain_alert(to, alert),
                None => ConnectError::Handshake { to, reason: printable(close.to_string().as_bytes()) },
            },
            ConnectionError::ApplicationClosed(close) => {
                let reason = printable(&close.reason);
                match close.error_code.into_inner() {
                    CLOSE_NO_IDENTITY => ConnectError::NotAccepted { to, reason },
                    CLOSE_BUSY => ConnectError::Refused { to, reason },
                    code => ConnectError::Refused { to, reason: format!("{reason} (code {code})") },
                }
            }
            ConnectionError::TimedOut => ConnectError::Unreachable { to, after: self.config.handshake_timeout },
            ConnectionError::LocallyClosed => ConnectError::Closed { to },
            other => ConnectError::Handshake { to, reason: other.to_string() },
        }
    }
}

/// Waits for the peer's word that it has accepted us.
async fn welcomed(connection: &quinn::Connection) -> Result<(), Failure> {
    let mut stream = connection.accept_uni().await.map_err(Failure::Connection)?;
    match stream.read_chunk(1, true).await {
        Ok(Some(chunk)) if chunk.bytes.first() == Some(&WELCOME) => Ok(()),
        Err(quinn::ReadError::ConnectionLost(error)) => Err(Failure::Connection(error)),
        _ => Err(Failure::Welcome),
    }
}

/// The TLS alert in a QUIC error code.
fn alert(code: TransportErrorCode) -> Option<u8> {
    let code = u64::from(code);
    if (CRYPTO_FIRST..=CRYPTO_LAST).contains(&code) { u8::try_from(code - CRYPTO_FIRST).ok() } else { None }
}

/// The peer's TLS has refused ours. We have checked its certificate before, so an alert about a certificate is about
/// our own (RFC 8446, 6.2).
fn explain_alert(to: SocketAddr, alert: u8) -> ConnectError {
    let not_accepted = |reason: &str| ConnectError::NotAccepted { to, reason: reason.to_owned() };
    match alert {
        42 => not_accepted("it cannot use it (bad_certificate)"),
        43 => not_accepted("it is not made for this (unsupported_certificate)"),
        44 => not_accepted("it was revoked (certificate_revoked)"),
        45 => ConnectError::Expired {
            to,
            whose: Whose::Ours,
            when: "expired or not valid yet, by the peer's clock".into(),
        },
        46 => not_accepted("it does not understand it (certificate_unknown)"),
        48 => not_accepted("it is signed by another certificate authority (unknown_ca)"),
        49 => not_accepted("access is denied (access_denied)"),
        51 => not_accepted("its signature does not verify (decrypt_error)"),
        116 => not_accepted("it saw none (certificate_required)"),
        120 => ConnectError::Handshake {
            to,
            reason: "it speaks another protocol or version (no_application_protocol)".into(),
        },
        other => ConnectError::Handshake { to, reason: format!("TLS alert {other}") },
    }
}
