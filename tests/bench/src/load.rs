//! What a contestant is asked for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::workload::SESSIONS;

/// Kinds of calls, as applications mix them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    /// Sets the whole state of a session.
    Set,
    /// Reads a session.
    Get,
    /// Of a hundred calls so many read, the others set.
    Mixed(u8),
    /// Changes one small attribute of a session that has many.
    Delta,
    /// Restarts a session's time to live.
    Touch,
}

impl Profile {
    /// Whether some of its calls need sessions that are there already.
    pub(crate) fn needs_sessions(self) -> bool {
        !matches!(self, Self::Set | Self::Delta)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set => f.write_str("set"),
            Self::Get => f.write_str("get"),
            Self::Mixed(reads) => write!(f, "mix{reads}"),
            Self::Delta => f.write_str("delta"),
            Self::Touch => f.write_str("touch"),
        }
    }
}

/// Calls of one profile on sessions of one size, and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Kinds of calls.
    pub(crate) profile: Profile,
    /// Bytes of a session's state.
    pub(crate) bytes: usize,
    /// Connections of Colony's clients, or of the ceiling's. Rivals have one to each call in flight.
    pub(crate) connections: usize,
    /// Calls in flight on each of them.
    pub(crate) each: usize,
    /// Sessions that calls choose from.
    pub(crate) sessions: u64,
}

impl Load {
    /// Calls in flight, of all connections.
    pub(crate) fn in_flight(&self) -> usize {
        self.connections * self.each
    }
}

impl fmt::Display for Load {
    /// Its name, as in `set-1k-1x64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}x{}", self.profile, Size(self.bytes), self.connections, self.each)
    }
}

/// A number of bytes as it stands in names.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1024 && self.0.is_multiple_of(1024) {
            write!(f, "{}k", self.0 / 1024)
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// How calls are begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Each caller calls again once it is answered: what can be carried.
    Closed,
    /// So many a second, whatever becomes of them: how long one waits. A latency counts from when its call was meant
    /// to begin (Tene, *How NOT to Measure Latency*).
    Open {
        /// Calls a second.
        rate: f64,
    },
}

/// How long one measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// What is not counted at the begin.
    pub(crate) warm: Duration,
    /// What is counted.
    pub(crate) measure: Duration,
}

/// Text that is no profile, size or count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoLoad;

impl FromStr for Load {
    type Err = NoLoad;

    fn from_str(text: &str) -> Result<Self, NoLoad> {
        let mut parts = text.split('-');
        let (Some(profile), Some(size), Some(at_a_time), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoLoad);
        };
        let profile = match profile {
            "set" => Profile::Set,
            "get" => Profile::Get,
            "delta" => Profile::Delta,
            "touch" => Profile::Touch,
            other => match other.strip_prefix("mix").and_then(|reads| reads.parse().ok()) {
                Some(reads @ 1..=99) => Profile::Mixed(reads),
                _ => return Err(NoLoad),
            },
        };
        let number = |text: &str, most: usize| match text.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(NoLoad),
        };
        let bytes = match size.strip_suffix('k') {
            Some(kib) => number(kib, BYTES_MAX / 1024)? * 1024,
            None => number(size, BYTES_MAX)?,
        };
        let (connections, each) = at_a_time.split_once('x').ok_or(NoLoad)?;
        let [connections, each] = [number(connections, CALLS_MAX)?, number(each, CALLS_MAX)?];
        let load = Self { profile, bytes, connections, each, sessions: SESSIONS };
        if load.in_flight() <= CALLS_MAX { Ok(load) } else { Err(NoLoad) }
    }
}

/// Largest state: what a session may have is some times more, but no rival is good for it.
const BYTES_MAX: usize = 64 << 10;
/// Most calls in flight: a rival has a connection to each, and a process has 1024 files by custom.
const CALLS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_named_and_found_by_its_name() {
        for name in ["set-1k-1x64", "get-256-4x16", "mix95-4k-50x1", "delta-1k-1x1", "touch-256-1x64"] {
            let load: Load = name.parse().unwrap();
            assert_eq!(load.to_string(), name);
        }
    }

    #[test]
    fn what_names_no_load_is_refused() {
        for name in [
            "",
            "set",
            "set-1k",
            "put-1k-1x64",
            "set-0-1x1",
            "set-1k-0x1",
            "set-1k-64x64",
            "mix100-1k-1x1",
            "set-1k-1x1-",
        ] {
            assert_eq!(name.parse::<Load>(), Err(NoLoad), "{name}");
        }
    }
}
