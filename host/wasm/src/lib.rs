//! Merge and placement plugins: the only crate that names wasmtime.
