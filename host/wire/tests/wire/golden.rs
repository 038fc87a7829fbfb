//! The bytes of the format are agreed: a change of them is seen here, and only a new frame version allows
//! it once two builds meet in one cluster. A change that is meant is written down by
//! `WIRE_GOLDEN=write cargo test -p colony-wire golden`, and its difference read before it is committed.

use std::fmt::Write;

use colony_wire::{Frame, HEADER_LEN};

use crate::examples;

/// One line for each example: its name and its frame in hex.
const GOLDEN: &str = include_str!("golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn every_example_keeps_its_bytes() {
    let now: String = examples::all().iter().map(|(name, frame)| format!("{name} {}\n", hex(frame))).collect();
    if std::env::var("WIRE_GOLDEN").is_ok_and(|it| it == "write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/golden.txt");
        std::fs::write(path, now).expect("the file is writable");
        return;
    }
    let changed: Vec<_> = now.lines().filter(|line| !GOLDEN.lines().any(|agreed| agreed == *line)).collect();
    assert!(changed.is_empty(), "these are not as agreed:\n{}\n", changed.join("\n"));
    assert_eq!(now, GOLDEN, "golden.txt holds examples that are gone, or another order");
}

#[test]
fn the_header_is_sixteen_bytes_little_endian() {
    let (_, frame) = examples::all().remove(0);
    assert_eq!(hex(&frame[..HEADER_LEN]), "1ac0010001010000".to_owned() + "4433221100000000");
    let parsed = Frame::parse(frame).expect("an example parses");
    assert_eq!(parsed.call, 0x1122_3344);
}
