//! Plugins that are not written in Rust are plugins: the contract is WIT.

use std::io::{self, Write};

use colony_wasm::Limits;

use crate::built::{PATIENT, component, merge_plugin};
use crate::laws::check_merge;
use crate::merge::assert_is_the_cart;

/// Whether there is a component of this name. If what builds it is missing on this machine, that is said where a test that
/// passes is heard as well.
fn is_built(name: &str) -> bool {
    let file = component(name);
    let Ok(why) = std::fs::read_to_string(file.with_extension("skipped")) else { return true };
    let line = format!("\nSKIPPED: {name} is NOT TESTED: {why}\n");
    io::stderr().write_all(line.as_bytes()).expect("somebody reads what tests say");
    false
}

/// By `wit-bindgen`, clang and `wasm-component-ld`, within the limits of every plugin.
#[test]
fn a_cart_in_c_merges_as_the_one_in_rust() {
    if is_built("cart-c") {
        assert_is_the_cart(&merge_plugin("cart-c", PATIENT));
    }
}

/// Its author would see the same of `colony plugin check`.
#[test]
fn a_cart_in_c_keeps_every_law() {
    if is_built("cart-c") {
        let report = check_merge("cart-c");
        assert!(report.passed(), "{report}");
    }
}

/// More calls than an instance answers, with answers as large as they get: nothing is left behind by one for the next.
#[test]
fn a_cart_in_c_gives_back_what_it_took() {
    if !is_built("cart-c") {
        return;
    }
    // Less than three questions like this, and far less than all of them.
    let plugin = merge_plugin("cart-c", Limits { memory_bytes: 1 << 20, ..PATIENT });
    let large = vec![b'x'; 60 << 10];
    let side = |value: &[u8]| crate::built::side(&[("colour", value)]);
    let mut conflict = crate::built::conflict("carts", "colour");
    (conflict.ours, conflict.theirs) = (side(&large), side(b"red"));
    conflict.ours.written_at = 1;
    for call in 0..64 {
        let answer =
            crate::built::value(plugin.merge(&conflict)).unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(answer.len(), large.len());
    }
    assert_eq!(plugin.instances(), 1, "all calls were one instance's");
}
