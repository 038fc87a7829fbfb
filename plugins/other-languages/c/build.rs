//! Makes the component of `c/` and puts it beside the other plugins.
//!
//! Three public tools: `wit-bindgen` writes the C side of the contract, clang compiles, `wasm-component-ld`, which comes
//! with Rust, links and wraps the module. Only clang may be missing, and then `cart_c.skipped` says so in place of the
//! component: whoever wants to test it shows that line.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_bindgen_core::{Files, wit_parser::Resolve};

const WORLD: &str = "merge";
/// Of the contract's C side, written by `wit-bindgen`.
const TYPES: &str = "merge_component_type.o";

const COMPILER: &[&str] = &[
    "--target=wasm32",
    "-std=c11",
    "-O3",
    "-mbulk-memory",
    // There is no C library but `libc.c`, and no call of it is to be made up.
    "-ffreestanding",
    "-nostdlib",
    "-ffunction-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
];
const LINKER: &[&str] = &["--no-entry", "--gc-sections", "--strip-all", "--stack-first", "-z", "stack-size=65536"];

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    let wit = here.join("../../../guest-sdk/wit");
    println!("cargo::rerun-if-changed={}", here.join("c").display());
    println!("cargo::rerun-if-changed={}", wit.display());
    println!("cargo::rerun-if-env-changed=CLANG");

    // OUT_DIR is PROFILE/build/PACKAGE-HASH/out; cargo puts the other components into PROFILE.
    let profile = out.ancestors().nth(3).expect("a folder for the profile");
    let (component, skipped) = (profile.join("cart_c.wasm"), profile.join("cart_c.skipped"));
    // Neither is left from an earlier build.
    for old in [&component, &skipped] {
        let _ = fs::remove_file(old);
    }
    match compiler() {
        Ok(clang) => build(&clang, &here.join("c"), &wit, &out, &component),
        Err(why) => {
            println!("cargo::warning=the plugin in C is not built: {why}");
            // A file that is not there: cargo asks again with the next build.
            println!("cargo::rerun-if-changed={}", out.join("asked-again").display());
            fs::write(skipped, why).expect("cargo lets us write beside the components");
        }
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// `$CLANG` or `clang`, if it can compile for WebAssembly: Apple's cannot.
fn compiler() -> Result<String, String> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let remedy = "install clang of LLVM 14 or later (on Debian: apt install clang), or name it in $CLANG";
    let asked = Command::new(&clang).arg("--print-targets").output();
    let asked = asked.map_err(|error| format!("{clang} does not start ({error}): {remedy}"))?;
    if String::from_utf8_lossy(&asked.stdout).contains("wasm32") {
        Ok(clang)
    } else {
        Err(format!("{clang} does not compile for wasm32: {remedy}"))
    }
}

fn build(clang: &str, source: &Path, wit: &Path, out: &Path, component: &Path) {
    write_bindings(wit, out);
    let mut objects = vec![out.join(TYPES)];
    for file in [source.join("cart.c"), source.join("libc.c"), out.join("merge.c")] {
        let object = out.join(file.file_name().expect("a file has a name")).with_extension("o");
        let mut compile = Command::new(clang);
        compile.args(COMPILER).arg("-I").arg(source.join("include")).arg("-I").arg(out);
        run(compile.arg("-c").arg(file).arg("-o").arg(&object));
        objects.push(object);
    }
    let tools = tools_of_rust();
    let mut link = Command::new(tools.join("wasm-component-ld"));
    link.arg("--wasm-ld-path").arg(tools.join("gcc-ld/wasm-ld"));
    run(link.args(LINKER).args(objects).arg("-o").arg(component));
}

/// What `wit-bindgen c --world merge` writes.
fn write_bindings(wit: &Path, out: &Path) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).expect("the contract is WIT");
    let world = resolve.select_world(&[package], Some(WORLD)).expect("the contract has this world");
    let mut files = Files::default();
    let generated = wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files);
    generated.expect("the contract can be said in C");
    for (name, bytes) in files.iter() {
        fs::write(out.join(name), bytes).expect("cargo lets us write here");
    }
}

/// The folder of the programs that a Rust toolchain keeps for itself.
fn tools_of_rust() -> PathBuf {
    let rustc = variable("RUSTC");
    let asked = Command::new(&rustc).args(["--print", "sysroot"]).output().expect("rustc starts");
    let sysroot = String::from_utf8(asked.stdout).expect("rustc writes text");
    [sysroot.trim(), "lib/rustlib", &variable("HOST"), "bin"].iter().collect()
}

fn run(command: &mut Command) {
    let ended = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}");
}
