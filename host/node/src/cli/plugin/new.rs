//! `colony plugin new`: a crate to begin a plugin with.
//!
//! What is written are the files of `scaffold/`, with the crate's name and the place of the SDK filled in. They build
//! and pass their tests as they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::World;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::text::printable;

const MANIFEST: &str = include_str!("scaffold/Cargo.toml.in");
const CARGO_CONFIG: &str = include_str!("scaffold/config.toml.in");
const IGNORED: &str = include_str!("scaffold/gitignore.in");
const MERGE: &str = include_str!("scaffold/merge.rs.in");
const PLACEMENT: &str = include_str!("scaffold/placement.rs.in");

/// The guest SDK in the checkout that this program was built from. It is on no registry.
const OWN_SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk");
/// Where the SDK lies in a checkout.
const SDK_FOLDER: &str = "guest-sdk";
/// Where cargo puts a component.
const BUILT: &str = "target/wasm32-unknown-unknown/release";

/// Why no crate was written.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NewError {
    /// The folder's name cannot be a crate's.
    #[error(
        "{name} cannot be the name of a crate: name the folder with lower-case letters, digits and hyphens, a letter \
         first"
    )]
    Name {
        /// The name, quoted.
        name: String,
    },
    /// Something is there already.
    #[error("{} is there already and not an empty folder: name another one", dir.display())]
    Occupied {
        /// The folder.
        dir: PathBuf,
    },
    /// Nothing says where the SDK is.
    #[error(
        "the guest SDK is not where this program was built: say with --sdk where a checkout of Colony is, or the URL of \
         its git repository"
    )]
    NoSdk,
    /// There is no SDK at the place that was named.
    #[error("there is no guest SDK at {}: name a checkout of Colony, or its folder guest-sdk", path.display())]
    WrongSdk {
        /// The place.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

pub(super) fn run(world: World, dir: &Path, sdk: Option<&str>, output: Output) -> Result<(), Failure> {
    let name = crate_name(dir)?;
    let sdk = Sdk::named(sdk)?;
    let manifest = MANIFEST.replace("@NAME@", &name).replace("@SDK@", &sdk.guest()).replace("@LAWS@", &sdk.laws());
    let (source, word) = match world {
        World::Merge => (MERGE, "merge"),
        World::Placement => (PLACEMENT, "placement"),
    };
    must_be_free(dir)?;
    for (file, text) in [
        ("Cargo.toml", manifest.as_str()),
        (".cargo/config.toml", CARGO_CONFIG),
        (".gitignore", IGNORED),
        ("src/lib.rs", source),
    ] {
        write(&dir.join(file), text)?;
    }
    let built = Path::new(BUILT).join(format!("{}.wasm", name.replace('-', "_")));
    let component = dir.join(&built);
    output.answer(
        || json!({ "name": name, "world": word, "dir": dir, "component": component }),
        || {
            format!(
                "wrote a {word} plugin to {0}; next:\n  cd {0}\n  rustup target add wasm32-unknown-unknown\n  \
                 cargo test\n  cargo build --release --target wasm32-unknown-unknown\n  \
                 colony plugin check {1}\n  colony plugin install {2} {1}\n",
                printable(&dir.display().to_string()),
                printable(&built.display().to_string()),
                printable(&name),
            )
        },
    )
}

/// The folder's name, if cargo and a cluster take it: `cart` of `plugins/cart`.
fn crate_name(dir: &Path) -> Result<String, NewError> {
    // A path such as `.` has no name of its own.
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let name = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
    if fits { Ok(name) } else { Err(NewError::Name { name: format!("{name:?}") }) }
}

/// Where the guest SDK is.
enum Sdk {
    /// In this folder.
    Folder(String),
    /// In the git repository of this URL.
    Git(String),
}

impl Sdk {
    fn named(sdk: Option<&str>) -> Result<Self, NewError> {
        let Some(sdk) = sdk else {
            return Self::at(Path::new(OWN_SDK)).ok_or(NewError::NoSdk);
        };
        if sdk.contains("://") || sdk.starts_with("git@") {
            return Ok(Self::Git(sdk.to_owned()));
        }
        let path = Path::new(sdk);
        let found = Self::at(path).or_else(|| Self::at(&path.join(SDK_FOLDER)));
        found.ok_or_else(|| NewError::WrongSdk { path: path.to_owned() })
    }

    /// The SDK in this folder, if there is one.
    fn at(folder: &Path) -> Option<Self> {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        manifest.lines().find(|line| line.trim() == r#"name = "colony-guest""#)?;
        Some(Self::Folder(folder.canonicalize().ok()?.to_str()?.to_owned()))
    }

    /// What a manifest says of where it is.
    fn guest(&self) -> String {
        match self {
            Self::Folder(folder) => format!("path = {}", toml::Value::from(folder.as_str())),
            Self::Git(url) => format!("git = {}", toml::Value::from(url.as_str())),
        }
    }

    /// The same of its laws.
    fn laws(&self) -> String {
        match self {
            Self::Folder(folder) => format!("path = {}", toml::Value::from(format!("{folder}/laws"))),
            Self::Git(_) => self.guest(),
        }
    }
}

fn must_be_free(dir: &Path) -> Result<(), NewError> {
    let is_free = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_free { Ok(()) } else { Err(NewError::Occupied { dir: dir.to_owned() }) }
}

fn write(path: &Path, text: &str) -> Result<(), NewError> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| fs::write(path, text)).map_err(|source| NewError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_name_is_the_crates() {
        let named = |dir: &str| crate_name(Path::new(dir)).ok();
        assert_eq!(named("somewhere/cart-2"), Some("cart-2".to_owned()));
        assert_eq!(named("cart/"), Some("cart".to_owned()));
        for wrong in ["Cart", "2cart", "a cart", "-cart", "c\u{e4}rt", "a.b", "/"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_sdk_is_where_it_is_said_to_be() {
        let guest = |sdk| Sdk::named(sdk).map(|sdk| sdk.guest());
        let own = guest(None).expect("tests run in a checkout");
        assert!(own.starts_with("path = \"") && own.ends_with("guest-sdk\""), "{own}");
        let checkout = Path::new(OWN_SDK).join("..");
        for place in [Path::new(OWN_SDK), &checkout] {
            assert_eq!(guest(place.to_str()).ok(), Some(own.clone()));
        }
        let url = "https://example.invalid/colony";
        assert_eq!(guest(Some(url)).ok(), Some(format!("git = \"{url}\"")));
        let wrong = guest(Some("/nowhere")).expect_err("nothing is there");
        assert!(wrong.to_string().starts_with("there is no guest SDK at /nowhere"), "{wrong}");
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let output = Output::new(true);
        let dir = folder.path().join("mine");
        fs::create_dir(&dir).expect("it is made");
        fs::write(dir.join("file"), "mine").expect("it is written");
        let new = |dir: &Path| run(World::Merge, dir, None, output).map_err(|failure| failure.to_string());
        for dir in [dir.clone(), dir.join("file")] {
            assert!(new(&dir).is_err_and(|why| why.contains("is there already")), "{}", dir.display());
        }
        assert_eq!(fs::read_dir(&dir).map(Iterator::count).ok(), Some(1));
        fs::remove_file(dir.join("file")).expect("it is removed");
        assert_eq!(new(&dir), Ok(()), "an empty folder is as good as none");
        assert!(new(&dir).is_err());
    }
}
