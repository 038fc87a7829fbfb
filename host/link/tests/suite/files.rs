//! Certificates in files.

use std::fs;
use std::path::Path;

use colony_link::tls::{Authority, Identity, TlsError, Validity};
use colony_link::{PeerIdentity, Rights};
use tempfile::TempDir;

fn authority() -> (TempDir, Authority) {
    let dir = TempDir::new().unwrap();
    let authority = Authority::create(dir.path()).unwrap();
    (dir, authority)
}

fn names_path(error: &TlsError, path: &Path) {
    assert!(error.to_string().contains(&path.display().to_string()), "{error} does not name {}", path.display());
}

#[test]
fn an_identity_says_who_it_is() {
    let (dir, authority) = authority();
    let host = authority.issue_host("h1", &["10.0.0.1".into(), "h1.example".into()], Validity::days(1)).unwrap();
    let client = authority.issue_client("shop", Rights::READ_WRITE, Validity::days(1)).unwrap();
    let ca = dir.path().join("ca.pem");
    let identity = Identity::from_files(&ca, &host.cert, &host.key).unwrap();
    assert_eq!(*identity.peer_identity(), PeerIdentity::host("h1"));
    let identity = Identity::from_files(&ca, &client.cert, &client.key).unwrap();
    assert_eq!(*identity.peer_identity(), PeerIdentity::client("shop", Rights::READ_WRITE));
    assert!(!format!("{identity:?}").contains("PRIVATE"));
}

#[cfg(unix)]
#[test]
fn private_keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, authority) = authority();
    authority.issue_host("h1", &[], Validity::days(1)).unwrap();
    for key in ["ca.key", "h1.key"] {
        let mode = fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let (dir, authority) = authority();
    let before = fs::read(dir.path().join("ca.key")).unwrap();
    let error = Authority::create(dir.path()).unwrap_err();
    assert!(matches!(error, TlsError::Exists { .. }), "{error}");
    assert_eq!(fs::read(dir.path().join("ca.key")).unwrap(), before);

    let issued = authority.issue_host("h1", &[], Validity::days(1)).unwrap();
    let before = fs::read(&issued.cert).unwrap();
    let error = authority.issue_client("h1", Rights::ALL, Validity::days(1)).unwrap_err();
    names_path(&error, &issued.cert);
    assert_eq!(fs::read(&issued.cert).unwrap(), before);

    // A certificate without its key, or a key without its certificate, is in the way too, and stays as it is.
    fs::remove_file(&issued.cert).unwrap();
    let error = authority.issue_host("h1", &[], Validity::days(1)).unwrap_err();
    names_path(&error, &issued.key);
    assert!(!issued.cert.exists());
}

#[test]
fn an_opened_authority_issues_what_the_first_one_would() {
    let (dir, _) = authority();
    let opened = Authority::open(dir.path()).unwrap();
    let issued = opened.issue_host("h1", &[], Validity::days(1)).unwrap();
    Identity::from_files(dir.path().join("ca.pem"), issued.cert, issued.key).unwrap();
}

#[test]
fn a_file_that_is_missing_or_wrong_is_named() {
    let (dir, authority) = authority();
    let issued = authority.issue_host("h1", &[], Validity::days(1)).unwrap();
    let other = authority.issue_host("h2", &[], Validity::days(1)).unwrap();
    let ca = dir.path().join("ca.pem");
    let gone = dir.path().join("gone.pem");

    names_path(&Identity::from_files(&gone, &issued.cert, &issued.key).unwrap_err(), &gone);
    names_path(&Identity::from_files(&ca, &gone, &issued.key).unwrap_err(), &gone);
    names_path(&Identity::from_files(&ca, &issued.cert, &gone).unwrap_err(), &gone);

    let swapped = Identity::from_files(&ca, &issued.key, &issued.cert).unwrap_err();
    assert!(matches!(swapped, TlsError::NoCertificate { .. }), "{swapped}");
    names_path(&swapped, &issued.key);
    let no_key = Identity::from_files(&ca, &issued.cert, &issued.cert).unwrap_err();
    assert!(matches!(no_key, TlsError::NoKey { .. }), "{no_key}");
    let mixed = Identity::from_files(&ca, &issued.cert, &other.key).unwrap_err();
    assert!(matches!(mixed, TlsError::KeyMismatch { .. }), "{mixed}");

    let broken = dir.path().join("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nnonsense!\n-----END CERTIFICATE-----\n").unwrap();
    names_path(&Identity::from_files(&ca, &broken, &issued.key).unwrap_err(), &broken);
    names_path(&Identity::from_files(&broken, &issued.cert, &issued.key).unwrap_err(), &broken);

    let huge = dir.path().join("huge.pem");
    fs::write(&huge, vec![b'x'; 2 << 20]).unwrap();
    names_path(&Identity::from_files(&ca, &huge, &issued.key).unwrap_err(), &huge);

    let foreign = TempDir::new().unwrap();
    Authority::create(foreign.path()).unwrap();
    let foreign_ca = foreign.path().join("ca.pem");
    let error = Identity::from_files(&foreign_ca, &issued.cert, &issued.key).unwrap_err();
    assert!(matches!(error, TlsError::WrongAuthority { .. }), "{error}");

    fs::copy(&foreign_ca, &broken).unwrap();
    let mixed = TempDir::new().unwrap();
    fs::copy(&foreign_ca, mixed.path().join("ca.pem")).unwrap();
    fs::copy(dir.path().join("ca.key"), mixed.path().join("ca.key")).unwrap();
    let error = Authority::open(mixed.path()).unwrap_err();
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    names_path(&Authority::open(dir.path().join("nowhere")).unwrap_err(), &dir.path().join("nowhere/ca.pem"));
}

#[test]
fn an_expired_certificate_still_loads() {
    let (dir, authority) = authority();
    let day = std::time::Duration::from_secs(24 * 3600);
    let now = std::time::SystemTime::now();
    let validity = Validity { not_before: now - day * 2, not_after: now - day };
    let issued = authority.issue_host("h1", &[], validity).unwrap();
    Identity::from_files(dir.path().join("ca.pem"), issued.cert, issued.key).unwrap();

    let backwards = Validity { not_before: now, not_after: now - day };
    let error = authority.issue_host("h2", &[], backwards).unwrap_err();
    assert!(matches!(error, TlsError::Validity), "{error}");
}

#[test]
fn a_client_finds_its_certificate_in_a_folder() {
    let (dir, authority) = authority();
    let error = Identity::from_dir(dir.path()).unwrap_err();
    assert!(matches!(error, TlsError::NoClient { .. }), "{error}");
    names_path(&error, dir.path());

    // Hosts' certificates beside it do not count.
    authority.issue_host("h1", &[], Validity::days(1)).unwrap();
    authority.issue_client("shop", Rights::ALL, Validity::days(1)).unwrap();
    assert_eq!(Identity::from_dir(dir.path()).unwrap().peer_identity().name, "shop");

    authority.issue_client("bank", Rights::ALL, Validity::days(1)).unwrap();
    let error = Identity::from_dir(dir.path()).unwrap_err();
    assert!(error.to_string().contains("bank.pem, shop.pem"), "{error}");

    authority.issue_client("client", Rights::ALL, Validity::days(1)).unwrap();
    assert_eq!(Identity::from_dir(dir.path()).unwrap().peer_identity().name, "client");

    fs::remove_file(dir.path().join("ca.pem")).unwrap();
    names_path(&Identity::from_dir(dir.path()).unwrap_err(), &dir.path().join("ca.pem"));
    let nowhere = dir.path().join("nowhere");
    names_path(&Identity::from_dir(&nowhere).unwrap_err(), &nowhere);
}

#[test]
fn a_name_that_is_none_makes_no_certificate() {
    let (_dir, authority) = authority();
    for name in ["", "A", "a b", "../x", "any", "ca"] {
        assert!(matches!(authority.issue_host(name, &[], Validity::days(1)), Err(TlsError::Name(_))), "{name}");
        let client = authority.issue_client(name, Rights::ALL, Validity::days(1));
        assert!(matches!(client, Err(TlsError::Name(_))), "{name}");
    }
}
