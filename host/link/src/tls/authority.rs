//! The certificate authority of a cluster.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;
use super::files;
use super::names::{client_names, host_names};
use crate::Rights;

/// How long an authority is valid.
const AUTHORITY_YEARS: u32 = 10;

/// How far a validity begins in the past, so that a certificate works on hosts whose clocks are behind.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Last moment a certificate can name: before the year 10000 (RFC 5280, 4.1.2.5).
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

impl Validity {
    /// From now, minus five minutes for clocks that are behind, for `days` days.
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        Self { not_before: now - CLOCK_SKEW, not_after: now + DAY * days }
    }

    /// Checks that a certificate can say it.
    fn check(&self) -> Result<(), TlsError> {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH);
        match (since(self.not_before), since(self.not_after)) {
            (Ok(before), Ok(after)) if before < after && after <= LATEST => Ok(()),
            _ => Err(TlsError::Validity),
        }
    }
}

/// The files of a certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key, readable by the owner only.
    pub key: PathBuf,
}

/// The certificate authority of a cluster: a folder with `ca.pem` and `ca.key`.
///
/// Whoever can read `ca.key` can become any host or client. Hosts and clients need `ca.pem` only.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority in `dir`, which is created if need be.
    ///
    /// # Errors
    ///
    /// [`TlsError::Exists`] if the folder has one already; nothing is overwritten.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self, TlsError> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(|source| TlsError::Write { path: dir.into(), source })?;
        let key = new_key()?;
        let mut params = authority_params(&key);
        let validity = Validity::days(AUTHORITY_YEARS * 365);
        params.not_before = validity.not_before.into();
        params.not_after = validity.not_after.into();
        let cert = params.self_signed(&key).map_err(make)?;
        files::write_pair(&dir.join("ca.pem"), &cert.pem(), &dir.join("ca.key"), &key.serialize_pem())?;
        Ok(Self { dir: dir.into(), issuer: Issuer::new(params, key) })
    }

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    ///
    /// [`TlsError::Read`] names the file that is missing, [`TlsError::KeyMismatch`] says that the two files do not
    /// belong together.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, TlsError> {
        let dir = dir.as_ref();
        let (cert_path, key_path) = (dir.join("ca.pem"), dir.join("ca.key"));
        let certificates = files::read_certificates(&cert_path)?;
        let unusable = |reason: String| TlsError::Unusable { path: key_path.clone(), reason };
        let pem = String::from_utf8(files::read(&key_path)?).map_err(|_| TlsError::NoKey { path: key_path.clone() })?;
        let key = KeyPair::from_pem(&pem).map_err(|error| unusable(error.to_string()))?;
        let belongs = certificates.iter().any(|certificate| {
            X509Certificate::from_der(certificate)
                .is_ok_and(|(_, parsed)| parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw())
        });
        if !belongs {
            return Err(TlsError::KeyMismatch { cert: cert_path, key: key_path });
        }
        Ok(Self { dir: dir.into(), issuer: Issuer::new(authority_params(&key), key) })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Issues the certificate of host `name`: `<name>.pem` and `<name>.key` in the authority's folder. `addresses`
    /// (IP addresses or DNS names, without ports) are written in it for people; no dialer of ours reads them.
    ///
    /// # Errors
    ///
    /// [`TlsError::Exists`] if there is one of that name; nothing is overwritten.
    pub fn issue_host(&self, name: &str, addresses: &[String], validity: Validity) -> Result<Issued, TlsError> {
        // Hosts dial each other, so that each is server and client in turn.
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(name, host_names(name, addresses)?, &usages, validity)
    }

    /// Issues the certificate of client `name` with the given rights: `<name>.pem` and `<name>.key` in the
    /// authority's folder.
    ///
    /// # Errors
    ///
    /// [`TlsError::Exists`] if there is one of that name; nothing is overwritten.
    pub fn issue_client(&self, name: &str, rights: Rights, validity: Validity) -> Result<Issued, TlsError> {
        let usages = [ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(name, client_names(name, rights)?, &usages, validity)
    }

    fn issue(
        &self,
        name: &str,
        names: Vec<String>,
        usages: &[ExtendedKeyUsagePurpose],
        validity: Validity,
    ) -> Result<Issued, TlsError> {
        validity.check()?;
        let key = new_key()?;
        let mut params = CertificateParams::new(names).map_err(make)?;
        params.distinguished_name = common_name(name);
        params.not_before = validity.not_before.into();
        params.not_after = validity.not_after.into();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages.to_vec();
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(&key, &self.issuer).map_err(make)?;
        let issued = Issued { cert: self.dir.join(format!("{name}.pem")), key: self.dir.join(format!("{name}.key")) };
        files::write_pair(&issued.cert, &cert.pem(), &issued.key, &key.serialize_pem())?;
        Ok(issued)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// What an authority says of itself. A pure function of its key, so that [`Authority::open`] signs exactly as
/// [`Authority::create`] did without reading a certificate back. The subject has part of the public key in it:
/// verifiers look an issuer up by subject, and two authorities of the same subject would be told apart only by a
/// signature that fails.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let id: String = key.public_key_raw().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("colony authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn new_key() -> Result<KeyPair, TlsError> {
    KeyPair::generate_for(&PKCS_ED25519).map_err(make)
}

fn make(error: rcgen::Error) -> TlsError {
    TlsError::Make(error.to_string())
}
