//! Cases from a seed.

use std::collections::BTreeMap;

use colony_guest::merge::{Occasion, Snapshot, State, Version};

use crate::case::Case;
use crate::rng::Rng;
use crate::value::Shape;

/// Names of attributes: those that applications choose, and those that nobody would.
const NAMES: [&str; 14] = [
    "item:tea",
    "item:milk",
    "cart",
    "visits",
    "count",
    "tags",
    "user",
    "colour",
    "last_page",
    "a",
    "b",
    "Ä/€",
    " ",
    "x=1,y:2",
];
/// Draws until there is a conflict; sides that change at random rarely need more than one.
const DRAWS: usize = 20;
/// One case in so many has many attributes and large values.
const LARGE_EVERY: u64 = 50;
/// What a large one has: a fifth of what a host may hand to a call.
const LARGE_ATTRIBUTES: usize = 60;
const LARGE_VALUE_BYTES: usize = 300;
/// About when generated sessions were written, milliseconds since the Unix epoch.
const SOME_TIME: u64 = 1_750_000_000_000;

/// The case of this number.
pub(crate) fn case(seed: u64, number: u64) -> Case {
    let mut rng = Rng::of(seed, number);
    let large = number % LARGE_EVERY == LARGE_EVERY - 1;
    let mut case = draw(&mut rng, large);
    for _ in 0..DRAWS {
        if case.conflict().is_some() {
            break;
        }
        case = draw(&mut rng, large);
    }
    case
}

fn draw(rng: &mut Rng, large: bool) -> Case {
    let (base, ours, theirs) = match rng.below(100) {
        _ if large => attributes(rng, true),
        0..68 => attributes(rng, false),
        68..88 => blobs(rng),
        88..94 => one_ended(rng),
        _ => mixed(rng),
    };
    // Only islands meet with ended sessions or with another kind of content.
    let same =
        matches!((&ours, &theirs), (State::Attributes(_), State::Attributes(_)) | (State::Blob(_), State::Blob(_)));
    let occasion = if same && rng.percent(60) { Occasion::ConcurrentSave } else { Occasion::Heal };
    let written_at = SOME_TIME + rng.below(1_000) as u64;
    let version =
        Version { lineage: u128::from(rng.next()), reign: 1 + rng.below(4) as u64, seq: rng.below(90) as u64 };
    let base = base.map(|state| {
        let mut base = Snapshot::of(state).written_at(written_at);
        base.version = version;
        base
    });
    let mut ours = meta(ours, version, written_at, occasion, rng);
    let mut theirs = meta(theirs, version, written_at, occasion, rng);
    if rng.percent(25) {
        theirs.written_at_ms = ours.written_at_ms;
    }
    if rng.percent(10) {
        theirs.version = ours.version;
    }
    if rng.percent(3) {
        ours.written_at_ms = rng.pick(&[0, u64::MAX]);
    }
    Case { namespace: "test".into(), occasion, base, ours, theirs }
}

/// A side's state with what is known of its last write.
fn meta(state: State, base: Version, written_at: u64, occasion: Occasion, rng: &mut Rng) -> Snapshot {
    let later = Version { seq: base.seq + 1 + rng.below(9) as u64, ..base };
    let version = match occasion {
        // The side that stays went on in its lineage, the other has one of its own.
        Occasion::Heal if rng.percent(50) => Version { lineage: u128::from(rng.next()) << 64 | 7, ..later },
        Occasion::Heal => later,
        // A save that is not stored yet has the version that it was based on.
        Occasion::ConcurrentSave => rng.pick(&[base, later]),
    };
    let mut side = Snapshot::of(state).written_at(written_at + rng.pick(&[0, 1, 2, 60_000]));
    side.version = version;
    side.expires_in_ms = rng.pick(&[None, None, Some(0), Some(1_800_000), Some(u64::MAX)]);
    side
}

type States = (Option<State>, State, State);

fn attributes(rng: &mut Rng, large: bool) -> States {
    let (mut base, mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let count = if large { LARGE_ATTRIBUTES } else { 1 + rng.below(4) };
    for number in 0..count {
        let name = if large { format!("item:{number}") } else { rng.pick(&NAMES).to_owned() };
        let shape = Shape::any(rng);
        let mut began = rng.percent(85).then(|| shape.value(rng));
        if large && let Some(value) = &mut began {
            value.resize(LARGE_VALUE_BYTES, b'x');
        }
        for side in [&mut ours, &mut theirs] {
            if let Some(value) = changed(shape, began.as_deref(), rng) {
                side.insert(name.clone(), value);
            } else {
                side.remove(&name);
            }
        }
        if let Some(value) = began {
            base.insert(name, value);
        } else {
            base.remove(&name);
        }
    }
    (rng.percent(75).then_some(State::Attributes(base)), State::Attributes(ours), State::Attributes(theirs))
}

/// What became of an attribute on one side.
fn changed(shape: Shape, began: Option<&[u8]>, rng: &mut Rng) -> Option<Vec<u8>> {
    match (rng.below(100), began) {
        (0..10, began) => began.map(<[u8]>::to_vec),
        (10..20, _) => None,
        (20..28, _) => Some(Shape::any(rng).value(rng)),
        (_, Some(began)) => Some(shape.changed(began, rng)),
        (_, None) => Some(shape.value(rng)),
    }
}

fn blobs(rng: &mut Rng) -> States {
    let shape = Shape::any(rng);
    let began = shape.value(rng);
    let side = |rng: &mut Rng| State::Blob(changed(shape, Some(&began), rng).unwrap_or_default());
    let (ours, theirs) = (side(rng), side(rng));
    (rng.percent(75).then_some(State::Blob(began)), ours, theirs)
}

/// One side was ended, the other went on.
fn one_ended(rng: &mut Rng) -> States {
    let (base, ours, theirs) = if rng.percent(70) { attributes(rng, false) } else { blobs(rng) };
    if rng.percent(50) { (base, State::Deleted, theirs) } else { (base, ours, State::Deleted) }
}

/// One side made a blob of attributes, or attributes of a blob.
fn mixed(rng: &mut Rng) -> States {
    let (base, attributes, _) = attributes(rng, false);
    let (_, blob, _) = blobs(rng);
    if rng.percent(50) { (base, attributes, blob) } else { (base, blob, attributes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearly_every_case_holds_a_conflict_and_repeats_from_its_seed() {
        let cases = 1_000;
        let conflicts = (0..cases).filter(|&number| case(7, number).conflict().is_some()).count();
        assert!(conflicts >= 990, "{conflicts} of {cases}");
        assert!((0..cases).all(|number| case(7, number) == case(7, number)));
        assert_ne!(case(7, 0), case(8, 0));
    }

    #[test]
    fn the_cases_hold_what_trips_plugins() {
        let cases: Vec<_> = (0..400).map(|number| case(1, number)).collect();
        let any = |what: &dyn Fn(&Case) -> bool| cases.iter().filter(|case| what(case)).count();
        assert!(any(&|case| case.base.is_none()) > 20);
        assert!(any(&|case| case.ours.state == State::Deleted || case.theirs.state == State::Deleted) > 8);
        assert!(any(&|case| case.ours.written_at_ms == case.theirs.written_at_ms) > 40);
        assert!(any(&|case| case.occasion == Occasion::ConcurrentSave) > 100);
        assert!(any(&|case| matches!(case.ours.state, State::Blob(_))) > 30);
        let values = |case: &Case| match &case.ours.state {
            State::Attributes(attributes) => attributes.values().cloned().collect(),
            State::Blob(bytes) => vec![bytes.clone()],
            State::Deleted => Vec::new(),
        };
        assert!(any(&|case| values(case).iter().any(|value| std::str::from_utf8(value).is_err())) > 10);
        assert!(any(&|case| values(case).iter().any(Vec::is_empty)) > 5);
        assert!(any(&|case| values(case).iter().any(|value| value.starts_with(b"["))) > 20);
    }
}
