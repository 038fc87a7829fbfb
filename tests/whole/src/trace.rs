//! What the hosts log, with virtual time and the host that says it.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// What is logged unless `COLONY_LOG` says otherwise.
const DEFAULT: &str = "info,openraft=warn";

thread_local! {
    static TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Virtual time is this now.
pub(crate) fn show_time(elapsed: Duration) {
    TIME.set(elapsed);
}

/// The host of this machine is running now, or none.
pub(crate) fn show_place(machine: Option<usize>) {
    PLACE.set(machine);
}

/// Virtual time and the host that is running.
struct Here;

impl FormatTime for Here {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let place = PLACE.get().map_or_else(|| "--".to_owned(), crate::machine::name);
        write!(to, "{:>9.3} {place}", TIME.get().as_secs_f64())
    }
}

/// Writes what is logged to the error stream.
pub fn begin() {
    let directives = std::env::var("COLONY_LOG").unwrap_or_else(|_| DEFAULT.to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_timer(Here)
        .with_writer(std::io::stderr)
        .init();
}
