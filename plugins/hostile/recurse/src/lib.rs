//! Calls itself until the stack ends.

use std::hint::black_box;

use colony_guest::merge::Resolution;
use hostile::Hostile;

colony_guest::export_merge!(Hostile(|| Resolution::Value(vec![deeper(0)])));

fn deeper(depth: u64) -> u8 {
    let frame = black_box([depth; 64]);
    if frame[0] == u64::MAX {
        return 0;
    }
    deeper(frame[0] + 1).wrapping_add(frame[63] as u8)
}
