//! Values as types: what an application writes as text or JSON, without parsing by hand.

use colony_merges::Json;

use super::{Resolution, Side};

/// A type that attributes are read as and written from.
///
/// Numbers are decimal text, as `session.set_raw("count", "5")` stores them and the ready-made merges and people on the
/// command line read them. What `session.set` of the client library stores is postcard, which these do not read.
pub trait Typed: Sized {
    /// The value that these bytes are, if they are one.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// The bytes to store.
    fn write(&self) -> Vec<u8>;
}

impl Typed for u64 {
    fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }

    fn write(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Typed for i64 {
    fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }

    fn write(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Typed for String {
    fn read(bytes: &[u8]) -> Option<Self> {
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn write(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }
}

impl Typed for Json {
    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes)
    }

    fn write(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

/// What an attribute is when it is read as a type: two ways to have no value, which a merge should not mistake for each
/// other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<T> {
    /// This side does not have the attribute.
    Absent,
    /// It is this.
    Is(T),
    /// It holds something else.
    Unreadable,
}

impl<T> Read<T> {
    /// The value if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Unreadable => None,
        }
    }

    /// The value, with an absent attribute read as `absent`; `None` only if it holds something else.
    pub fn absent_as(self, absent: T) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent => Some(absent),
            Self::Unreadable => None,
        }
    }

    /// The value, or this one if there is none for either reason.
    pub fn or(self, otherwise: T) -> T {
        self.value().unwrap_or(otherwise)
    }
}

impl Side {
    /// The value read as a type: `side.read::<u64>().absent_as(0)`.
    pub fn read<T: Typed>(&self) -> Read<T> {
        match self.value() {
            None => Read::Absent,
            Some(bytes) => T::read(bytes).map_or(Read::Unreadable, Read::Is),
        }
    }

    /// The text; none if there is no attribute or it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.value()?).ok()
    }
}

impl Resolution {
    /// This value, written as the type is read.
    pub fn of<T: Typed>(value: &T) -> Self {
        Self::Value(value.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        fn back<T: Typed + PartialEq + std::fmt::Debug>(value: &T) {
            assert_eq!(T::read(&value.write()).as_ref(), Some(value));
        }
        back(&u64::MAX);
        back(&i64::MIN);
        back(&"ä".to_owned());
        back(&Json::Array(vec![Json::from(true), Json::from("x"), Json::from(-1_i64)]));
    }

    #[test]
    fn absent_is_not_unreadable() {
        let (absent, text, number) = (Side::absent(), Side::of("x"), Side::of("7"));
        assert_eq!([&absent, &text, &number].map(Side::read::<u64>), [Read::Absent, Read::Unreadable, Read::Is(7)]);
        assert_eq!([&absent, &text, &number].map(|side| side.read::<u64>().absent_as(1)), [Some(1), None, Some(7)]);
        assert_eq!([&absent, &text, &number].map(|side| side.read::<i64>().or(2)), [2, 2, 7]);
        assert_eq!((text.text(), Side::of([0xff]).text()), (Some("x"), None));
    }
}
