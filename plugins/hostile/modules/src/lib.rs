//! Nothing: the components are made by this package's build script, from `text/`. See `README.md`.
