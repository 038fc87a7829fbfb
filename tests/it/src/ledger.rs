//! What was acknowledged, and whether it is there.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use colony_client::{CallError, Content, Key, Namespace};
use tokio::task::JoinSet;

/// The attribute that every recorded session has.
const ATTRIBUTE: &str = "value";
/// Readers at once when everything is read back.
const READERS: usize = 16;

/// Every write that was acknowledged.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Sessions written once, with what is in them.
    once: BTreeMap<String, String>,
    /// Sessions written again and again with growing numbers, with the last one acknowledged. A later write may have
    /// been done without an acknowledgement.
    last: BTreeMap<String, u64>,
    /// Why writes failed that were not acknowledged.
    failures: Vec<String>,
    acknowledged: usize,
    /// How long each acknowledged write took.
    took: Vec<Duration>,
}

impl Ledger {
    pub(crate) fn wrote_once(&mut self, key: String, value: String) {
        self.once.insert(key, value);
        self.acknowledged += 1;
    }

    pub(crate) fn wrote(&mut self, key: String, number: u64) {
        self.last.insert(key, number);
        self.acknowledged += 1;
    }

    pub(crate) fn took(&mut self, span: Duration) {
        self.took.push(span);
    }

    pub(crate) fn failed(&mut self, why: String) {
        self.failures.push(why);
    }

    /// What both say, of sessions of their own each.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.once.extend(other.once);
        self.last.extend(other.last);
        self.failures.extend(other.failures);
        self.acknowledged += other.acknowledged;
        self.took.extend(other.took);
        self
    }

    /// How long the slowest of `share` thousandths of the acknowledged writes took: 990 asks for the 99th
    /// percentile, 1000 for the slowest.
    #[must_use]
    pub fn slowest_of(&self, share: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get((took.len() * share / 1000).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// How many writes were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// Why writes failed that were not acknowledged.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Reads every session back from whoever serves it now, and checks that every acknowledged write is there.
    ///
    /// # Panics
    /// If one is missing, or cannot be read.
    pub async fn audit(&self, namespace: &Namespace) {
        assert!(self.acknowledged > 0, "nothing was acknowledged: {:?}", self.failures);
        let once = self.once.iter().map(|(key, value)| (key.clone(), Wanted::Exactly(value.clone())));
        let last = self.last.iter().map(|(key, number)| (key.clone(), Wanted::AtLeast(*number)));
        let mut shares = vec![Vec::new(); READERS];
        for (place, session) in once.chain(last).enumerate() {
            shares[place % READERS].push(session);
        }
        let mut readers = JoinSet::new();
        for share in shares {
            readers.spawn(missing(namespace.clone(), share));
        }
        let missing: Vec<String> = readers.join_all().await.into_iter().flatten().collect();
        let (count, acknowledged) = (missing.len(), self.acknowledged);
        assert!(missing.is_empty(), "{count} sessions lack one of {acknowledged} acknowledged writes: {missing:#?}");
    }
}

#[derive(Clone, Debug)]
enum Wanted {
    Exactly(String),
    AtLeast(u64),
}

impl Wanted {
    fn is(&self, held: Option<&str>) -> bool {
        match self {
            Self::Exactly(value) => held == Some(value),
            Self::AtLeast(number) => held.and_then(|held| held.parse::<u64>().ok()).is_some_and(|held| held >= *number),
        }
    }
}

async fn missing(namespace: Namespace, share: Vec<(String, Wanted)>) -> Vec<String> {
    let mut missing = Vec::new();
    for (key, wanted) in share {
        let held = read(&namespace, &key).await;
        if !held.as_ref().is_ok_and(|held| wanted.is(held.as_deref())) {
            missing.push(format!("{key}: wanted {wanted:?}, found {held:?}"));
        }
    }
    missing
}

async fn read(namespace: &Namespace, key: &str) -> Result<Option<String>, CallError> {
    let found = namespace.get(&Key::new(Bytes::copy_from_slice(key.as_bytes()))?).await?;
    Ok(found.and_then(|found| match found.content {
        Content::Attributes(attributes) => {
            attributes.get(ATTRIBUTE).map(|value| String::from_utf8_lossy(value).into_owned())
        }
        Content::Blob(_) => None,
    }))
}

/// The content of a recorded session.
pub(crate) fn content(value: &str) -> Content {
    Content::Attributes(BTreeMap::from([(ATTRIBUTE.to_owned(), Bytes::copy_from_slice(value.as_bytes()))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_proves_its_own_write_only() {
        let exactly = Wanted::Exactly("7".to_owned());
        assert!(exactly.is(Some("7")) && !exactly.is(Some("8")) && !exactly.is(None));
        let at_least = Wanted::AtLeast(7);
        assert!(at_least.is(Some("7")) && at_least.is(Some("10")));
        assert!(!at_least.is(Some("6")) && !at_least.is(Some("x")) && !at_least.is(None));
    }
}
