//! Reading and writing PEM files. Every error names the path.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Largest file read. Certificates and keys have a few KiB; this stops a wrong path from filling the memory.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    Public,
    /// Only the owner.
    Private,
}

/// Reads the certificates in a PEM file, at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Unusable { path: path.into(), reason: error.to_string() })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.into() });
    }
    Ok(certificates)
}

/// Reads the first private key in a PEM file. Warns if others than the owner may read it.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(path)?;
    warn_if_shared(path);
    match PrivateKeyDer::pem_slice_iter(&pem).next() {
        Some(Ok(key)) => Ok(key),
        Some(Err(error)) => Err(TlsError::Unusable { path: path.into(), reason: error.to_string() }),
        None => Err(TlsError::NoKey { path: path.into() }),
    }
}

/// Reads a whole file of bounded length.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.into(), source };
    if fs::metadata(path).map_err(failed)?.len() > FILE_LEN_MAX {
        return Err(TlsError::Unusable { path: path.into(), reason: "too large to be a certificate or key".into() });
    }
    fs::read(path).map_err(failed)
}

/// Writes a new file; an existing one is an error. Leaves no half-written file behind.
pub(super) fn write_new(path: &Path, content: &str, secrecy: Secrecy) -> Result<(), TlsError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secrecy == Secrecy::Private {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => TlsError::Exists { path: path.into() },
        _ => TlsError::Write { path: path.into(), source },
    })?;
    file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| {
        // The first error is the one to report.
        let _ = fs::remove_file(path);
        TlsError::Write { path: path.into(), source }
    })
}

/// Writes a key and its certificate, both or neither.
pub(super) fn write_pair(cert_path: &Path, cert: &str, key_path: &Path, key: &str) -> Result<(), TlsError> {
    if cert_path.exists() {
        return Err(TlsError::Exists { path: cert_path.into() });
    }
    write_new(key_path, key, Secrecy::Private)?;
    write_new(cert_path, cert, Secrecy::Public).inspect_err(|_| {
        // A key without its certificate is of no use, and would be in the way of the next attempt.
        let _ = fs::remove_file(key_path);
    })
}

#[cfg(unix)]
fn warn_if_shared(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(metadata) = fs::metadata(path) {
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = %format_args!("{mode:o}"), "others may read this private key");
        }
    }
}

#[cfg(not(unix))]
fn warn_if_shared(_path: &Path) {}
