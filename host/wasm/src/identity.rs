//! Which plugin this is.

use std::fmt;
use std::sync::Arc;

use colony_wire::plugin::ContentId;

/// Which plugin this is: the name it was installed under, and the blake3 hash of its bytes. Two plugins with
/// the same hash are the same plugin.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    name: Arc<str>,
    content: blake3::Hash,
}

/// The content id of these bytes.
#[must_use]
pub fn content_id(bytes: &[u8]) -> ContentId {
    ContentId(*blake3::hash(bytes).as_bytes())
}

impl Identity {
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.into(), content: blake3::hash(bytes) }
    }

    /// The name it was installed under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The blake3 hash of the component's bytes; its `Display` is hexadecimal.
    #[must_use]
    pub fn content_id(&self) -> ContentId {
        ContentId(*self.content.as_bytes())
    }

    /// The content id in hexadecimal, 64 characters.
    #[must_use]
    pub fn content_hex(&self) -> String {
        self.content.to_hex().to_string()
    }
}

/// `cart-merge@1f2e3d4c`: the name and the first 8 digits of the content id.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.content.to_hex();
        write!(f, "{}@{:.8}", self.name, hex.as_str())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
