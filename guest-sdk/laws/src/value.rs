//! Values of the kinds that sessions hold, and changes to them.

use crate::rng::Rng;

/// What a value looks like. A plugin that knows one kind still meets the others: nothing keeps an application from
/// writing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Number,
    Text,
    /// Words between commas.
    List,
    /// A JSON array.
    Array,
    /// A JSON object.
    Object,
    Bytes,
    /// What nobody expects.
    Odd,
}

/// More often what sessions hold more often.
const SHAPES: [Shape; 12] = [
    Shape::Number,
    Shape::Number,
    Shape::Number,
    Shape::Text,
    Shape::Text,
    Shape::List,
    Shape::Array,
    Shape::Array,
    Shape::Object,
    Shape::Object,
    Shape::Bytes,
    Shape::Odd,
];

const WORDS: [&str; 10] = ["tea", "milk", "a", "b", "red", "blue", "Ä", "/cart?x=1", "two words", "0"];

/// Numbers at which arithmetic goes wrong, and what only looks like one.
const NUMBERS: [&str; 12] = [
    "0",
    "1",
    "-1",
    "007",
    "1.5",
    "1e3",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "NaN",
    "+3",
];

/// What trips parsers: nothing, half of something, text that is none.
const ODD: [&[u8]; 14] = [
    b"",
    b" ",
    b"\n",
    b"null",
    b"[",
    b"[]",
    b"{}",
    b"{\"a\":",
    b",",
    b"\0",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\"\\ud800\"",
    b"[1,[2,[3,[4,[5]]]]]",
];

impl Shape {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        rng.pick(&SHAPES)
    }

    pub(crate) fn value(self, rng: &mut Rng) -> Vec<u8> {
        match self {
            Self::Number if rng.percent(15) => rng.pick(&NUMBERS).into(),
            Self::Number => rng.below(20).to_string().into(),
            Self::Text => rng.pick(&WORDS).into(),
            Self::List => join(&items(rng, |rng| rng.pick(&WORDS).to_owned()), ",").into(),
            Self::Array => format!("[{}]", join(&items(rng, scalar), ",")).into(),
            Self::Object => {
                let mut members = items(rng, |rng| rng.pick(&WORDS).to_owned());
                members.sort();
                members.dedup();
                let members: Vec<_> = members.iter().map(|name| format!("{name:?}:{}", scalar(rng))).collect();
                format!("{{{}}}", join(&members, ",")).into()
            }
            Self::Bytes => (0..rng.below(24)).map(|_| (rng.next() & 0xff) as u8).collect(),
            Self::Odd => rng.pick(&ODD).into(),
        }
    }

    /// The value as somebody changed it. It may be the same again.
    pub(crate) fn changed(self, value: &[u8], rng: &mut Rng) -> Vec<u8> {
        match self {
            Self::Number => match number(value) {
                Some(number) if rng.percent(70) => number.saturating_add(1 + rng.below(4) as u64).to_string().into(),
                Some(number) => number.saturating_sub(1 + rng.below(4) as u64).to_string().into(),
                None => self.value(rng),
            },
            Self::List | Self::Array | Self::Object => match Items::of(value) {
                Some(mut items) => {
                    items.change(rng);
                    items.bytes()
                }
                None => self.value(rng),
            },
            Self::Bytes if !value.is_empty() => {
                let mut value = value.to_vec();
                let at = rng.below(value.len());
                match rng.below(3) {
                    0 => value.truncate(at),
                    1 => value.insert(at, (rng.next() & 0xff) as u8),
                    _ => value[at] = value[at].wrapping_add(1),
                }
                value
            }
            Self::Text | Self::Bytes | Self::Odd => self.value(rng),
        }
    }
}

fn items(rng: &mut Rng, item: impl Fn(&mut Rng) -> String) -> Vec<String> {
    (0..rng.below(5)).map(|_| item(rng)).collect()
}

fn scalar(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => rng.below(10).to_string(),
        1 => "true".into(),
        2 => "{\"id\":1,\"n\":[2]}".into(),
        _ => format!("{:?}", rng.pick(&WORDS)),
    }
}

fn join(items: &[String], between: &str) -> String {
    items.join(between)
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Another value of the same kind that is built on this one and no longer than it, but for a few bytes that are
/// written anew: what a client does that replaces one thing by another. Gives the new bytes' number with it. Different
/// `mark`s give different values.
pub(crate) fn replaced(value: &[u8], mark: u32) -> (Vec<u8>, usize) {
    if let Some(number) = number(value) {
        let next = (number ^ u64::from(mark)).to_string();
        let written = next.len();
        return (next.into(), written);
    }
    if let Some(mut items) = Items::of(value) {
        let written = items.replace(mark);
        return (items.bytes(), written);
    }
    let mut value = value.to_vec();
    let mark = format!("{mark:x}").into_bytes();
    let kept = value.len().saturating_sub(mark.len());
    value.truncate(kept);
    value.extend(&mark);
    (value, mark.len())
}

/// A list, array or object cut at its commas, so that it can be changed without being understood.
struct Items {
    open: &'static str,
    close: &'static str,
    items: Vec<String>,
}

impl Items {
    /// None if it looks like none of the three.
    fn of(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let inside = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
        let (open, close, inside) = match (inside('[', ']'), inside('{', '}')) {
            (Some(inside), _) => ("[", "]", inside),
            (None, Some(inside)) => ("{", "}", inside),
            (None, None) if text.contains(',') => ("", "", text),
            (None, None) => return None,
        };
        Some(Self { open, close, items: cut(inside)? })
    }

    fn bytes(&self) -> Vec<u8> {
        format!("{}{}{}", self.open, join(&self.items, ","), self.close).into()
    }

    fn change(&mut self, rng: &mut Rng) {
        let item = match self.open {
            "" => rng.pick(&WORDS).to_owned(),
            "[" => scalar(rng),
            _ => format!("{:?}:{}", rng.pick(&WORDS), scalar(rng)),
        };
        let at = rng.below(self.items.len());
        match rng.below(3) {
            0 if !self.items.is_empty() => drop(self.items.remove(at)),
            1 if !self.items.is_empty() => self.items[at] = item,
            _ => self.items.push(item),
        }
    }

    /// Puts a new item in the place of one; of an object, a new value.
    fn replace(&mut self, mark: u32) -> usize {
        let count = u32::try_from(self.items.len().max(1)).unwrap_or(u32::MAX);
        let at = (mark % count) as usize;
        let name = self.items.get(at).and_then(|member| member.split_once("\":")).map_or("\"k", |(name, _)| name);
        let item = match self.open {
            "{" => format!("{name}\":{mark}"),
            _ => mark.to_string(),
        };
        let written = item.len() + 1;
        match self.items.get_mut(at) {
            Some(place) => *place = item,
            None => self.items.push(item),
        }
        written
    }
}

/// Cuts at the commas that are in no bracket and no string. None if the brackets do not match.
fn cut(text: &str) -> Option<Vec<String>> {
    let mut items = Vec::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut item = String::new();
    for char in text.chars() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.checked_sub(1)?,
            ',' if !quoted && depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        item.push(char);
    }
    if !item.trim().is_empty() || !items.is_empty() {
        items.push(item);
    }
    (depth == 0 && !quoted).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_replaced_value_is_of_its_kind_and_hardly_longer() {
        let cases = [
            ("17", "18"),
            ("[1,\"a,b\",{\"x\":[2,3]}]", "[1,\"a,b\",5]"),
            ("{\"a\":1,\"b\":{\"c\":2}}", "{\"a\":1,\"b\":3}"),
            ("tea,milk", "tea,3"),
            ("hello", "hell3"),
            ("[]", "[3]"),
        ];
        for (value, expected) in cases {
            let mark = if value == "[1,\"a,b\",{\"x\":[2,3]}]" { 5 } else { 3 };
            assert_eq!(text(&replaced(value.as_bytes(), mark).0), expected, "{value}");
        }
    }

    #[test]
    fn different_marks_give_different_values() {
        let mut rng = Rng::of(1, 1);
        for _ in 0..2_000 {
            let value = Shape::any(&mut rng).value(&mut rng);
            assert_ne!(replaced(&value, 3).0, replaced(&value, 4).0, "{value:?}");
        }
    }

    #[test]
    fn what_does_not_match_is_not_cut() {
        assert_eq!(cut("1,2],3").as_deref(), None);
        assert_eq!(cut("\"1,2").as_deref(), None);
        assert_eq!(cut("").map(|items| items.len()), Some(0));
    }
}
