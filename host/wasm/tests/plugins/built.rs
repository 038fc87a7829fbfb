//! The plugins, built from source.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use colony_core::merge::{Conflict, Occasion, Resolution, Side};
use colony_wasm::{Limits, MergePlugin, PluginError, Runtime};
use colony_wire::Position;
use colony_wire::session::Content;

/// The limits of every host, but for time: on a busy machine the compiler or a call may stand still for longer than a host
/// would wait, which is none of most tests' business.
pub(crate) const PATIENT: Limits =
    Limits { compile_time: Duration::from_secs(60), call_time: Duration::from_secs(5), ..Limits::DEFAULT };

/// The component called `name`, as `cargo build --target wasm32-unknown-unknown --release` in `plugins/`
/// makes it. Cargo itself decides whether there is anything to build.
///
/// Artefacts go to `$COLONY_PLUGINS_TARGET`, or to `~/.cache/colony/plugins`.
pub(crate) fn component(name: &str) -> PathBuf {
    static RELEASE: OnceLock<PathBuf> = OnceLock::new();
    let release = RELEASE.get_or_init(|| {
        let target = target_dir();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins"))
            .args(["build", "--quiet", "--target", "wasm32-unknown-unknown", "--release"])
            .env("CARGO_TARGET_DIR", &target)
            .status();
        assert!(built.is_ok_and(|status| status.success()), "`cargo build` in plugins/ failed");
        target.join("wasm32-unknown-unknown/release")
    });
    release.join(format!("{}.wasm", name.replace('-', "_")))
}

fn target_dir() -> PathBuf {
    match std::env::var_os("COLONY_PLUGINS_TARGET") {
        Some(dir) => dir.into(),
        None => std::env::home_dir().expect("a home directory").join(".cache/colony/plugins"),
    }
}

/// The bytes of the component called `name`.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(component(name)).expect("the component was just built")
}

/// A merge plugin in a runtime of its own, under these limits.
pub(crate) fn merge_plugin(name: &str, limits: Limits) -> MergePlugin {
    let limits = Limits { compile_time: PATIENT.compile_time, ..limits };
    let runtime = Runtime::new(limits).expect("this machine runs WebAssembly");
    runtime.load_merge_file(component(name)).expect("a plugin of ours")
}

/// A side that holds these attributes.
pub(crate) fn side(attributes: &[(&str, &[u8])]) -> Side {
    let attributes = attributes.iter().map(|&(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)));
    Side {
        content: Content::Attributes(attributes.collect()),
        version: Position::default(),
        written_at: 0,
        expires_in: None,
    }
}

/// A conflict about one attribute, absent in the base, `1` here and `2` there.
pub(crate) fn conflict(namespace: &str, attribute: &str) -> Conflict {
    Conflict {
        namespace: namespace.into(),
        occasion: Occasion::ConcurrentSave,
        attributes: vec![attribute.into()],
        base: Some(side(&[])),
        ours: side(&[(attribute, b"1")]),
        theirs: side(&[(attribute, b"2")]),
    }
}

/// What the plugin makes of the only attribute in conflict.
pub(crate) fn value(answer: Result<Resolution, PluginError>) -> Result<String, PluginError> {
    match answer? {
        Resolution::Attributes(changes) => match changes.as_slice() {
            [(_, Some(value))] => Ok(String::from_utf8_lossy(value).into_owned()),
            other => panic!("one value was in conflict, not {other:?}"),
        },
        other => panic!("an attribute was in conflict, not {other:?}"),
    }
}
