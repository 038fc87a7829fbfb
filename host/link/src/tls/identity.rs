//! What a process shows of itself, and whom it trusts.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{TlsError, files, provider, read_identity};
use crate::{PeerIdentity, Role};

/// A certificate with its private key, and the authority whose certificates are accepted.
///
/// Cheap to clone. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    peer: PeerIdentity,
    certified: Arc<CertifiedKey>,
    client_verifier: Arc<dyn ClientCertVerifier>,
    server_verifier: Arc<WebPkiServerVerifier>,
    /// The private key's bytes, from which the keys of stateless resets are derived.
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads an authority, a certificate and its private key from PEM files.
    ///
    /// The certificate's dates are not checked here: the peer judges them, by its clock, at every handshake.
    ///
    /// # Errors
    ///
    /// A [`TlsError`] that names the file: missing, unreadable, not belonging together, or not naming a host or
    /// client.
    pub fn from_files(ca: impl AsRef<Path>, cert: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (ca_path, cert_path, key_path) = (ca.as_ref(), cert.as_ref(), key.as_ref());
        let roots = Arc::new(read_roots(ca_path)?);
        let chain = files::read_certificates(cert_path)?;
        let key = files::read_key(key_path)?;
        let unusable = |path: &Path, reason: String| TlsError::Unusable { path: path.into(), reason };

        let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate { path: cert_path.into() })?;
        let peer = read_identity(leaf).map_err(|reason| unusable(cert_path, reason))?;
        let begins = not_before(leaf).map_err(|reason| unusable(cert_path, reason))?;

        let signing = provider()
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|error| unusable(key_path, error.to_string()))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|_| TlsError::KeyMismatch { cert: cert_path.into(), key: key_path.into() })?;

        let client_verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(|error| unusable(ca_path, error.to_string()))?;
        let server_verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| unusable(ca_path, error.to_string()))?;
        let (leaf, intermediates) =
            certified.cert.split_first().ok_or_else(|| TlsError::NoCertificate { path: cert_path.into() })?;
        // Checked as of its own first moment: the question is who signed it, not whether it has expired since.
        client_verifier
            .verify_client_cert(leaf, intermediates, begins)
            .map_err(|_| TlsError::WrongAuthority { cert: cert_path.into(), ca: ca_path.into() })?;

        let certified = Arc::new(certified);
        let inner = Inner { peer, certified, client_verifier, server_verifier, key };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Finds a client's certificate in a folder: `client.pem` and `client.key` if they are there, else the only
    /// `<name>.pem` with `<name>.key` whose certificate is a client's. `ca.pem` must be there too.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoClient`] and [`TlsError::SeveralClients`] say what to put there; else as
    /// [`from_files`](Self::from_files).
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self, TlsError> {
        let dir = dir.as_ref();
        let ca = dir.join("ca.pem");
        let named = dir.join("client.pem");
        let cert = if named.exists() { named } else { only_client(dir)? };
        Self::from_files(ca, &cert, cert.with_extension("key"))
    }

    /// Who this certificate says we are.
    pub fn peer_identity(&self) -> &PeerIdentity {
        &self.inner.peer
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.inner.certified)
    }

    pub(crate) fn client_verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.inner.client_verifier)
    }

    pub(crate) fn server_verifier(&self) -> Arc<WebPkiServerVerifier> {
        Arc::clone(&self.inner.server_verifier)
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.inner.key.secret_der()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("peer", &self.inner.peer).finish_non_exhaustive()
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::read_certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::Unusable { path: path.into(), reason: error.to_string() })?;
    }
    Ok(roots)
}

fn not_before(certificate: &CertificateDer<'_>) -> Result<UnixTime, String> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let seconds =
        u64::try_from(parsed.validity().not_before.timestamp()).map_err(|_| "the certificate begins before 1970")?;
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// The only certificate of a client in `dir` that has a key beside it.
fn only_client(dir: &Path) -> Result<PathBuf, TlsError> {
    let failed = |source| TlsError::Read { path: dir.into(), source };
    let mut clients = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_pem = path.extension().is_some_and(|extension| extension == "pem");
        if is_pem && path.with_extension("key").exists() && is_client(&path) {
            clients.push(path);
        }
    }
    clients.sort();
    match clients.len() {
        0 => Err(TlsError::NoClient { dir: dir.into() }),
        1 => Ok(clients.remove(0)),
        _ => {
            let file = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(TlsError::SeveralClients { dir: dir.into(), names: clients.iter().map(file).collect() })
        }
    }
}

/// Whether a file is the certificate of a client. One that cannot be read is none: it may be anything.
fn is_client(path: &Path) -> bool {
    files::read_certificates(path)
        .ok()
        .and_then(|chain| read_identity(chain.first()?).ok())
        .is_some_and(|peer| peer.role == Role::Client)
}
