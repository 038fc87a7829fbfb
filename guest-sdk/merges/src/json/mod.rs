//! JSON that is read, compared and written again, and never computed with.
//!
//! Our own, for three reasons: numbers stay the text that they were, so that none is rounded by being passed on;
//! depth is bounded, since the bytes are a client's; and what the host decides with has no dependency.

mod read;
mod write;

use std::collections::BTreeMap;

/// A JSON value. [`parse`](Self::parse) reads one; `to_string` writes it without spaces, keys in order.
///
/// Two values are equal if they are written the same, but for spaces, escapes and the order of keys: `1.0` is not `1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A string, without its escapes.
    Text(String),
    /// A list.
    Array(Vec<Json>),
    /// An object, its keys in order.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// The value under this key, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(object) => object.get(key),
            _ => None,
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one and fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The number, if this is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(value.to_string())
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(value.to_string())
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
