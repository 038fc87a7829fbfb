//! What a node of a Redis Cluster says of all nodes.

/// A node, as another sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its name, 40 characters.
    pub(super) id: String,
    /// Its port for clients.
    pub(super) port: u16,
    /// Whether it is a primary that serves slots.
    pub(super) is_serving: bool,
    /// The node that it copies.
    pub(super) copies: Option<String>,
    /// Whether it is held for failed, or may be.
    pub(super) is_failed: bool,
}

/// Reads the answer to `CLUSTER NODES`; lines that are none are left out.
pub(super) fn read(text: &str) -> Vec<Seen> {
    text.lines().filter_map(line).collect()
}

/// `ID HOST:PORT@BUS FLAGS PRIMARY PING PONG EPOCH LINK [SLOTS...]`.
fn line(line: &str) -> Option<Seen> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, address, flags, primary, _, _, _, _, slots @ ..] = words.as_slice() else { return None };
    let (_, port) = address.split('@').next()?.rsplit_once(':')?;
    let has = |flag: &str| flags.split(',').any(|one| one == flag);
    Some(Seen {
        id: (*id).to_owned(),
        port: port.parse().ok()?,
        is_serving: has("master") && !slots.is_empty(),
        copies: (*primary != "-").then(|| (*primary).to_owned()),
        is_failed: has("fail") || has("fail?") || has("handshake") || has("noaddr"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_and_their_replicas_are_told_apart() {
        let text = "07c3 127.0.0.1:30004@40004 slave e7d1 0 1426238317239 4 connected\n\
                    67ed 127.0.0.1:30002@40002,host master - 0 1426238316232 2 connected 5461-10922\n\
                    292f 127.0.0.1:30003@40003 master,fail - 0 1426238318243 3 disconnected 10923-16383\n\
                    e7d1 127.0.0.1:30001@40001 myself,master - 0 0 1 connected\n\n";
        let seen = read(text);
        assert_eq!(seen.iter().map(|node| node.port).collect::<Vec<_>>(), [30004, 30002, 30003, 30001]);
        assert_eq!(seen[0].copies.as_deref(), Some("e7d1"));
        assert_eq!(seen.iter().map(|node| node.is_serving).collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!(seen.iter().map(|node| node.is_failed).collect::<Vec<_>>(), [false, false, true, false]);
    }
}
