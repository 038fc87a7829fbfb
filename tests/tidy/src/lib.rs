//! The never-rules and the requirement table, kept by tests.
