//! What is logged, on the error stream.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::failure::Failure;

/// Names what is logged; the form is that of tracing-subscriber's `EnvFilter`.
const VARIABLE: &str = "COLONY_LOG";
/// A host tells its story; of the libraries below only what is wrong.
const HOST: &str = "info,openraft=warn,quinn=warn,quinn_proto=warn,wasmtime=warn,cranelift=warn";
/// Other commands answer on the standard output.
const COMMAND: &str = "warn";

pub(super) fn start(is_host: bool) -> Result<(), Failure> {
    let default = if is_host { HOST } else { COMMAND };
    let directives = env::var(VARIABLE).ok().filter(|it| !it.is_empty());
    let filter = match directives {
        None => EnvFilter::new(default),
        Some(directives) => EnvFilter::try_new(directives)
            .map_err(|error| Failure::Usage(format!("{VARIABLE}: {error}; it is a list like info,quinn=debug")))?,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}
