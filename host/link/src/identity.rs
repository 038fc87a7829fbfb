//! Who stands at the other end of a connection, and whom a dialer accepts.

use std::fmt;

/// Longest name of a host or client: one DNS label, since the name is part of a DNS name in the certificate.
pub const NAME_LEN_MAX: usize = 63;

/// Names nobody may have: `any` is the name every host's certificate carries beside its own, and `ca` is the name of
/// the authority's files in a folder of certificates.
const RESERVED: [&str; 2] = ["any", "ca"];

/// Who the other end is, as read from its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// Its name: 1 to [`NAME_LEN_MAX`] of `a-z`, `0-9` and `-`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What it may do. A host has every right.
    pub rights: Rights,
}

impl PeerIdentity {
    /// The identity of a host, which has every right.
    pub fn host(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: Role::Host, rights: Rights::ALL }
    }

    /// The identity of a client with the given rights.
    pub fn client(name: impl Into<String>, rights: Rights) -> Self {
        Self { name: name.into(), role: Role::Client, rights }
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.role, self.name)
    }
}

/// What a certificate makes of its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A member, or one that asks to become a member, of the cluster.
    Host,
    /// An application or an operator.
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Client => "client",
        })
    }
}

/// What a client may do, as written in its certificate. Nothing unless it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights {
    /// Read sessions.
    pub read: bool,
    /// Create, change and delete sessions.
    pub write: bool,
    /// Change the cluster: namespaces, plugins, members.
    pub admin: bool,
}

impl Rights {
    /// Every right: what hosts and administrators have.
    pub const ALL: Self = Self { read: true, write: true, admin: true };
    /// No right at all.
    pub const NONE: Self = Self { read: false, write: false, admin: false };
    /// What an application needs.
    pub const READ_WRITE: Self = Self { read: true, write: true, admin: false };
}

/// Whom a dialer accepts at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expect {
    /// Any host of the cluster: for seeds, whose names are not known yet.
    AnyHost,
    /// The host of this name only.
    Host(String),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyHost => f.write_str("any host"),
            Self::Host(name) => write!(f, "host `{name}`"),
        }
    }
}

/// Why a name cannot be the name of a host or client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty, or longer than [`NAME_LEN_MAX`].
    #[error("the name `{name}` has {} characters; it needs 1 to {NAME_LEN_MAX}", name.len())]
    Length {
        /// The name as given.
        name: String,
    },
    /// The name has a character outside `a-z`, `0-9` and `-`, or begins or ends with `-`.
    #[error("the name `{name}` may only have a-z, 0-9 and -, the last not at an end")]
    Character {
        /// The name as given.
        name: String,
    },
    /// The name means something else.
    #[error("the name `{name}` is reserved")]
    Reserved {
        /// The name as given.
        name: String,
    },
}

/// Checks that `name` can be the name of a host or client: one DNS label in lower case, and not reserved.
///
/// # Errors
///
/// The rule the name breaks.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let owned = || name.to_owned();
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(NameError::Length { name: owned() });
    }
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Character { name: owned() });
    }
    if RESERVED.contains(&name) {
        return Err(NameError::Reserved { name: owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_dns_label() {
        for good in ["a", "h1", "eu-west-1", "0", &"x".repeat(NAME_LEN_MAX)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "H1", "a.b", "a_b", "-a", "a-", "ä", "any", "ca", &"x".repeat(NAME_LEN_MAX + 1)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
