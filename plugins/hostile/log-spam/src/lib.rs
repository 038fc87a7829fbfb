//! Logs 1,000 lines of 2 KiB each, then answers.

use colony_guest::log;
use hostile::{Hostile, count};

colony_guest::export_merge!(Hostile(|| {
    let line = "spam".repeat(512);
    for number in 0..1_000 {
        log!(Warn, "{number} {line}");
    }
    count()
}));
