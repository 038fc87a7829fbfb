//! What is no plugin is refused with one line that says why.

use std::time::Duration;

use colony_wasm::{Limits, LoadError, PluginError, Runtime};

use crate::built;

fn runtime() -> Runtime {
    Runtime::new(built::PATIENT).expect("this machine runs WebAssembly")
}

fn refusal(runtime: &Runtime, bytes: &[u8]) -> LoadError {
    let error = runtime.load_merge("test", bytes).err().expect("no plugin");
    let line = error.to_string();
    assert!(!line.is_empty() && !line.contains('\n') && line.len() < 400, "{line:?}");
    error
}

#[test]
fn garbage_is_not_webassembly() {
    let runtime = runtime();
    for bytes in [&b""[..], b"\0as", b"\x7fELF\x02\x01\x01\0", b"(component)", &[0xff; 4096]] {
        assert!(matches!(refusal(&runtime, bytes), LoadError::NotWebAssembly), "{bytes:?}");
    }
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let error = refusal(&runtime(), b"\0asm\x01\0\0\0");
    assert!(matches!(error, LoadError::CoreModule));
    assert!(error.to_string().contains("wasm-component-ld"));
}

#[test]
fn a_truncated_component_is_invalid_wherever_it_was_cut() {
    let runtime = runtime();
    let bytes = built::bytes("cart-merge");
    let cuts = (8..bytes.len()).step_by(997).chain([5, bytes.len() - 1]);
    for cut in cuts {
        match refusal(&runtime, &bytes[..cut]) {
            LoadError::Invalid { .. } | LoadError::MissingExport { .. } => {}
            other => panic!("cut at {cut}: {other}"),
        }
    }
}

#[test]
fn a_damaged_component_never_brings_the_host_down() {
    let runtime = runtime();
    let bytes = built::bytes("spread-zones");
    for at in (4..bytes.len()).step_by(bytes.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        // It may be refused, and it may happen to be valid: both are fine, a panic is not.
        let _ = runtime.load_placement("test", &damaged);
    }
}

#[test]
fn an_import_beyond_the_log_is_refused_by_name() {
    // A component whose only item is the import of a function: the preamble, a type section with
    // `(func)`, an import section with the name and that type.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend([7, 5, 1, 0x40, 0, 1, 0]);
    bytes.extend([10, 13, 1, 0, 8]);
    bytes.extend(b"wall-now");
    bytes.extend([1, 0]);
    match refusal(&runtime(), &bytes) {
        LoadError::RefusedImport { name } => assert_eq!(name, "wall-now"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_plugin_of_the_other_world_is_refused() {
    let runtime = runtime();
    let as_merge = refusal(&runtime, &built::bytes("spread-zones"));
    assert!(matches!(as_merge, LoadError::MissingExport { kind: "merge", .. }), "{as_merge}");
    let as_placement = runtime.load_placement("test", &built::bytes("cart-merge")).err();
    assert!(matches!(as_placement, Some(LoadError::MissingExport { kind: "placement", .. })));
    // A component that exports nothing at all.
    let empty = refusal(&runtime, b"\0asm\x0d\0\x01\0");
    assert!(empty.to_string().ends_with("only nothing"), "{empty}");
}

#[test]
fn a_component_beyond_the_limit_is_refused_before_it_is_looked_at() {
    let limits = Limits { component_bytes: 1000, ..built::PATIENT };
    let runtime = Runtime::new(limits).expect("this machine runs WebAssembly");
    assert!(matches!(refusal(&runtime, &[0; 1001]), LoadError::TooLarge { limit: 1000 }));
    let file = runtime.load_merge_file(built::component("cart-merge")).err();
    assert!(matches!(file, Some(LoadError::TooLarge { limit: 1000 })));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("missing.wasm");
    for path in [missing.as_path(), folder.path()] {
        let error = runtime().load_merge_file(path).err().expect("no plugin");
        assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn a_component_that_compiles_too_long_is_given_up() {
    let limits = Limits { compile_time: Duration::ZERO, ..Limits::DEFAULT };
    let runtime = Runtime::new(limits).expect("this machine runs WebAssembly");
    let error = refusal(&runtime, &built::bytes("cart-merge"));
    assert!(matches!(error, LoadError::CompileTime { .. }), "{error}");
}

#[test]
fn a_plugin_that_needs_more_memory_than_there_is_does_not_start() {
    let limits = Limits { memory_bytes: 64 << 10, ..built::PATIENT };
    let runtime = Runtime::new(limits).expect("this machine runs WebAssembly");
    let error = refusal(&runtime, &built::bytes("cart-merge"));
    assert!(matches!(error, LoadError::Start(PluginError::OutOfMemory { .. })), "{error}");
}

#[test]
fn a_plugin_is_known_by_its_name_and_its_bytes() {
    let runtime = runtime();
    let bytes = built::bytes("cart-merge");
    let plugin = runtime.load_merge_file(built::component("cart-merge")).expect("a plugin of ours");
    let renamed = runtime.load_merge("carts", &bytes).expect("a plugin of ours");
    assert_eq!((plugin.identity().name(), renamed.identity().name()), ("cart_merge", "carts"));
    assert_eq!(plugin.identity().content_hex(), blake3::hash(&bytes).to_hex().to_string());
    assert_eq!(plugin.identity().content_id(), renamed.identity().content_id());
}

#[test]
fn a_plugin_shows_by_itself_which_kind_it_is() {
    use colony_wire::plugin::PluginKind;

    let runtime = runtime();
    for (name, kind) in [("cart-merge", PluginKind::Merge), ("spread-zones", PluginKind::Placement)] {
        let plugin = runtime.load("test", &built::bytes(name)).expect("it is a plugin");
        assert_eq!(plugin.kind(), kind, "{name}");
        assert_eq!(plugin.identity().content_id(), colony_wasm::content_id(&built::bytes(name)));
    }
    assert!(matches!(runtime.load("test", b"words"), Err(LoadError::NotWebAssembly)));
}
