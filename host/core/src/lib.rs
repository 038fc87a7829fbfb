//! The decisions of a Colony cluster: pure, no I/O, no clock, no entropy.
