//! Words of a plugin that people will read.

/// Longest reason of a plugin that is passed on, in bytes.
pub(crate) const REASON_BYTES: usize = 256;

/// One line of at most `limit` bytes, without control characters: a plugin cannot forge lines in a log, nor
/// speak to a terminal.
pub(crate) fn one_line(words: &str, limit: usize) -> String {
    let mut line = String::with_capacity(words.len().min(limit));
    for char in words.chars() {
        if line.len() + char.len_utf8() > limit {
            break;
        }
        line.push(if char.is_control() { ' ' } else { char });
    }
    line
}

/// A reason given by a plugin.
pub(crate) fn reason(words: &str) -> String {
    one_line(words, REASON_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_between_characters_and_holds_no_control_characters() {
        assert_eq!(one_line("a\nb\x1b[31m", 64), "a b [31m");
        assert_eq!(one_line("aéé", 4), "aé");
        assert_eq!(one_line("é", 1), "");
        assert_eq!(one_line("", 0), "");
    }
}
