//! Where the checkout is and where its builds go.
//!
//! Builds stay outside the checkout: a clone is not filled with gigabytes, and several clones share what
//! they compile. The plugins have a folder of their own, because they are another workspace for another
//! target and would otherwise wait for the lock of the main one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where cargo builds the main workspace; also the name cargo itself knows.
pub(crate) const TARGET_VARIABLE: &str = "CARGO_TARGET_DIR";
/// Where the plugins are built.
pub(crate) const PLUGINS_VARIABLE: &str = "COLONY_PLUGINS_TARGET";

/// How the main workspace is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Soon: the one that serves tests, simulator and demo.
    Dev,
    /// As users run it: for what is measured.
    Release,
}

impl Profile {
    /// Cargo's word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
        }
    }

    /// Where cargo puts what it builds.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The folders every verb works with. All absolute.
#[derive(Debug)]
pub(crate) struct Places {
    root: PathBuf,
    target: PathBuf,
    plugins_target: PathBuf,
}

impl Places {
    /// The places as the environment names them, with defaults below `$HOME/.cache/colony`.
    pub(crate) fn from_env() -> Result<Self, Failure> {
        Self::new(checkout(), |name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn new(root: PathBuf, variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, Failure> {
        let folder = |name: &'static str, default: &str| match variable(name) {
            Some(value) => Ok(absolute(PathBuf::from(value))),
            None => match variable("HOME") {
                Some(home) => Ok(PathBuf::from(home).join(".cache/colony").join(default)),
                None => Err(Failure::NoHome { variable: name }),
            },
        };
        Ok(Self {
            target: folder(TARGET_VARIABLE, "target")?,
            plugins_target: folder(PLUGINS_VARIABLE, "plugins")?,
            root,
        })
    }

    /// The root of the checkout and of the main workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the main workspace is built.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A program of the main workspace, as built in the dev profile.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.program_in(Profile::Dev, name)
    }

    /// A program of the main workspace.
    pub(crate) fn program_in(&self, profile: Profile, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.target.join(profile.folder()).join(file)
    }

    /// The workspace of the plugins.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Where the plugins are built.
    pub(crate) fn plugins_target(&self) -> &Path {
        &self.plugins_target
    }

    /// The folder that holds the built components, one `.wasm` for each plugin.
    pub(crate) fn components(&self) -> PathBuf {
        self.plugins_target.join(crate::setup::WASM_TARGET).join("release")
    }
}

/// The folder two above this crate: cargo names the crate when it runs us, the compiler did when it built us.
fn checkout() -> PathBuf {
    let own =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.ancestors().nth(2).unwrap_or(&own).to_path_buf()
}

/// Children run in other folders than we do, so a relative folder would mean another one to each of them.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(set: &'static [(&'static str, &'static str)]) -> Result<Places, Failure> {
        Places::new(PathBuf::from("/checkout"), |name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn builds_go_outside_the_checkout_by_default() {
        let places = places(&[("HOME", "/home/me")]).unwrap();
        assert_eq!(places.target(), Path::new("/home/me/.cache/colony/target"));
        assert_eq!(places.components(), Path::new("/home/me/.cache/colony/plugins/wasm32-unknown-unknown/release"));
    }

    #[test]
    fn named_folders_win_and_need_no_home() {
        let places = places(&[(TARGET_VARIABLE, "/t"), (PLUGINS_VARIABLE, "/p")]).unwrap();
        assert_eq!(places.target(), Path::new("/t"));
        assert_eq!(places.plugins_target(), Path::new("/p"));
    }

    #[test]
    fn without_a_home_the_error_names_the_variable_to_set() {
        let failure = places(&[(TARGET_VARIABLE, "/t")]).unwrap_err();
        assert!(failure.to_string().contains(PLUGINS_VARIABLE), "{failure}");
    }

    #[test]
    fn a_relative_folder_becomes_absolute() {
        let places = places(&[(TARGET_VARIABLE, "t"), (PLUGINS_VARIABLE, "p")]).unwrap();
        assert!(places.target().is_absolute());
    }

    #[test]
    fn the_checkout_is_the_folder_with_the_workspace() {
        assert!(checkout().join("tests/xtask/Cargo.toml").is_file());
    }
}
