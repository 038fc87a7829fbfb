//! Requests to stop.

use super::DemoError;

/// Waits until somebody asks this process to stop.
#[cfg(unix)]
pub(super) async fn stopped() -> DemoError {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind| signal(kind).map_err(|source| DemoError::Io { doing: "listen to signals".to_owned(), source });
    let (mut interrupt, mut terminate) = match (listen(SignalKind::interrupt()), listen(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    tokio::select! {
        _ = interrupt.recv() => DemoError::Interrupted,
        _ = terminate.recv() => DemoError::Interrupted,
    }
}

/// Waits until somebody asks this process to stop.
#[cfg(not(unix))]
pub(super) async fn stopped() -> DemoError {
    match tokio::signal::ctrl_c().await {
        Ok(()) => DemoError::Interrupted,
        Err(source) => DemoError::Io { doing: "listen to signals".to_owned(), source },
    }
}
