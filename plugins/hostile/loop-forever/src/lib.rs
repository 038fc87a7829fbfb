//! Never answers.

use std::hint::black_box;

use hostile::Hostile;

colony_guest::export_merge!(Hostile(|| {
    loop {
        black_box(());
    }
}));
