//! The one thing a plugin may ask of its host.

use std::fmt;

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For the plugin's author.
    Debug,
    /// Worth knowing, nothing to do.
    Info,
    /// Odd, and the plugin went on.
    Warn,
    /// The plugin could not do what it should.
    Error,
}

/// Writes one line to the log of the host that runs the plugin; natively, to standard error.
///
/// The host cuts a line at 1 KiB and drops what one call writes beyond 16 lines. Never log what sessions
/// hold: logs go to other places than sessions do. [`log!`](crate::log!) is the short way to call this.
pub fn write_log(level: Level, message: fmt::Arguments<'_>) {
    #[cfg(target_family = "wasm")]
    crate::wasm::write_log(level, &message.to_string());
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?}: {message}");
}

/// Writes one formatted line to the host's log: `log!(Warn, "{} is no number", conflict.name)`.
///
/// The first word is a variant of [`Level`](crate::Level). See [`write_log`](crate::write_log).
#[macro_export]
macro_rules! log {
    ($level:ident, $($message:tt)+) => {
        $crate::write_log($crate::Level::$level, ::core::format_args!($($message)+))
    };
}
