//! Reads JSON, strictly by RFC 8259.

use std::collections::BTreeMap;

use super::Json;

/// Deepest nesting that is read. Reading goes down by recursion, in a plugin on half a megabyte of stack; sessions of
/// people do not nest by the dozen.
const MAX_DEPTH: usize = 64;

impl Json {
    /// Reads one value and nothing behind it. None if it is not JSON in UTF-8, nests deeper than 64 lists and objects,
    /// or has a key twice in one object: which of the two counts is anybody's guess.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: std::str::from_utf8(bytes).ok()? };
        let value = reader.value(MAX_DEPTH)?;
        reader.skip_spaces();
        reader.rest.is_empty().then_some(value)
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes this off the front, after spaces.
    fn take(&mut self, token: &str) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes off as much as fits, one byte a character.
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !fits(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.skip_spaces();
        match self.rest.bytes().next()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ if self.take("null") => Some(Json::Null),
            _ if self.take("true") => Some(Json::Bool(true)),
            _ if self.take("false") => Some(Json::Bool(false)),
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        let mut elements = Vec::new();
        self.take("[");
        if self.take("]") {
            return Some(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            if self.take("]") {
                return Some(Json::Array(elements));
            }
            self.take(",").then_some(())?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut object = BTreeMap::new();
        self.take("{");
        if self.take("}") {
            return Some(Json::Object(object));
        }
        loop {
            self.skip_spaces();
            let key = self.text()?;
            self.take(":").then_some(())?;
            let value = self.value(depth)?;
            if object.insert(key, value).is_some() {
                return None;
            }
            if self.take("}") {
                return Some(Json::Object(object));
            }
            self.take(",").then_some(())?;
        }
    }

    /// A sign, digits without a zero in front, a fraction, an exponent.
    fn number(&mut self) -> Option<Json> {
        let begin = self.rest;
        self.take("-");
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            self.digits()?;
        }
        if let Some(rest) = self.rest.strip_prefix(['e', 'E']) {
            self.rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            self.digits()?;
        }
        let length = begin.len() - self.rest.len();
        begin.get(..length).map(|text| Json::Number(text.to_owned()))
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        (!self.take_while(|byte| byte.is_ascii_digit()).is_empty()).then_some(())
    }

    fn text(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\'));
            let mut rest = self.rest.chars();
            let next = rest.next()?;
            self.rest = rest.as_str();
            match next {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                // A control character stands in no string.
                _ => return None,
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next()?;
        self.rest = rest.as_str();
        match next {
            '"' | '\\' | '/' => Some(next),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => self.unicode(),
            _ => None,
        }
    }

    /// Four digits, or a pair of surrogates. Half of a pair is no character.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        self.rest = self.rest.strip_prefix("\\u")?;
        let second = self.four_digits()?.checked_sub(0xDC00).filter(|second| *second < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = self.rest.get(4..)?;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_json_is_not_read() {
        let bad = [
            "",
            " ",
            "nul",
            "truefalse",
            "1 2",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "01",
            "-",
            "- 1",
            "1.",
            ".5",
            "1e",
            "+1",
            "\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "{\"a\":1,\"a\":1}",
            "[1",
            "{\"a\":1",
            "NaN",
            "\u{feff}1",
            "\u{a0}1",
        ];
        for text in bad {
            assert_eq!(Json::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Json::parse(b"\"\xff\""), None);
    }

    #[test]
    fn numbers_keep_their_text() {
        for text in ["0", "-0", "1.0", "1e9", "1E+9", "0.10", "123456789012345678901234567890"] {
            assert_eq!(Json::parse(text.as_bytes()), Some(Json::Number(text.to_owned())));
        }
    }

    #[test]
    fn escapes_are_read() {
        let text = r#" "\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00" "#;
        assert_eq!(Json::parse(text.as_bytes()), Some(Json::from("\"\\/\u{8}\u{c}\n\r\tä😀")));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_some());
        assert_eq!(Json::parse(nested(MAX_DEPTH + 1).as_bytes()), None);
        assert_eq!(Json::parse("[".repeat(1 << 20).as_bytes()), None);
    }
}
