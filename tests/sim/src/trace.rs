//! What happened, as one number: two runs of one seed must end with the same.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::clock::Micros;

/// A running hash over everything that goes into and comes out of the replicas, and a print of it if asked.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    notes: u64,
    print: bool,
}

impl Trace {
    /// Nothing has happened. With `print`, every note is printed as a line.
    #[must_use]
    pub fn new(print: bool) -> Self {
        Self { hash: 0, notes: 0, print }
    }

    /// Takes in one thing that happened: its bytes into the hash, its words into the print.
    pub fn note(&mut self, at: Micros, bytes: &[u8], words: impl FnOnce() -> String) {
        self.hash = xxh3_64_with_seed(bytes, self.hash ^ at);
        self.notes += 1;
        if self.print {
            println!("{}.{:06} {}", at / 1_000_000, at % 1_000_000, words());
        }
    }

    /// As [`Trace::note`], for what has no bytes but its words.
    pub fn words(&mut self, at: Micros, words: fmt::Arguments<'_>) {
        let text = words.to_string();
        self.note(at, text.as_bytes(), || text.clone());
    }

    /// The hash of all notes so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many notes there are.
    #[must_use]
    pub fn notes(&self) -> u64 {
        self.notes
    }
}
