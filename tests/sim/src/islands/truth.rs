//! What must come out when all are one again.

use std::collections::BTreeMap;

use colony_wire::session::{Content, Key};

use super::clients::Wish;
use super::world::{ROOT, World};

/// Nothing that was acknowledged on any side is lost, done twice, or back after its end; all copies are equal.
pub(super) fn check(world: &mut World) -> Result<(), String> {
    world.check_kept()?;
    for (primary, copy) in world.copies() {
        if primary.store().digest() != copy.store().digest() {
            return Err(format!("copies of {} at {:?} differ", primary.colony(), copy.position()));
        }
    }
    let mut wishes: BTreeMap<Key, Vec<Wish>> = BTreeMap::new();
    let mut unknown: BTreeMap<Key, Vec<Wish>> = BTreeMap::new();
    for client in &world.clients {
        for (all, own) in [(&mut wishes, &client.done), (&mut unknown, &client.unknown)] {
            for (key, done) in own {
                all.entry(key.clone()).or_default().extend(done.iter().cloned());
            }
        }
    }
    // What was done twice counts once for sure, and once more perhaps: later changes may stand on either.
    for (key, wish) in world
        .clients
        .iter()
        .flat_map(|client| &client.wishes)
        .filter_map(|(request, wish)| world.doubled.contains(request).then_some(wish))
    {
        unknown.entry(key.clone()).or_default().push(wish.clone());
    }
    let mut ended_against_change = 0;
    for (key, done) in &wishes {
        let maybe = unknown.get(key).map_or(&[][..], Vec::as_slice);
        let lives = done.iter().chain(maybe).filter(|wish| **wish == Wish::Begin).count();
        let ends = done.iter().chain(maybe).filter(|wish| **wish == Wish::End).count();
        let colony = world.colony_of(key);
        if world.lost.contains(&colony) {
            continue;
        }
        let content = content(world, key);
        // Who knows of more than one life cannot say which of them a change was of.
        if lives > 1 || ends > 0 {
            if done.contains(&Wish::End) && lives == 1 {
                ended_against_change += 1;
                if let Some(content) = content {
                    return Err(format!("{key:?} was ended and is back: {content:?}"));
                }
            }
            continue;
        }
        let Some(values) = content else { return Err(format!("{key:?} is lost: {done:?}")) };
        let amount = |wish: &Wish| if let Wish::Count(amount) = wish { Some(*amount) } else { None };
        let counted: u64 = done.iter().filter_map(amount).sum();
        let perhaps: Vec<u64> = maybe.iter().filter_map(amount).collect();
        let is = values.get("n").and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok()).unwrap_or(0);
        let sums =
            perhaps.iter().fold(vec![counted], |sums, more| sums.iter().flat_map(|sum| [*sum, sum + more]).collect());
        if !sums.contains(&is) {
            let off = i128::from(is) - i128::from(counted);
            let of = done.iter().chain(maybe).find(|wish| amount(wish).map(i128::from) == Some(off.abs()));
            return Err(format!("{key:?} counts {off} beside what was acknowledged ({of:?}), unknown are {perhaps:?}"));
        }
        for wish in done {
            if let Wish::Set(name) = wish
                && !values.contains_key(name)
            {
                return Err(format!("{key:?} lacks {name}, which was acknowledged"));
            }
        }
        for name in values.keys().filter(|name| *name != "n") {
            let was_set = done.iter().chain(maybe).any(|wish| *wish == Wish::Set(name.clone()));
            if !was_set {
                return Err(format!("{key:?} has {name}, which nobody was told is done"));
            }
        }
    }
    world.note("logout against change", ended_against_change);
    Ok(())
}

fn content(world: &World, key: &Key) -> Option<BTreeMap<String, bytes::Bytes>> {
    let colony = world.colony_of(key);
    let primary = world.primary_of(colony, ROOT)?;
    match world.hosts[primary].root.replica(colony)?.store().get(key)?.stored.content() {
        Content::Attributes(values) => Some(values),
        Content::Blob(_) => None,
    }
}
