//! What a caller may set for its calls.

use std::time::Duration;

use colony_wire::client::{Ack, Read};

use crate::limits::{DEADLINE_DEFAULT, DEADLINE_MAX};

/// How the calls of a [`Namespace`](crate::Namespace) are made.
///
/// ```no_run
/// # async fn example(client: colony_client::Client) -> Result<(), colony_client::CallError> {
/// use std::time::Duration;
/// use colony_client::Options;
///
/// let hurried = client.namespace("cart").with(Options { deadline: Duration::from_millis(300), ..Options::default() });
/// let session = hurried.load("alice").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a call may take, its retries included; longer than [`DEADLINE_MAX`] counts as that.
    pub deadline: Duration,
    /// What a read must show.
    pub read: Read,
    /// What must be done before a change counts as made.
    pub ack: Ack,
}

impl Default for Options {
    fn default() -> Self {
        Self { deadline: DEADLINE_DEFAULT, read: Read::default(), ack: Ack::default() }
    }
}

impl Options {
    pub(crate) fn deadline(self) -> Duration {
        self.deadline.min(DEADLINE_MAX)
    }
}

/// How long a session lives after its last touch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ttl {
    /// As its namespace says.
    #[default]
    OfNamespace,
    /// This long, in whole milliseconds, rounded up.
    After(Duration),
    /// Until it is deleted.
    Never,
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

impl Ttl {
    /// As it is sent, `of_namespace` being the namespace's own.
    pub(crate) fn millis(self, of_namespace: Option<u64>) -> Option<u64> {
        match self {
            Self::OfNamespace => of_namespace,
            Self::After(duration) => {
                let millis = duration.as_nanos().div_ceil(1_000_000);
                Some(u64::try_from(millis).unwrap_or(u64::MAX))
            }
            Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_to_live_is_not_rounded_to_none() {
        assert_eq!(Ttl::After(Duration::from_nanos(1)).millis(None), Some(1));
        assert_eq!(Ttl::After(Duration::from_millis(5)).millis(Some(9)), Some(5));
        assert_eq!(Ttl::OfNamespace.millis(Some(9)), Some(9));
        assert_eq!(Ttl::Never.millis(Some(9)), None);
    }

    #[test]
    fn a_deadline_stays_below_its_bound() {
        let options = Options { deadline: Duration::from_secs(3600), ..Options::default() };
        assert_eq!(options.deadline(), DEADLINE_MAX);
    }
}
