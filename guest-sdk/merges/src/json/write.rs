//! Writes JSON in one form only.

use std::fmt::{self, Display, Formatter, Write};

use super::Json;

impl Display for Json {
    /// Without spaces, keys in order, only what must be escaped escaped and that as short as can be: never longer than
    /// what was read.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => quoted(text, f),
            Self::Array(elements) => list(elements, ['[', ']'], f, |element, f| element.fmt(f)),
            Self::Object(object) => list(object, ['{', '}'], f, |(key, value), f| {
                quoted(key, f)?;
                f.write_char(':')?;
                value.fmt(f)
            }),
        }
    }
}

fn list<T>(
    items: impl IntoIterator<Item = T>,
    [open, close]: [char; 2],
    f: &mut Formatter<'_>,
    write: impl Fn(T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_char(open)?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        write(item, f)?;
    }
    f.write_char(close)
}

fn quoted(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if control < ' ' => write!(f, "\\u{:04x}", u32::from(control))?,
            plain => f.write_char(plain)?,
        }
    }
    f.write_char('"')
}
