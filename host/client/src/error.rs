//! What can go wrong, one enum to a surface.

use colony_wire::client::Refusal;
use colony_wire::{DecodeError, EncodeError};

use crate::entropy::EntropyError;

/// Why no cluster could be reached at the start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No seed was named.
    #[error("no seed address to connect to")]
    NoSeeds,
    /// No host answered in time.
    #[error("no host answered{}", because(.tried))]
    Unreachable {
        /// What came of each, newest last.
        tried: Vec<String>,
    },
    /// Every host that answered was of no use to this client, or it to them; waiting does not help.
    #[error("no host can be used{}", because(.tried))]
    Refused {
        /// What came of each.
        tried: Vec<String>,
    },
    /// The local socket could not be opened.
    #[error("cannot open a socket: {0}")]
    Socket(String),
    /// The system gave no randomness for ids.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

fn because(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }
}

/// Why a call did not end with a result.
///
/// There are three outcomes of a call: done (`Ok`), surely not done, and unknown. [`has_no_side_effects`]
/// tells the last two apart. Within its deadline the client has already retried whatever may be retried.
///
/// # Why a refusal may be an unknown outcome
///
/// A client sends `create "alice"`, and the stream dies before a reply. It asks again on a new stream, same
/// request id, and is refused: `alice` is not as the request wants it. Was the first attempt done? If the
/// refusing primary had applied it, it would have recognised the id and sent the stored result. But the first
/// attempt may still stand in the queue of the stream that broke, and run *after* the refusal, when things
/// have changed once more. So a refusal says that the attempt it answers was not done, and nothing about an
/// earlier one whose fate is open: the outcome is [`CallError::Unknown`]. A refusal of every attempt is a
/// sure one.
///
/// [`has_no_side_effects`]: CallError::has_no_side_effects
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The host refused. Surely not done.
    #[error(transparent)]
    Refused(Refusal),
    /// The certificate does not give the right. Surely not done.
    #[error("the certificate does not give the right to {right}")]
    Forbidden {
        /// `read`, `write` or `admin`.
        right: String,
    },
    /// A host declined an admin request. Surely not done.
    #[error("{why}")]
    Declined {
        /// What, why and what to do, for people.
        why: String,
        /// Whether asking again may help.
        retryable: bool,
    },
    /// It may have been done or not, and may even be done later; nobody can tell any more.
    #[error("the outcome is unknown: {why}")]
    Unknown {
        /// What happened.
        why: String,
    },
    /// The deadline passed.
    #[error(
        "the deadline passed after {attempts} attempts{}: {last}",
        if *.maybe_done { ", the change may have been made" } else { "" }
    )]
    Deadline {
        /// How often it was sent or tried to be sent.
        attempts: u32,
        /// What came of the last attempt.
        last: String,
        /// Whether some attempt may have been done, or may still be.
        maybe_done: bool,
    },
    /// No host that could serve the call was reached within the deadline. Surely not done: nothing was sent.
    #[error("no host could be reached: {last}")]
    Unreachable {
        /// What came of the last attempt.
        last: String,
    },
    /// The cluster has no namespace of this name. Surely not done.
    #[error("there is no namespace `{name}`")]
    NoNamespace {
        /// The name.
        name: String,
    },
    /// A part of the request exceeds a limit. Found here: nothing was sent.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    /// The request is too large for one message. Found here: nothing was sent.
    #[error(transparent)]
    TooLarge(#[from] EncodeError),
    /// A session is a blob or a map of attributes, and the other was asked of it. Found here: nothing was sent.
    #[error("the session holds {holds}")]
    WrongContent {
        /// `a blob` or `attributes`.
        holds: &'static str,
    },
    /// The value of an attribute does not convert to or from the type that was asked for. Found here.
    #[error("attribute `{name}` does not convert: {error}")]
    Value {
        /// Name of the attribute.
        name: String,
        /// What the codec said.
        error: postcard::Error,
    },
    /// The host's answer cannot be understood. What it did is not known.
    #[error("the host's answer cannot be understood: {what}")]
    Protocol {
        /// What is wrong with it.
        what: String,
    },
    /// The system gave no randomness for an id. Found here: nothing was sent.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A change of all colonies of a namespace was made in some of them and perhaps not in others. Asking again
    /// does the rest.
    #[error("done in {done} of {all} colonies: {first}")]
    Partly {
        /// Colonies in which it was done.
        done: usize,
        /// Colonies of the namespace.
        all: usize,
        /// What came of the first of the others.
        first: Box<CallError>,
    },
}

impl CallError {
    /// Whether the same call may succeed later, as far as can be told. Says nothing about whether it may have
    /// happened already: a change for which [`has_no_side_effects`](Self::has_no_side_effects) is false would
    /// be made twice if it was.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_retryable(),
            Self::Declined { retryable, .. } => *retryable,
            Self::Partly { first, .. } => first.is_retryable(),
            Self::Unknown { .. } | Self::Deadline { .. } | Self::Unreachable { .. } => true,
            Self::Forbidden { .. }
            | Self::NoNamespace { .. }
            | Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::WrongContent { .. }
            | Self::Value { .. }
            | Self::Protocol { .. }
            | Self::Entropy(_) => false,
        }
    }

    /// Whether the call surely changed nothing and never will.
    #[must_use]
    pub fn has_no_side_effects(&self) -> bool {
        match self {
            Self::Deadline { maybe_done, .. } => !maybe_done,
            Self::Unknown { .. } | Self::Protocol { .. } | Self::Partly { .. } => false,
            Self::Refused(_)
            | Self::Forbidden { .. }
            | Self::Declined { .. }
            | Self::Unreachable { .. }
            | Self::NoNamespace { .. }
            | Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::WrongContent { .. }
            | Self::Value { .. }
            | Self::Entropy(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_fates_may_have_side_effects() {
        let deadline = |maybe_done| CallError::Deadline { attempts: 2, last: "silence".to_owned(), maybe_done };
        assert!(deadline(false).has_no_side_effects());
        assert!(!deadline(true).has_no_side_effects());
        assert!(!CallError::Unknown { why: String::new() }.has_no_side_effects());
        assert!(CallError::Refused(Refusal::NotFound).has_no_side_effects());
    }

    #[test]
    fn messages_say_what_may_have_happened() {
        let error = CallError::Deadline { attempts: 2, last: "silence".to_owned(), maybe_done: true };
        assert_eq!(error.to_string(), "the deadline passed after 2 attempts, the change may have been made: silence");
        let error = ConnectError::Unreachable { tried: vec!["a: no".to_owned(), "b: no".to_owned()] };
        assert_eq!(error.to_string(), "no host answered: a: no; b: no");
    }
}
