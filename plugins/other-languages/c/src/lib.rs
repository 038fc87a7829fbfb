//! Nothing: the component is made by this package's build script, from `c/`. See `README.md`.
