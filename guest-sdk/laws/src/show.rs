//! Questions and answers for people.

use std::fmt;

use colony_guest::merge::{Occasion, SessionConflict, Snapshot, State};
use colony_guest::placement::{Candidate, Request};

use crate::report::Question;
use crate::settle::Settled;

/// Bytes of one value that are shown.
const VALUE_BYTES: usize = 120;
/// Attributes or hosts that are shown.
const SHOWN: usize = 12;

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merge(conflict) => merge(conflict, f),
            Self::Rank(request) => rank(request, f),
        }
    }
}

fn merge(conflict: &SessionConflict, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &conflict.base {
        Some(base) => writeln!(f, "    base    {}", side(base))?,
        None => writeln!(f, "    base    unknown")?,
    }
    writeln!(f, "    ours    {}", side(&conflict.ours))?;
    writeln!(f, "    theirs  {}", side(&conflict.theirs))?;
    if conflict.occasion == Occasion::Heal {
        writeln!(f, "    at a heal")?;
    }
    Ok(())
}

fn side(side: &Snapshot) -> String {
    let mut text = state(&side.state);
    if side.written_at_ms > 0 {
        text += &format!(", written at {} ms", side.written_at_ms);
    }
    let version = &side.version;
    if (version.lineage, version.reign, version.seq) != (0, 0, 0) {
        text += &format!(", version {:x}-{}-{}", version.lineage, version.reign, version.seq);
    }
    if let Some(expires) = side.expires_in_ms {
        text += &format!(", expires in {expires} ms");
    }
    text
}

fn state(state: &State) -> String {
    match state {
        State::Blob(bytes) => format!("blob {}", value(bytes)),
        State::Attributes(attributes) if attributes.is_empty() => "no attribute".into(),
        State::Attributes(attributes) => {
            let pairs = attributes.iter().take(SHOWN).map(|(name, bytes)| format!("{name:?} = {}", value(bytes)));
            let mut text = pairs.collect::<Vec<_>>().join(", ");
            if attributes.len() > SHOWN {
                text += &format!(" and {} more", attributes.len() - SHOWN);
            }
            text
        }
        State::Deleted => "ended".into(),
    }
}

/// Text in quotes, anything else in hexadecimal.
fn value(bytes: &[u8]) -> String {
    let more = if bytes.len() > VALUE_BYTES { format!("... of {} bytes", bytes.len()) } else { String::new() };
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{:?}{more}", &text[..text.floor_char_boundary(VALUE_BYTES)]),
        Err(_) => {
            let shown = bytes.get(..VALUE_BYTES / 2).unwrap_or(bytes);
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("hex {hex}{more}")
        }
    }
}

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(held) => f.write_str(&state(held)),
            Self::Quarantined(reason) => write!(f, "set aside: {reason:?}"),
            Self::Unanswered(why) => write!(f, "no answer: {why}"),
        }
    }
}

fn rank(request: &Request, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "    namespace {:?}, bucket {}, {:?}", request.namespace, request.bucket, request.role)?;
    for host in request.candidates.iter().take(SHOWN) {
        writeln!(f, "    host    {}", candidate(host))?;
    }
    match request.candidates.len() {
        0 => writeln!(f, "    no host"),
        count if count > SHOWN => writeln!(f, "    and {} more hosts", count - SHOWN),
        _ => Ok(()),
    }
}

fn candidate(host: &Candidate) -> String {
    let mut text = format!("{:?}", host.name);
    for (key, value) in &host.labels {
        text += &format!(" {key}={value:?}");
    }
    let load = &host.load;
    text += &format!(", {} colonies, {} primaries", load.colonies, load.primaries);
    let measured = [
        ("sessions", load.sessions),
        ("bytes", load.bytes),
        ("% processor", load.cpu_percent.map(u64::from)),
        ("% memory", load.memory_percent.map(u64::from)),
    ];
    for (unit, value) in measured {
        if let Some(value) = value {
            text += &format!(", {value} {unit}");
        }
    }
    text
}
