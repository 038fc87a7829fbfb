//! What lets a restarted process tell its forerunner's peers that it does not know their connections.

use std::time::Duration;

use quinn::crypto::{CryptoError, HmacKey};
use quinn::{ConnectionId, ConnectionIdGenerator};
use rustls::crypto::SecureRandom;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::ring::default_provider;
use rustls::crypto::tls13::{Hkdf, OkmBlock};

/// Separates this key from any other use of the same secret.
const SALT: &[u8] = b"colony link, endpoint keys, 1";

/// Signs the tokens of stateless resets. Derived from the private key of the certificate, so that the next process with
/// that certificate makes the same tokens.
pub(super) struct ResetKey {
    hkdf: &'static dyn Hkdf,
    key: OkmBlock,
}

impl ResetKey {
    /// Length of a signature: HMAC with SHA-256.
    const LEN: usize = 32;

    pub(super) fn derive(secret: &[u8]) -> Self {
        let hkdf = hkdf();
        let key = hkdf.extract_from_secret(Some(SALT), secret).expand_block(&[b"stateless reset"]);
        Self { hkdf, key }
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(self.hkdf.hmac_sign(&self.key, data).as_ref());
    }

    fn signature_len(&self) -> usize {
        Self::LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let expected = self.hkdf.hmac_sign(&self.key, data);
        let expected = expected.as_ref();
        // Looks at every byte whatever the first difference: the time taken says nothing of the key.
        let differs = expected.iter().zip(signature).fold(0, |all, (a, b)| all | (a ^ b));
        if expected.len() == signature.len() && differs == 0 { Ok(()) } else { Err(CryptoError) }
    }
}

/// Draws connection ids at random, and takes any id for one of its own.
///
/// quinn's default generator signs its ids with a key drawn at start, and a process ignores packets whose id it did
/// not sign: those of its forerunner's connections too, so that their peers would get no reset and wait for their
/// idle timeout.
pub(super) struct RandomIds {
    random: &'static dyn SecureRandom,
}

impl RandomIds {
    /// Bytes of an id: so many that none is drawn twice within its use.
    const LEN: usize = 8;

    pub(super) fn new() -> Self {
        Self { random: default_provider().secure_random }
    }
}

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; Self::LEN];
        self.random.fill(&mut id).expect("the system gives random bytes, or TLS would not work either");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        Self::LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn hkdf() -> &'static dyn Hkdf {
    TLS13_AES_128_GCM_SHA256.tls13().expect("the suite is one of TLS 1.3").hkdf_provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_depends_on_the_secret_and_on_nothing_else() {
        let sign = |secret: &[u8]| {
            let mut signature = [0; ResetKey::LEN];
            ResetKey::derive(secret).sign(b"id", &mut signature);
            signature
        };
        assert_eq!(sign(b"a"), sign(b"a"));
        assert_ne!(sign(b"a"), sign(b"b"));
        assert!(ResetKey::derive(b"a").verify(b"id", &sign(b"a")).is_ok());
        assert!(ResetKey::derive(b"a").verify(b"id", &sign(b"b")).is_err());
        assert!(ResetKey::derive(b"a").verify(b"id", &sign(b"a")[..31]).is_err());
    }
}
