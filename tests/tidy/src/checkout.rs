//! The files of this checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::source;

/// Folders that hold builds or a version control's own files, never ours.
const FOREIGN_FOLDERS: &[&str] = &[".git", "target"];

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// Every file under version control, relative to the root and sorted. Without version control (an unpacked
/// archive) every file there is: then all of them were delivered.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    let mut files = tracked().unwrap_or_else(|| walk(&root()));
    files.sort();
    files
}

/// The text of a file named relative to the root; none if it is absent or not text.
#[must_use]
pub fn text(file: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(root().join(file)).ok()
}

/// The Rust sources below a folder, relative to the root, whether or not they are under version control yet.
#[must_use]
pub fn rust_sources(folder: &str) -> Vec<PathBuf> {
    let mut files = walk(&root().join(folder));
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files
}

/// The sources below a crate's `src` that are compiled into the product: those of test modules left out.
#[must_use]
pub fn product_sources(krate: &str) -> Vec<PathBuf> {
    let mut files = rust_sources(&format!("{krate}/src"));
    let modules: Vec<PathBuf> = files.iter().flat_map(test_modules).collect();
    files.retain(|file| !modules.iter().any(|module| file.starts_with(module) || *file == module.with_extension("rs")));
    files
}

/// The folders of the crates of the main workspace, relative to the root.
#[must_use]
pub fn crates() -> Vec<PathBuf> {
    let mut folders: Vec<_> = ["guest-sdk", "host", "tests"].into_iter().flat_map(packages).collect();
    folders.sort();
    folders
}

/// The folders of the plugins, relative to the root, those that a host must survive included.
#[must_use]
pub fn plugins() -> Vec<PathBuf> {
    let mut folders = packages("plugins");
    folders.sort();
    folders
}

/// The name of the package in a folder, as its manifest gives it.
#[must_use]
pub fn package_name(folder: &Path) -> Option<String> {
    let manifest = text(folder.join("Cargo.toml"))?;
    let mut names = manifest.lines().filter_map(|line| line.strip_prefix("name = "));
    Some(names.next()?.trim().trim_matches('"').to_owned())
}

/// Every folder below `parent`, itself included, whose manifest is that of a package.
fn packages(parent: &str) -> Vec<PathBuf> {
    let manifests = walk(&root().join(parent)).into_iter();
    let manifests = manifests.filter(|file| file.file_name().is_some_and(|name| name == "Cargo.toml"));
    manifests
        .filter(|file| text(file).is_some_and(|text| text.lines().any(|line| line == "[package]")))
        .filter_map(|file| file.parent().map(Path::to_path_buf))
        .collect()
}

/// The paths, without extension, of the modules that a file declares for tests only and keeps elsewhere.
fn test_modules(file: &PathBuf) -> Vec<PathBuf> {
    let code = source::code(&text(file).unwrap_or_default());
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => file.parent().map(Path::to_path_buf),
        Some(_) => Some(file.with_extension("")),
    };
    let folder = folder.unwrap_or_default();
    let modules = source::test_modules(&code).into_iter();
    modules.map(|module| folder.join(module)).collect()
}

fn tracked() -> Option<Vec<PathBuf>> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z"]).current_dir(root());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let names = String::from_utf8(output.stdout).ok()?;
    let files: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    (!files.is_empty()).then_some(files)
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in entries(&folder) {
            let foreign = entry.file_name().is_some_and(|name| FOREIGN_FOLDERS.iter().any(|&folder| name == folder));
            if !entry.is_dir() {
                files.push(relative(&entry));
            } else if !foreign {
                open.push(entry);
            }
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_of_the_workspace_are_found() {
        let crates = crates();
        for known in ["guest-sdk", "host/core", "host/wire", "tests/tidy"] {
            assert!(crates.iter().any(|krate| krate == known), "{known} in {crates:?}");
        }
    }

    #[test]
    fn a_package_is_known_by_its_manifest() {
        assert_eq!(package_name(Path::new("tests/tidy")).as_deref(), Some("colony-tidy"));
        assert_eq!(package_name(Path::new("tests")), None);
    }

    #[test]
    fn sources_are_named_from_the_root() {
        let sources = product_sources("tests/tidy");
        assert!(sources.contains(&PathBuf::from("tests/tidy/src/checkout.rs")));
        assert!(text(&sources[0]).is_some());
    }
}
