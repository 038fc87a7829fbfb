//! Mutual TLS for a rival: an authority of its own, a server's certificate in files, a client's in memory.
//!
//! Colony's certificates would do, but for the form of their keys: OpenSSL does not read Ed25519 keys that have their
//! public half beside them. Keys are P-256 here, the most usual kind. They matter in handshakes only, and none is
//! measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::PeerError;

/// The name in the authority's certificate.
const AUTHORITY: &str = "authority.peers.internal";
/// The name in the server's.
const SERVER: &str = "server.peers.internal";
/// The name in the client's.
const CLIENT: &str = "client.peers.internal";

/// What a server needs, in PEM files.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a client shows and expects.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server: ServerName<'static>,
}

/// Makes an authority, whose key is forgotten at once, and what one server and its clients need.
pub(crate) fn issue(folder: &Path) -> Result<(TlsFiles, Credentials), PeerError> {
    let authority_key = new_key()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = params.self_signed(&authority_key).map_err(unusable)?;
    let issuer = Issuer::new(params, authority_key);
    let issue = |name: &str| -> Result<_, PeerError> {
        let key = new_key()?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(unusable)?;
        params.distinguished_name = common_name(name);
        // A replica is its primary's client.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &issuer).map_err(unusable)?;
        Ok((certificate, key))
    };
    let (server, server_key) = issue(SERVER)?;
    let (client, client_key) = issue(CLIENT)?;

    let file = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(PeerError::io(format!("write {name}"))).map(|()| path)
    };
    let files = TlsFiles {
        authority: file("ca.pem", authority.pem())?,
        certificate: file("server.pem", server.pem())?,
        key: file("server.key", server_key.serialize_pem())?,
    };

    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).map_err(unusable)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(client_key.serialize_der()));
    // Passed by hand: two providers in one program would make rustls's process-wide default ambiguous.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![client.der().clone()], key)
        .map_err(unusable)?;
    let server = ServerName::try_from(SERVER).map_err(unusable)?;
    Ok((files, Credentials { config: Arc::new(config), server }))
}

/// OpenSSL takes a certificate whose subject is its issuer's for one that has signed itself.
fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn new_key() -> Result<KeyPair, PeerError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(unusable)
}

fn unusable(error: impl ToString) -> PeerError {
    PeerError::Tls(error.to_string())
}
