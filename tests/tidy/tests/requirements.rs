//! `tests/REQUIREMENTS.md` is whole and true. How a table is judged, and that a doctored one is refused:
//! `colony_tidy::requirements`.

use colony_tidy::{checkout, requirements};

#[test]
fn every_requirement_has_one_line_and_every_named_test_is_real() {
    let table = checkout::text("tests/REQUIREMENTS.md").expect("the table is part of the checkout");
    let faults = requirements::faults(&table, |file| checkout::text(file));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
