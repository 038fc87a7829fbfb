//! The NATS protocol, as far as it is used here.

use std::ops::Range;

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// About itself; nobody asked.
    Info,
    /// It wants a `PONG`.
    Ping,
    /// It has handled everything up to a `PING` of ours.
    Pong,
    /// An error that ends the connection.
    Error,
    /// A message: where in the bytes its head of fields and its content are.
    Message {
        /// `NATS/1.0 ...` and fields; empty if the message has none.
        head: Range<usize>,
        /// The content.
        content: Range<usize>,
    },
}

/// The first thing that was sent in `bytes` and its length, or `None` if it is not all there.
///
/// # Errors
/// If it is nothing of the kinds above.
pub(super) fn heard(bytes: &[u8]) -> Result<Option<(Heard, usize)>, &[u8]> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let line = &bytes[..end];
    let after = end + 2;
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let heard = match words.next() {
        Some(b"INFO") => Heard::Info,
        Some(b"PING") => Heard::Ping,
        Some(b"PONG") => Heard::Pong,
        Some(b"-ERR") => Heard::Error,
        Some(b"MSG") => {
            let length = words.next_back().and_then(number).ok_or(bytes)?;
            return Ok(message(bytes.len(), after..after, length));
        }
        Some(b"HMSG") => {
            let all = words.next_back().and_then(number).ok_or(bytes)?;
            let head = words.next_back().and_then(number).filter(|head| *head <= all).ok_or(bytes)?;
            return Ok(message(bytes.len(), after..after.saturating_add(head), all - head));
        }
        _ => return Err(bytes),
    };
    Ok(Some((heard, after)))
}

fn message(arrived: usize, head: Range<usize>, length: usize) -> Option<(Heard, usize)> {
    let content = head.end..head.end.saturating_add(length);
    let whole = content.end.saturating_add(2);
    (arrived >= whole).then_some((Heard::Message { head, content }, whole))
}

fn number(word: &[u8]) -> Option<usize> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_with_its_length() {
        let bytes = b"MSG inbox 1 5\r\nhello\r\nPING\r\n";
        let (message, length) = heard(bytes).unwrap().unwrap();
        let Heard::Message { head, content } = message else { panic!("{message:?}") };
        assert_eq!((&bytes[head], &bytes[content]), (&b""[..], &b"hello"[..]));
        assert_eq!(&bytes[length..], b"PING\r\n");
    }

    #[test]
    fn a_message_with_fields_is_read_in_two_parts() {
        let bytes = b"HMSG inbox 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n";
        let (message, length) = heard(bytes).unwrap().unwrap();
        let Heard::Message { head, content } = message else { panic!("{message:?}") };
        assert_eq!((&bytes[head], &bytes[content]), (&b"NATS/1.0\r\n\r\n"[..], &b"hello"[..]));
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_waited_for() {
        let whole = b"HMSG inbox 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n";
        for end in 0..whole.len() {
            assert_eq!(heard(&whole[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(heard(b"WHAT\r\n").is_err());
        assert!(heard(b"MSG inbox 1 x\r\n").is_err());
        assert!(heard(b"HMSG inbox 1 9 4\r\n").is_err());
    }
}
