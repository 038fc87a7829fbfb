//! C20: keys arrange themselves in colonies by a published function.

use colony_wire::{ColonyId, NamespaceId};

/// Buckets of a key among 16384, among 64 and among 8.
const BUCKETS: [(&str, [u32; 3]); 13] = [
    ("alice", [5808, 48, 0]),
    ("bob", [14565, 37, 5]),
    ("a", [3615, 31, 7]),
    ("0123456789abcdef0123456789abcdef", [85, 21, 5]),
    ("user7", [15292, 60, 4]),
    ("{user7}.cart", [15292, 60, 4]),
    ("{user7}.prefs", [15292, 60, 4]),
    ("x{user7}", [15292, 60, 4]),
    ("a}b{c}", [14363, 27, 3]),
    ("{a", [8655, 15, 7]),
    ("{{a}}", [8655, 15, 7]),
    ("{}a", [811, 43, 3]),
    ("s\u{e9}ance", [7345, 49, 1]),
];

/// Shards of a colony, as (namespace, bucket), on hosts with 2, 3, 4 and 16 shards.
const SHARDS: [((u32, u32), [u16; 4]); 5] = [
    ((1, 0), [0, 2, 2, 14]),
    ((1, 1), [1, 0, 3, 15]),
    ((1, 63), [1, 1, 3, 15]),
    ((2, 0), [1, 1, 3, 3]),
    ((258, 16383), [1, 1, 3, 3]),
];

/// C20: which colony holds a key. For whoever writes a client in another language: the bucket is XXH3-64 with
/// seed 0 of the hashed part, modulo the namespace's number of buckets. The hashed part is what stands
/// between the first `{` and the next `}` if that is there and not empty, else the whole key. The namespace
/// takes no part. The values agree with the reference implementation of xxHash.
///
/// | key | hashed part | of 16384 | of 64 | of 8 |
/// | --- | --- | --- | --- | --- |
/// | `alice` | `alice` | 5808 | 48 | 0 |
/// | `bob` | `bob` | 14565 | 37 | 5 |
/// | `a` | `a` | 3615 | 31 | 7 |
/// | `0123456789abcdef0123456789abcdef` | itself | 85 | 21 | 5 |
/// | `user7`, `{user7}.cart`, `{user7}.prefs`, `x{user7}` | `user7` | 15292 | 60 | 4 |
/// | `a}b{c}` | `c` | 14363 | 27 | 3 |
/// | `{a` | `{a` | 8655 | 15 | 7 |
/// | `{{a}}` | `{a` | 8655 | 15 | 7 |
/// | `{}a` | `{}a` | 811 | 43 | 3 |
/// | `séance` in UTF-8 | itself | 7345 | 49 | 1 |
#[test]
fn the_bucket_of_a_key_is_as_published() {
    for (key, buckets) in BUCKETS {
        for namespace in [1, 9] {
            let of = |count| ColonyId::of(NamespaceId(namespace), key.as_bytes(), count);
            let found = [16_384, 64, 8].map(|count| of(count).bucket);
            assert_eq!(found, buckets, "{key}");
        }
    }
}

/// Which shard of a host owns its copy of a colony: XXH3-64 with seed 0 of eight bytes, the namespace and
/// the bucket as little-endian 32-bit numbers, modulo the host's number of shards.
///
/// | namespace | bucket | of 2 | of 3 | of 4 | of 16 |
/// | --- | --- | --- | --- | --- | --- |
/// | 1 | 0 | 0 | 2 | 2 | 14 |
/// | 1 | 1 | 1 | 0 | 3 | 15 |
/// | 1 | 63 | 1 | 1 | 3 | 15 |
/// | 2 | 0 | 1 | 1 | 3 | 3 |
/// | 258 | 16383 | 1 | 1 | 3 | 3 |
#[test]
fn the_shard_of_a_colony_is_as_published() {
    for ((namespace, bucket), shards) in SHARDS {
        let colony = ColonyId { namespace: NamespaceId(namespace), bucket };
        assert_eq!([2, 3, 4, 16].map(|count| colony.shard(count)), shards, "{colony}");
    }
}

#[test]
fn a_host_without_shards_or_a_namespace_without_buckets_does_not_divide_by_zero() {
    let colony = ColonyId::of(NamespaceId(1), b"alice", 0);
    assert_eq!((colony.bucket, colony.shard(0)), (0, 0));
}
