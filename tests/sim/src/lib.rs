//! Whole clusters of real replicas under virtual time and faults.
