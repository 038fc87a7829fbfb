//! Waiting for what takes time.

use std::time::Duration;

use tokio::time::{self, Instant};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks again and again until what is claimed holds; `look` says what is still missing.
///
/// # Panics
/// With what was missing at the last look, if it does not hold `within` this time.
pub async fn until<T>(claim: &str, within: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(missing) if begun.elapsed() >= within => panic!("not within {within:?}: {claim}; {missing}"),
            Err(_) => time::sleep(LOOK_EVERY).await,
        }
    }
}
