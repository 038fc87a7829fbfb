//! The folder of a demo: its authority, certificates and logs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use colony_client::Identity;
use colony_link::Rights;
use colony_link::tls::{Authority, Validity};

use super::DemoError;

/// The client that tells the story.
const CLIENT: &str = "demo";
/// Certificates outlive the demo by this, for a cluster that is kept.
const VALID_DAYS: u32 = 7;

/// A new folder with an authority, removed with everything in it when dropped unless some of it is kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    authority: Authority,
    /// What goes when this is dropped.
    doomed: Option<PathBuf>,
}

impl Folder {
    pub(super) fn create() -> Result<Self, DemoError> {
        let random = getrandom::u64().map_err(DemoError::Entropy)?;
        let path = env::temp_dir().join(format!("colony-demo-{random:016x}"));
        create_private(&path).map_err(DemoError::io(format!("make the folder {}", path.display())))?;
        let certs = path.join("certs");
        let authority = Authority::create(certs).inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&path);
        })?;
        let folder = Self { doomed: Some(path.clone()), path, authority };
        folder.authority.issue_client(CLIENT, Rights::ALL, Validity::days(VALID_DAYS))?;
        Ok(folder)
    }

    /// Where the certificates are.
    pub(super) fn certs(&self) -> &Path {
        self.authority.dir()
    }

    /// The file that a host logs to.
    pub(super) fn log(&self, host: &str) -> PathBuf {
        self.path.join(format!("{host}.log"))
    }

    pub(super) fn issue_host(&self, name: &str) -> Result<(), DemoError> {
        self.authority.issue_host(name, &["127.0.0.1".to_owned()], Validity::days(VALID_DAYS))?;
        Ok(())
    }

    /// A certificate with every right, under which the demo speaks to the cluster.
    pub(super) fn identity(&self) -> Result<Identity, DemoError> {
        Ok(Identity::from_dir(self.certs())?)
    }

    /// Leaves the folder where it is.
    pub(super) fn keep(mut self) {
        self.doomed = None;
    }

    /// Leaves the logs where they are, and says where. The keys go.
    pub(super) fn keep_logs(mut self) -> PathBuf {
        self.doomed = Some(self.certs().to_owned());
        self.path.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(doomed) = &self.doomed {
            // Nobody is left to tell; the system's own cleaning finds it.
            let _ = fs::remove_dir_all(doomed);
        }
    }
}

/// There are private keys in it.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_demo() {
        let folder = Folder::create().unwrap();
        folder.issue_host("h1").unwrap();
        assert_eq!(folder.identity().unwrap().peer_identity().name, CLIENT);
        let path = folder.path.clone();
        assert!(path.join("certs/h1.key").is_file());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn logs_that_are_kept_are_kept_without_keys() {
        let folder = Folder::create().unwrap();
        fs::write(folder.log("h1"), "it said this").unwrap();
        let path = folder.keep_logs();
        assert!(path.join("h1.log").is_file());
        assert!(!path.join("certs").exists());
        fs::remove_dir_all(path).unwrap();
    }
}
