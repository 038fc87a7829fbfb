//! The Redis protocol, as far as it is used here.

use bytes::{BufMut, BytesMut};

/// An answer, in the buffer that it arrived in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// `+OK`.
    Simple(&'a [u8]),
    /// `-ERR ...`.
    Error(&'a [u8]),
    /// `:1`.
    Number(i64),
    /// A value.
    Bulk(&'a [u8]),
    /// No value.
    Nil,
}

/// Puts a command behind what `out` holds.
pub(super) fn command(out: &mut BytesMut, words: &[&[u8]]) {
    head(out, b'*', words.len());
    for word in words {
        head(out, b'$', word.len());
        out.put_slice(word);
        out.put_slice(b"\r\n");
    }
}

fn head(out: &mut BytesMut, kind: u8, count: usize) {
    out.put_u8(kind);
    out.put_slice(count.to_string().as_bytes());
    out.put_slice(b"\r\n");
}

/// The first answer in `bytes` and its length, or `None` if it is not all there.
///
/// # Errors
/// If it is no answer of the kinds above.
pub(super) fn reply(bytes: &[u8]) -> Result<Option<(Reply<'_>, usize)>, &[u8]> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let Some((kind, line)) = bytes[..end].split_first() else { return Err(bytes) };
    let after = end + 2;
    let number = || std::str::from_utf8(line).ok().and_then(|text| text.parse::<i64>().ok()).ok_or(bytes);
    let reply = match kind {
        b'+' => Reply::Simple(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Number(number()?),
        b'$' => match usize::try_from(number()?) {
            // `$-1`.
            Err(_) => Reply::Nil,
            Ok(length) => {
                let whole = after.saturating_add(length).saturating_add(2);
                let Some(value) = bytes.get(after..whole - 2) else { return Ok(None) };
                return Ok((bytes.len() >= whole).then_some((Reply::Bulk(value), whole)));
            }
        },
        _ => return Err(bytes),
    };
    Ok(Some((reply, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_counted_words() {
        let mut out = BytesMut::new();
        command(&mut out, &[b"GET", b"a key"]);
        assert_eq!(&out[..], b"*2\r\n$3\r\nGET\r\n$5\r\na key\r\n");
    }

    #[test]
    fn every_kind_of_answer_is_read_with_its_length() {
        for (bytes, expected) in [
            (&b"+OK\r\n"[..], Reply::Simple(b"OK")),
            (b"-ERR no\r\n", Reply::Error(b"ERR no")),
            (b":1\r\n", Reply::Number(1)),
            (b"$3\r\na\r\n\r\n", Reply::Bulk(b"a\r\n")),
            (b"$-1\r\n", Reply::Nil),
        ] {
            assert_eq!(reply(bytes), Ok(Some((expected, bytes.len()))), "{bytes:?}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_waited_for() {
        let whole = b"$3\r\nabc\r\n";
        for end in 0..whole.len() {
            assert_eq!(reply(&whole[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        assert!(reply(b"!what\r\n").is_err());
        assert!(reply(b":one\r\n").is_err());
        assert!(reply(b"\r\n").is_err());
    }
}
