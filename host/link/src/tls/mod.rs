//! Certificates: the cluster's own authority, and who a certificate says its holder is.
//!
//! A cluster has one authority. What a certificate's holder is and may do stands in the certificate, as DNS names
//! under [`DOMAIN`], because DNS names are what TLS libraries check for us:
//!
//! | holder | names |
//! | --- | --- |
//! | host `h1` | `any.host.colony.internal`, `h1.host.colony.internal`, and its addresses, for people |
//! | client `shop` | `shop.client.colony.internal`, and `read.right.colony.internal` for each right |
//!
//! A dialer that expects host `h1` verifies the name `h1.host.colony.internal`, one that expects any host
//! `any.host.colony.internal`. The side that accepts verifies the chain and then reads the role. Keys are Ed25519.
//!
//! Files, all PEM, in one folder: `ca.pem`, `ca.key`, and `<name>.pem` and `<name>.key` for each name. `ca.pem` may
//! hold several authorities, so that a new one can be introduced before the old one goes.

mod authority;
mod error;
mod files;
mod identity;
mod names;
mod verify;

pub use authority::{Authority, Issued, Validity};
pub use error::TlsError;
pub use identity::Identity;
pub use names::DOMAIN;

pub(crate) use names::{read_identity, server_name};
pub(crate) use verify::{HostVerifier, Rejection};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one provider of cryptography, passed by hand: two providers in one program make rustls's process-wide default
/// ambiguous, and it panics.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
