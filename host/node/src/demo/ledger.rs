//! What was acknowledged, and whether it is there.

use std::collections::BTreeMap;

use bytes::Bytes;
use colony_client::{Content, Key, Namespace};
use tokio::task::JoinSet;

use super::DemoError;

/// The attribute that every recorded session has.
pub(super) const ATTRIBUTE: &str = "value";
/// Readers at once when everything is read back.
const READERS: usize = 32;

/// Every session whose write was acknowledged, with what must be in it. No key is written twice with another
/// value, so a session that is there with its value proves its write.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    acknowledged: BTreeMap<String, String>,
}

/// A reading of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Audit {
    /// Sessions read.
    pub(super) read: usize,
    /// Those that were not there or held something else.
    pub(super) missing: usize,
}

impl Ledger {
    /// A write was acknowledged.
    pub(super) fn acknowledge(&mut self, key: String, value: String) {
        self.acknowledged.insert(key, value);
    }

    /// How many writes were acknowledged.
    pub(super) fn len(&self) -> usize {
        self.acknowledged.len()
    }

    /// Reads every session back, each from whoever serves it now.
    pub(super) async fn audit(&self, namespace: &Namespace) -> Result<Audit, DemoError> {
        let mut shares = vec![Vec::new(); READERS];
        for (place, (key, value)) in self.acknowledged.iter().enumerate() {
            shares[place % READERS].push((key.clone(), value.clone()));
        }
        let mut readers = JoinSet::new();
        for share in shares {
            readers.spawn(missing_of(namespace.clone(), share));
        }
        let mut missing = 0;
        for share in readers.join_all().await {
            missing += share?;
        }
        Ok(Audit { read: self.len(), missing })
    }
}

async fn missing_of(namespace: Namespace, share: Vec<(String, String)>) -> Result<usize, DemoError> {
    let mut missing = 0;
    for (key, value) in share {
        let key = Key::new(key.into_bytes()).map_err(|error| DemoError::call("name a session")(error.into()))?;
        let found = namespace.get(&key).await.map_err(DemoError::call("read a session back"))?;
        if !found.is_some_and(|found| holds(&found.content, &value)) {
            missing += 1;
        }
    }
    Ok(missing)
}

fn holds(content: &Content, value: &str) -> bool {
    match content {
        Content::Attributes(attributes) => attributes.get(ATTRIBUTE).map(Bytes::as_ref) == Some(value.as_bytes()),
        Content::Blob(_) => false,
    }
}

/// The content of a recorded session.
pub(super) fn content(value: &str) -> Content {
    Content::Attributes(BTreeMap::from([(ATTRIBUTE.to_owned(), Bytes::copy_from_slice(value.as_bytes()))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_proves_its_own_write_only() {
        assert!(holds(&content("7"), "7"));
        assert!(!holds(&content("7"), "8"));
        assert!(!holds(&Content::Blob("7".into()), "7"));
        assert!(!holds(&Content::Attributes(BTreeMap::new()), "7"));
    }
}
