//! Which crates a crate reaches, as cargo resolves them.

use std::path::Path;
use std::process::Command;

use crate::checkout;

/// A question to `cargo tree` about one package. One at a time: asked about several at once, cargo unites their
/// features and shows edges that no build of the one has.
#[derive(Debug, Clone)]
pub struct Tree {
    workspace: String,
    package: String,
    edges: &'static str,
    more: Vec<&'static str>,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// The crate's name.
    pub name: String,
    /// The feature of it that is on, where features were asked for.
    pub feature: Option<String>,
    /// Whether its source is part of this checkout.
    pub ours: bool,
}

impl Tree {
    /// What a package of the main workspace reaches in the product: its normal dependencies.
    #[must_use]
    pub fn of(package: &str) -> Self {
        Self { workspace: ".".into(), package: package.into(), edges: "normal", more: Vec::new() }
    }

    /// Asks in the workspace in this folder, named from the root, instead of the main one.
    #[must_use]
    pub fn in_workspace(mut self, folder: &str) -> Self {
        self.workspace = folder.into();
        self
    }

    /// Follows these kinds of edges instead (`cargo tree --edges`).
    #[must_use]
    pub fn edges(mut self, edges: &'static str) -> Self {
        self.edges = edges;
        self
    }

    /// Adds flags of `cargo tree`.
    #[must_use]
    pub fn with(mut self, flags: &[&'static str]) -> Self {
        self.more.extend(flags);
        self
    }

    /// Everything reached, the package itself first.
    ///
    /// # Errors
    ///
    /// What cargo said if it could not answer, with the command that repeats the question.
    pub fn reached(&self) -> Result<Vec<Reached>, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["tree", "--offline", "--locked", "--prefix", "none"])
            .args(["-p", &self.package, "-e", self.edges])
            .args(&self.more)
            .current_dir(checkout::root().join(&self.workspace));
        let repeat = format!("cargo tree -p {} -e {}", self.package, self.edges);
        let output = command.output().map_err(|error| format!("{repeat}: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{repeat}: {said}"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(parse(&text, &checkout::root()))
    }
}

/// Reads lines such as `colony-core v0.1.0 (/checkout/host/core) (*)` and `colony-core feature "mutants"`.
fn parse(text: &str, root: &Path) -> Vec<Reached> {
    let ours = format!("({}", root.display());
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| Reached {
            name: line.split_whitespace().next().unwrap_or_default().to_owned(),
            feature: line.split('"').nth(1).map(str::to_owned),
            ours: line.contains(&ours),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_name_feature_and_whose_it_is() {
        let text = "colony-core v0.1.0 (/c/host/core)\nserde v1.0.1\nserde_derive v1.0.1 (proc-macro)\n\
                    colony-core feature \"mutants\" (*)\n";
        let reached = parse(text, Path::new("/c"));
        let told: Vec<_> = reached.iter().map(|one| (one.name.as_str(), one.feature.as_deref(), one.ours)).collect();
        assert_eq!(
            told,
            [
                ("colony-core", None, true),
                ("serde", None, false),
                ("serde_derive", None, false),
                ("colony-core", Some("mutants"), false),
            ]
        );
    }

    #[test]
    fn a_package_that_does_not_exist_is_an_error() {
        let error = Tree::of("colony-nowhere").reached().unwrap_err();
        assert!(error.contains("colony-nowhere"), "{error}");
    }

    #[test]
    fn the_question_is_answered_for_a_real_package() {
        let reached = Tree::of("colony-core").reached().unwrap();
        let wire = reached.iter().find(|one| one.name == "colony-wire");
        assert!(wire.is_some_and(|one| one.ours), "{reached:?}");
    }
}
