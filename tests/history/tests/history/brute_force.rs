//! The checker against one that tries every order of every choice of unknown operations, and nothing else.

use colony_history::rng::Rng;
use colony_history::simulate::{Mix, simulate};
use colony_history::{Action, History, Operation, Outcome, Value, Verdict, check};
use proptest::prelude::*;

/// Whether the operations that are left can follow one another from here.
fn has_order(held: Option<Value>, left: &[Operation]) -> bool {
    let must = |operation: &&Operation| operation.outcome != Outcome::Unknown;
    if left.iter().filter(must).count() == 0 {
        return true;
    }
    let first_return = left.iter().filter(must).filter_map(|operation| operation.returned).min();
    (0..left.len()).any(|index| {
        let next = left[index];
        let in_time = first_return.is_none_or(|returned| next.invoked <= returned);
        let rest = || [&left[..index], &left[index + 1..]].concat();
        in_time && next_state(held, next).is_some_and(|held| has_order(held, &rest()))
    })
}

/// What is held after an operation that takes effect now; none if it cannot have this outcome.
fn next_state(held: Option<Value>, operation: Operation) -> Option<Option<Value>> {
    let Operation { action, outcome, .. } = operation;
    let is_base = matches!(action, Action::Swap { from, .. } if held == Some(from));
    let succeeds = match action {
        Action::Put(_) => true,
        Action::Create(_) => held.is_none(),
        Action::Swap { .. } => is_base,
        Action::Delete => held.is_some(),
        Action::Read => false,
    };
    match outcome {
        Outcome::Done => succeeds.then(|| action.written()),
        Outcome::Unknown if succeeds => Some(action.written()),
        Outcome::Unknown | Outcome::NotDone => Some(held),
        Outcome::Found(value) => (held == Some(value)).then_some(held),
        Outcome::Absent | Outcome::NotFound => held.is_none().then_some(held),
        Outcome::Exists => held.is_some().then_some(held),
        Outcome::Changed => (held.is_some() && !is_base).then_some(held),
        Outcome::Gone => (!is_base).then_some(held),
    }
}

/// Compares the two on one session; true if they find an order.
fn agreed(operations: &[Operation]) -> Result<bool, TestCaseError> {
    let mut history = History::new();
    for operation in operations {
        history.push("s", *operation).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
    }
    let expected = has_order(None, operations);
    let verdict = check(&history);
    prop_assert_eq!(verdict == Verdict::Linearizable, expected, "{:?} of {:#?}", verdict, operations);
    Ok(expected)
}

/// Any operation; the value that it writes is its number, so that none is written twice.
fn operation(number: u64) -> impl Strategy<Value = Operation> {
    let other = (0..5_u64).prop_map(move |value| Value(if value < number { value } else { value + 1 }));
    let new = Value(number);
    let called = prop_oneof![
        2 => Just((Action::Put(new), vec![Outcome::Done])),
        2 => Just((Action::Create(new), vec![Outcome::Done, Outcome::Done, Outcome::Exists])),
        3 => other.clone().prop_map(move |from| {
            (Action::Swap { from, to: new }, vec![Outcome::Done, Outcome::Changed, Outcome::Gone])
        }),
        2 => Just((Action::Delete, vec![Outcome::Done, Outcome::Done, Outcome::NotFound])),
        4 => other.prop_map(|value| (Action::Read, vec![Outcome::Found(value), Outcome::Found(value), Outcome::Absent])),
    ];
    (called, any::<prop::sample::Index>(), 0..24_u64, 0..24_u64, 0..10_u32).prop_map(
        move |((action, outcomes), chosen, invoked, span, fate)| {
            let outcome = match fate {
                0..4 => Outcome::Unknown,
                4 => Outcome::NotDone,
                _ => outcomes[chosen.index(outcomes.len())],
            };
            let returned = (outcome != Outcome::Unknown).then_some(invoked + span);
            Operation { client: number, invoked, returned, action, outcome }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_on_any_tiny_history(
        all in (operation(0), operation(1), operation(2), operation(3), operation(4), operation(5)),
        count in 1..7_usize,
    ) {
        agreed(&[all.0, all.1, all.2, all.3, all.4, all.5][..count])?;
    }
}

/// Histories that could have happened, with or without one answer changed: closer to the line than any history.
#[test]
fn it_agrees_on_tiny_histories_of_a_store() {
    let mut right = 0;
    let seeds = 40_000;
    for seed in 0..seeds {
        let mut rng = Rng::new(seed);
        let clients = 2 + rng.below(3);
        let mix = Mix { seed, operations: 6, sessions: 1, clients, unknown: 350, judged: 700, slow: 100 };
        let history = simulate(&mix).expect("six operations are not too many");
        let mut operations = history.sessions().next().expect("one session").1.to_vec();
        if rng.chance(700) {
            change_an_answer(&mut operations, &mut rng);
        }
        match agreed(&operations) {
            Ok(linearizable) => right += u64::from(linearizable),
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(
        (seeds / 4..seeds * 3 / 4).contains(&right),
        "{right} of {seeds} histories are linearizable: too one-sided"
    );
}

fn change_an_answer(operations: &mut [Operation], rng: &mut Rng) {
    let index = rng.below(operations.len() as u64) as usize;
    let operation = &mut operations[index];
    let values = [0, 1, 2, 3, 4].map(|value| Outcome::Found(Value(value)));
    let others = [Outcome::Done, Outcome::Absent, Outcome::Exists, Outcome::Changed, Outcome::Gone, Outcome::NotFound];
    let all: Vec<_> = values.into_iter().chain(others).filter(|outcome| operation.action.may_end(*outcome)).collect();
    if operation.returned.is_some() {
        operation.outcome = rng.pick(&all).unwrap_or(operation.outcome);
    }
}
