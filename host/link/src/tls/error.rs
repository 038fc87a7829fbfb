//! What can be wrong with certificates in files.

use std::io;
use std::path::PathBuf;

use crate::NameError;

/// Why a certificate or key could not be read, made or used. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder could not be written. A file it left behind was removed.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file exists; keys and certificates are never overwritten. Nothing was changed.
    #[error("{} exists already and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file has no certificate in it.
    #[error("no certificate in {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file has no private key in it.
    #[error("no private key in {}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The file's content cannot be understood or used.
    #[error("cannot use {}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The reason in words.
        reason: String,
    },
    /// The private key does not belong to the certificate.
    #[error("the key {} does not belong to the certificate {}", key.display(), cert.display())]
    KeyMismatch {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The certificate is not signed by the authority beside it.
    #[error("{} is not signed by the authority in {}", cert.display(), ca.display())]
    WrongAuthority {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the authority.
        ca: PathBuf,
    },
    /// The folder has no certificate of a client.
    #[error(
        "no client certificate in {}: it needs client.pem and client.key, or one other certificate of a client \
         with its key",
        dir.display()
    )]
    NoClient {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder has several certificates of clients and none is named `client.pem`.
    #[error("several client certificates in {}: {}; name one client.pem and its key client.key", dir.display(), names.join(", "))]
    SeveralClients {
        /// The folder.
        dir: PathBuf,
        /// The names of the files, sorted.
        names: Vec<String>,
    },
    /// The name cannot be the name of a host or client.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The address is neither an IP address nor a DNS name that a certificate may carry.
    #[error("`{address}` is neither an IP address nor a DNS name for a certificate")]
    Address {
        /// The address as given.
        address: String,
    },
    /// The validity ends before it begins, or lies outside what a certificate can say.
    #[error("the validity must end after it begins, between the years 1970 and 9999")]
    Validity,
    /// The cryptography library refused.
    #[error("cannot make the certificate: {0}")]
    Make(String),
}
