//! The client of a Colony cluster.
