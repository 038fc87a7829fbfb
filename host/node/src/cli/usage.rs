//! What clap says of wrong words.

use clap::error::{ContextKind, ContextValue};

/// Takes away the tip to pass an unknown flag as a value behind `--`: here it would become a session's key or a
/// namespace's name, which nobody meant.
pub(super) fn without_misleading_tips(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::StyledStrs(tips)) = error.get(ContextKind::Suggested) else { return error };
    let kept: Vec<_> = tips.iter().filter(|tip| !tip.to_string().contains("as a value")).cloned().collect();
    if kept.is_empty() {
        error.remove(ContextKind::Suggested);
    } else {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(kept));
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::CommandLine;

    fn said(words: &[&str]) -> String {
        let line = [&["colony"], words].concat();
        let error = CommandLine::try_parse_from(line).expect_err("the words are wrong");
        without_misleading_tips(error).to_string()
    }

    #[test]
    fn nobody_is_told_to_pass_a_flag_as_a_key() {
        let text = said(&["session", "get", "--namespace", "cart", "--frob"]);
        assert!(text.contains("--frob") && !text.contains("as a value"), "{text}");
    }

    #[test]
    fn a_flag_that_was_meant_is_named() {
        let text = said(&["session", "get", "--namespcae", "cart", "alice"]);
        assert!(text.contains("'--namespace'"), "{text}");
    }
}
