//! Which calls a load is made of.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_client::Content;
use colony_load::Workload;

use crate::load::{Load, Profile};

/// Sessions of one size that calls choose from, where nothing else is said.
pub(crate) const SESSIONS: u64 = 10_000;
/// Attributes of a session that is changed in one of them.
pub(crate) const ATTRIBUTES: usize = 16;
/// Bytes of the attribute that is changed.
pub(crate) const DELTA_BYTES: usize = 32;
/// Seconds that a session lives after its last change or touch.
pub(crate) const TTL_SECONDS: u64 = 1800;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Read this session.
    Get {
        /// Which.
        session: u64,
    },
    /// Set this session's whole state.
    Set {
        /// Which.
        session: u64,
    },
    /// Change one attribute of the caller's own session.
    Delta {
        /// Which attribute.
        attribute: usize,
    },
    /// Restart this session's time to live.
    Touch {
        /// Which.
        session: u64,
    },
}

/// The call of this number: the same for every contestant and in every run. Sessions are all equally likely.
pub(crate) fn call(load: &Load, number: u64) -> Call {
    let reads_per_cent = match load.profile {
        Profile::Get => 100,
        Profile::Mixed(reads) => reads,
        Profile::Set | Profile::Delta | Profile::Touch => 0,
    };
    let workload = Workload { sessions: load.sessions, reads_per_cent, bytes: load.bytes };
    match (workload.operation(number), load.profile) {
        (colony_load::Operation::Read { session }, _) => Call::Get { session },
        (colony_load::Operation::Write { session }, Profile::Touch) => Call::Touch { session },
        (colony_load::Operation::Write { session }, Profile::Delta) => {
            Call::Delta { attribute: usize::try_from(session).unwrap_or_default() % ATTRIBUTES }
        }
        (colony_load::Operation::Write { session }, _) => Call::Set { session },
    }
}

/// The key of a session of this size: as long as the ids that Colony makes, 128 bits in hexadecimal digits.
pub(crate) fn key(bytes: usize, session: u64) -> String {
    format!("{bytes:016x}{session:016x}")
}

/// A state of two attributes whose names and values are this many bytes together, another one for each number.
pub(crate) fn two_attributes(bytes: usize, number: u64) -> BTreeMap<String, Bytes> {
    let attribute = |name: &str, bytes: usize| (name.to_owned(), state(bytes.saturating_sub(name.len()), number));
    [attribute("user", bytes / 2), attribute("cart", bytes - bytes / 2)].into_iter().collect()
}

/// Bytes of a state, with the names of its attributes.
pub(crate) fn length(content: &Content) -> usize {
    match content {
        Content::Blob(blob) => blob.len(),
        Content::Attributes(attributes) => attributes.iter().map(|(name, value)| name.len() + value.len()).sum(),
    }
}

/// A state of this many bytes, another one for each number: what a store finds unchanged it might not copy.
pub(crate) fn state(bytes: usize, number: u64) -> Bytes {
    let mut state = vec![0x5A; bytes];
    let number = number.to_le_bytes();
    let named = number.len().min(bytes);
    state[..named].copy_from_slice(&number[..named]);
    state.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(name: &str) -> Vec<Call> {
        let load: Load = name.parse().unwrap();
        (0..10_000).map(|number| call(&load, number)).collect()
    }

    #[test]
    fn a_mix_reads_as_often_as_it_says() {
        let reads = calls("mix80-1k-1x1").iter().filter(|call| matches!(call, Call::Get { .. })).count();
        assert!((7_800..8_200).contains(&reads), "{reads} reads of 10,000");
        assert!(calls("get-1k-1x1").iter().all(|call| matches!(call, Call::Get { .. })));
        assert!(calls("set-1k-1x1").iter().all(|call| matches!(call, Call::Set { .. })));
        assert!(calls("touch-1k-1x1").iter().all(|call| matches!(call, Call::Touch { .. })));
        assert!(
            calls("delta-1k-1x1")
                .iter()
                .all(|call| matches!(call, Call::Delta { attribute } if *attribute < ATTRIBUTES))
        );
    }

    #[test]
    fn a_state_is_as_long_as_it_says_in_either_form() {
        assert_eq!(length(&Content::Attributes(two_attributes(256, 1))), 256);
        assert_eq!(length(&Content::Blob(state(256, 1))), 256);
        assert_eq!(key(256, 7).len(), 32);
    }

    #[test]
    fn two_states_of_a_session_differ() {
        assert_ne!(state(256, 1), state(256, 2));
        assert_eq!(state(256, 1).len(), 256);
        assert_eq!(state(3, 1).len(), 3);
    }
}
