//! The certificates of a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use colony_client::Identity;
use colony_link::Rights;
use colony_link::tls::{Authority, Issued, Validity};

/// Longer than any story.
const VALID_DAYS: u32 = 2;
/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The name under which a folder's client is found by the command line.
const CLIENT: &str = "client";

/// An authority and what it has issued, in a folder.
///
/// Its methods panic where the file system or the authority fails: there is no story without certificates.
#[derive(Debug)]
pub struct Certs {
    authority: Authority,
}

impl Certs {
    /// A new authority in `folder`, with a client that has every right.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn create(folder: impl AsRef<Path>) -> Self {
        let authority = Authority::create(folder).expect("an authority can be made in a new folder");
        let certs = Self { authority };
        certs.issue_client(CLIENT, Rights::ALL);
        certs
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.authority.dir()
    }

    /// The client with every right.
    ///
    /// # Panics
    /// If its files are gone.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::from_dir(self.folder()).expect("the client's certificate is there")
    }

    /// Issues a host's certificate, unless there is one of that name.
    ///
    /// # Panics
    /// If it cannot be issued.
    pub fn issue_host(&self, name: &str) {
        if !self.folder().join(name).with_extension("pem").exists() {
            self.issue_host_valid(name, Validity::days(VALID_DAYS));
        }
    }

    /// Issues a host's certificate that expired yesterday.
    ///
    /// # Panics
    /// If it cannot be issued.
    pub fn issue_expired_host(&self, name: &str) {
        self.issue_host_valid(name, expired());
    }

    /// A folder, beside this one, for a client of that name whose certificate expired yesterday.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn expired_client(&self, name: &str) -> PathBuf {
        let issued = self.authority.issue_client(name, Rights::ALL, expired()).expect("a certificate can be issued");
        self.folder_of(name, &issued)
    }

    /// A folder, beside this one, for a client of that name with these rights only.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn client_with(&self, name: &str, rights: Rights) -> PathBuf {
        let issued = self.issue_client(name, rights);
        self.folder_of(name, &issued)
    }

    fn issue_client(&self, name: &str, rights: Rights) -> Issued {
        let valid = Validity::days(VALID_DAYS);
        self.authority.issue_client(name, rights, valid).expect("a certificate can be issued")
    }

    fn issue_host_valid(&self, name: &str, validity: Validity) {
        let addresses = ["127.0.0.1".to_owned()];
        self.authority.issue_host(name, &addresses, validity).expect("a certificate can be issued");
    }

    /// A folder as an application has it: the authority's certificate without its key, and its own.
    fn folder_of(&self, name: &str, issued: &Issued) -> PathBuf {
        let folder = self.folder().with_file_name(format!("certs-of-{name}"));
        fs::create_dir(&folder).expect("a folder can be made");
        let ca = self.folder().join("ca.pem");
        for (from, to) in [(&ca, "ca.pem"), (&issued.cert, "client.pem"), (&issued.key, "client.key")] {
            fs::copy(from, folder.join(to)).expect("a file can be copied");
        }
        folder
    }
}

fn expired() -> Validity {
    let now = SystemTime::now();
    Validity { not_before: now - 2 * DAY, not_after: now - DAY }
}
