//! Randomness: from the system where it must not be guessed, a cheap generator where it only spreads load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use colony_wire::ClientId;

/// The system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no randomness: {0}")]
pub struct EntropyError(getrandom::Error);

fn bits_128() -> Result<u128, EntropyError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(u128::from_le_bytes(bytes))
}

/// An id for this process among all clients there ever are.
pub(crate) fn client_id() -> Result<ClientId, EntropyError> {
    bits_128().map(ClientId)
}

/// A session id that cannot be guessed: 128 bits as 32 hexadecimal digits.
pub(crate) fn session_id() -> Result<String, EntropyError> {
    Ok(format!("{:032x}", bits_128()?))
}

/// Spreads the pauses and choices of many clients. `SplitMix64` (Steele, Lea, Flood 2014); not for secrets.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn new() -> Result<Self, EntropyError> {
        getrandom::u64().map(|seed| Self(AtomicU64::new(seed))).map_err(EntropyError)
    }

    fn next(&self) -> u64 {
        const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    /// A duration in `from..to`.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Duration {
        let micros = usize::try_from(to.saturating_sub(from).as_micros()).unwrap_or(usize::MAX);
        from + Duration::from_micros(u64::try_from(self.below(micros)).unwrap_or_default())
    }

    /// Puts the items in a random order.
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_32_hexadecimal_digits_and_differ() {
        let [one, two] = [session_id().unwrap(), session_id().unwrap()];
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Jitter::new().unwrap().shuffle(&mut items);
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_pause_lies_between_its_bounds() {
        let jitter = Jitter::new().unwrap();
        let (from, to) = (Duration::from_millis(1), Duration::from_millis(2));
        for _ in 0..1000 {
            let pause = jitter.between(from, to);
            assert!(pause >= from && pause < to);
        }
        assert_eq!(jitter.between(from, from), from);
    }
}
