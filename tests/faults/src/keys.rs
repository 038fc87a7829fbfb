//! Keys that fall into a colony of one's choice.

use colony_wire::{ColonyId, NamespaceId};

use crate::failure::Failure;

/// Most tags looked at for one colony. Each falls into one of the colonies with equal chance, so that not to find
/// one among so many means that the hash is broken.
const TAGS_MAX: u32 = 100_000;

/// For each colony of a namespace, a tag whose keys are in it (`PROTOCOL.md` 1).
///
/// # Errors
/// [`Failure::NoKey`].
pub fn tags(namespace: NamespaceId, buckets: u32) -> Result<Vec<String>, Failure> {
    (0..buckets).map(|bucket| tag(ColonyId { namespace, bucket }, buckets)).collect()
}

fn tag(colony: ColonyId, buckets: u32) -> Result<String, Failure> {
    let mut tags = (0..TAGS_MAX).map(|number| format!("{{{number}}}"));
    let is_in = |tag: &String| ColonyId::of(colony.namespace, tag.as_bytes(), buckets) == colony;
    tags.find(is_in).ok_or(Failure::NoKey { bucket: colony.bucket })
}
