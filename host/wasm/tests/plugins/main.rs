//! Real plugins, built from `plugins/`, through the whole of this crate.

mod built;
mod hostile;
mod laws;
mod limits;
mod load;
mod merge;
mod other_languages;
mod placement;
