//! Rules for numbers, which are decimal text.

use std::cmp::Ordering;

use crate::{Answer, Conflict, Merged, Side, Unread};

/// The side whose number compares to the other's as wanted.
pub(crate) fn extreme(conflict: &Conflict<'_>, wanted: Ordering) -> Result<Merged, Unread> {
    let answer = match (decimal(conflict.ours)?, decimal(conflict.theirs)?) {
        (Some(ours), Some(theirs)) => match ours.compare(&theirs) {
            Ordering::Equal => conflict.later,
            order if order == wanted => Side::Ours,
            _ => Side::Theirs,
        },
        (Some(_), None) => Side::Ours,
        (None, _) => Side::Theirs,
    };
    Ok(Answer::Keep(answer).into())
}

fn decimal(value: Option<&[u8]>) -> Result<Option<Decimal<'_>>, Unread> {
    value.map(|bytes| Decimal::read(bytes).ok_or(Unread("a decimal number"))).transpose()
}

/// What a counter counts.
pub(crate) struct Range {
    least: i128,
    most: i128,
    name: &'static str,
}

/// Any whole number.
pub(crate) const COUNTER: Range =
    Range { least: i64::MIN as i128, most: i64::MAX as i128, name: "a whole number of 64 bits" };
/// Things, which are never fewer than none.
pub(crate) const QUANTITY: Range =
    Range { least: 0, most: u64::MAX as i128, name: "a whole number of 64 bits that is not negative" };

impl Range {
    fn read(&self, value: Option<&[u8]>) -> Result<Option<i128>, Unread> {
        let Some(bytes) = value else { return Ok(None) };
        let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
        number.filter(|number| (self.least..=self.most).contains(number)).map(Some).ok_or(Unread(self.name))
    }
}

/// The base and what each side did to it, within the range.
pub(crate) fn count(conflict: &Conflict<'_>, range: &Range) -> Result<Merged, Unread> {
    let base = conflict.base.map(|base| range.read(base)).transpose()?;
    let (ours, theirs) = (range.read(conflict.ours)?, range.read(conflict.theirs)?);
    let Some(base) = base else {
        let larger = match ours.cmp(&theirs) {
            Ordering::Greater => Side::Ours,
            Ordering::Less => Side::Theirs,
            Ordering::Equal => conflict.later,
        };
        return Ok(Answer::Keep(larger).into());
    };
    // Within 66 bits: each is within 64.
    let sum = ours.unwrap_or(0) + theirs.unwrap_or(0) - base.unwrap_or(0);
    let sum = sum.clamp(range.least, range.most);
    let is_removed = ours.is_none() || theirs.is_none();
    let answer = if is_removed && sum == 0 { Answer::Absent } else { Answer::Value(sum.to_string().into_bytes()) };
    Ok(answer.into())
}

/// A decimal number as it is written, without what does not count: zeros in front, and at the end of the fraction.
#[derive(Debug, PartialEq, Eq)]
struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// Digits, with a sign before and a fraction behind if need be. No exponent: `1e9` is none.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (digits, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self { is_negative: is_negative && !is_zero, whole, fraction })
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.size().cmp(&other.size()),
            (true, true) => other.size().cmp(&self.size()),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }

    /// Orders numbers by how far they are from zero.
    fn size(&self) -> (usize, &str, &str) {
        (self.whole.len(), self.whole, self.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Decimal<'_>> {
        Decimal::read(text.as_bytes())
    }

    #[test]
    fn numbers_of_any_length_are_compared_as_numbers() {
        let ascending =
            ["-18446744073709551617", "-10", "-9.5", "-9.25", "-0.01", "0", "0.001", "0.01", "1", "9", "10", "10.5"];
        for (index, smaller) in ascending.iter().enumerate() {
            for larger in &ascending[index + 1..] {
                let (smaller, larger) = (read(smaller).unwrap(), read(larger).unwrap());
                assert_eq!(smaller.compare(&larger), Ordering::Less, "{smaller:?} {larger:?}");
                assert_eq!(larger.compare(&smaller), Ordering::Greater, "{smaller:?} {larger:?}");
            }
        }
        for (one, other) in [("1", "01.0"), ("-0", "0.0"), ("2.50", "2.5")] {
            assert_eq!(read(one), read(other));
        }
    }

    #[test]
    fn what_is_no_decimal_number_is_not_read() {
        for text in ["", "-", ".", "1.", ".5", "+1", "1e9", "0x1", " 1", "1 ", "--1", "1.2.3", "\u{661}"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
