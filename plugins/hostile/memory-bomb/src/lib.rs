//! Takes all the memory it can get.

use std::hint::black_box;

use hostile::Hostile;

colony_guest::export_merge!(Hostile(|| {
    loop {
        black_box(Vec::<u8>::with_capacity(1 << 20)).leak();
    }
}));
