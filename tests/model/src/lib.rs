//! Every state that one colony on three hosts can be driven into.

mod check;
mod configurations;
mod hashed;
mod model;
mod net;
mod panics;
mod rules;
mod scope;
mod step;
mod truth;
mod world;

pub use check::{Outcome, check};
pub use hashed::Hashed;
pub use model::Colony;
pub use panics::keep_quiet;
pub use scope::{Bounds, Scope};
pub use step::Action;
pub use truth::Rule;
pub use world::World;
