//! Every bound on what crosses the network, each with its reason.

use std::time::Duration;

/// Largest frame, header included, in bytes. Above the largest session and the largest batch, with room
/// for headers; small enough that a hostile peer cannot make a host hold much.
pub const MAX_FRAME: usize = 1024 * 1024;
/// Longest key in bytes. A server-made id takes 32.
pub const MAX_KEY: usize = 256;
/// Most attributes of one session, removed ones whose removal is remembered included.
pub const MAX_ATTRIBUTES: usize = 256;
/// Longest attribute name in bytes.
pub const MAX_ATTRIBUTE_NAME: usize = 128;
/// Largest content of one session in bytes: names and values, or the blob.
pub const MAX_SESSION: usize = 256 * 1024;
/// Longest name of a namespace, host, label or plugin in bytes.
pub const MAX_NAME: usize = 63;
/// Most tags of one session: a user, a device, a tenant and a few more; each costs an entry in an index.
pub const MAX_TAGS: usize = 8;
/// Most tags that one change names: all of them may go and as many others come.
pub const MAX_TAG_CHANGES: usize = 2 * MAX_TAGS;
/// Longest value of a tag in bytes.
pub const MAX_TAG_VALUE: usize = 128;
/// Most sessions in one answer about a tag: with keys of the greatest length, a third of a frame.
pub const MAX_TAGGED: usize = 1024;
/// Most sessions that one request ends by a tag. Each end takes a place in the colony's log.
pub const MAX_REVOKE: usize = 1024;
/// Most events in one answer to a watch.
pub const MAX_EVENTS: usize = 1024;
/// An answer to a watch is closed once its events hold this many bytes; one event may be larger by itself.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Most ops in one batch to a peer.
pub const MAX_BATCH_OPS: usize = 256;
/// A batch is closed once its ops hold this many bytes; one op may be larger by itself.
pub const MAX_BATCH_BYTES: usize = 256 * 1024;
/// Bytes of a snapshot in one chunk.
pub const SNAPSHOT_CHUNK: usize = 128 * 1024;
/// Largest state of one colony that can be copied: both ends hold it a second time in memory meanwhile.
pub const MAX_SNAPSHOT_BYTES: u64 = 2 << 30;
/// Most parts of one snapshot: with their names, 22 bytes each, an offer fits one frame with room to spare.
/// A power of two and one more.
pub const MAX_SNAPSHOT_PARTS: usize = 32 * 1024 + 1;
/// Most chunks of one snapshot: as many as fill the largest, and a shorter one for each part.
pub const MAX_SNAPSHOT_CHUNKS: usize = MAX_SNAPSHOT_PARTS + 16 * 1024;
/// Most (reign, last seq) pairs a peer sends to find where two logs part. A peer further behind than that
/// takes a snapshot.
pub const MAX_EPOCHS: usize = 64;
/// Longest time a mutation may live, from the client's first attempt (`PROTOCOL.md` 12).
pub const MAX_DEADLINE: Duration = Duration::from_secs(30);
/// Most buckets of one namespace.
pub const MAX_BUCKETS: u32 = 16 * 1024;
/// Most copies of one colony.
pub const MAX_COPIES: u8 = 7;
/// Most rules by which one namespace merges. People type them, and every conflict is looked at by each.
pub const MAX_MERGE_RULES: usize = 64;
/// Most labels of one host.
pub const MAX_LABELS: usize = 32;
/// Most hosts of one cluster.
pub const MAX_HOSTS: usize = 1024;
/// Most voters of one group: five, and as many again while they are exchanged.
pub const MAX_VOTERS: usize = 10;
/// Most namespaces of one cluster.
pub const MAX_NAMESPACES: usize = 256;
/// Longest time to live of a session.
pub const MAX_TTL: Duration = Duration::from_secs(366 * 24 * 3600);
/// Most colonies of one cluster, so that the whole table fits one frame with room to spare.
pub const MAX_COLONIES: usize = 8 * 1024;
/// Most problems in one status. Colonies with the same problem are one; people read the first twenty.
pub const MAX_PROBLEMS: usize = 2048;
/// Most starts that one process remembers to have lost: it ends itself before it forgets one that a kept
/// copy may hang on.
pub const MAX_EARLIER_STARTS: usize = 1024;
/// Most commands in one answer of the table's feed.
pub const MAX_FEED_COMMANDS: usize = 256;
/// A feed's answer is closed once its commands hold this many bytes.
pub const MAX_FEED_BYTES: usize = 256 * 1024;
/// Most hosts that pass a proposal on after the first one. With it a proposal comes over two others, and further from
/// the leader nobody is without being declared dead (`PROTOCOL.md` 13).
pub const MAX_RELAYS: usize = 1;
/// Most lineages that one process lives in: the root's, and an island's (`PROTOCOL.md` 8).
pub const MAX_REALMS: usize = 2;
/// Most lines of group state of which a client says what it has seen: one that goes from one side of a split to the other,
/// and back, sees two or three.
pub const MAX_TOKEN_LINES: usize = 4;
/// Most changes in one report of a plan: with names of the greatest length it still fits a frame.
pub const MAX_PLAN_CHANGES: usize = 1024;
/// Most problems in one report of a plan.
pub const MAX_PLAN_PROBLEMS: usize = 64;
/// Largest placement plugin that a plan may be tried with: it travels in one frame.
pub const MAX_PLAN_PLUGIN: usize = MAX_FRAME - 4096;
/// Largest plugin in bytes. A stripped one takes 50 KiB; the bytes travel to every host.
pub const MAX_PLUGIN_BYTES: usize = 4 << 20;
/// Bytes of a plugin in one piece.
pub const PLUGIN_CHUNK: usize = 256 * 1024;
/// Most plugins of one cluster: every host holds and compiles all their versions.
pub const MAX_PLUGINS: usize = 32;
/// Most plugins in one list of them: the installed ones, and of those that hosts name by file the first by name.
pub const MAX_PLUGINS_LISTED: usize = 4 * MAX_PLUGINS;
/// Most versions kept of one plugin: the active one, what a rollback may bring back, and one that is to be tried.
pub const MAX_PLUGIN_VERSIONS: usize = 4;
/// Most bytes of all versions of all plugins: every host holds them in memory.
pub const MAX_PLUGINS_BYTES: u64 = 64 << 20;
/// Longest address with its port, as text, in bytes: one of IPv6 with a scope takes 58.
pub const MAX_ADDRESS: usize = 64;
/// Longest reason, for people, of one failure in a list of many, in bytes.
pub const MAX_REASON: usize = 1024;
/// Most stretches of a path in one message: more reigns than a colony of a year with a failover every two hours has, and
/// with 48 bytes each a fifth of a frame.
pub const MAX_PATH: usize = 4096;
/// Most values of one session in one item of a heal: what it is, and what it was where a side may have begun.
pub const MAX_VERSIONS: usize = 8;
/// Most sessions in one part of what a heal brings.
pub const MAX_HEAL_ITEMS: usize = 256;
/// A part is closed once its sessions hold this many bytes; one session may be larger by itself.
pub const MAX_HEAL_BYTES: usize = 256 * 1024;
/// Most answers to clients in one part of what a heal brings, each client counting as one more. With 128 bytes each they
/// fill half a frame.
pub const MAX_HEAL_ANSWERS: usize = 4096;
/// Most values that a heal overrode in one list of them. A list is closed earlier once it holds [`MAX_HEAL_BYTES`].
pub const MAX_OVERRIDDEN: usize = 256;
/// Most lines in which one host tells what is wrong on it: its plugins, of which it has a few dozen at most.
pub const MAX_TROUBLES: usize = 256;
