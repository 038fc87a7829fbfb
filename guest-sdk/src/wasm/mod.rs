//! The component's side: what wit-bindgen generates from `wit/`, and the way between that and the plain
//! types that authors see. Not part of the API: only the export macros reach in here.

pub mod merge;
pub mod placement;

use crate::Level;
use merge::bindings::colony::plugin::log;

/// Hands one line to the host.
pub(crate) fn write_log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message);
}
