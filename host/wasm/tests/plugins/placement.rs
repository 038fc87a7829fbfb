//! The planner's questions reach a placement plugin, and its scores and vetoes come back.

use colony_core::placement::{Candidate, Load, Placement, Request, Role, Score};
use colony_wasm::{Limits, PlacementPlugin, Runtime};

use crate::built::component;

fn plugin(name: &str) -> PlacementPlugin {
    let runtime = Runtime::new(Limits::DEFAULT).expect("this machine runs WebAssembly");
    runtime.load_placement_file(component(name)).expect("a plugin of ours")
}

fn hosts() -> Vec<Candidate> {
    let host = |name: &str, primary: &str, colonies| Candidate {
        name: name.into(),
        labels: [("zone", name), ("primary", primary)].map(|(key, value)| (key.into(), value.into())).into(),
        load: Load { colonies, primaries: colonies, ..Load::default() },
    };
    vec![host("h1", "never", 0), host("h2", "yes", 8), host("h3", "yes", 2)]
}

fn request(hosts: &[Candidate], role: Role) -> Request<'_> {
    Request { namespace: "carts", bucket: 3, role, hosts }
}

/// A7: the rule is a plugin's, here one that reads a label of the host.
#[test]
fn a_veto_comes_through_with_its_reason() {
    let hosts = hosts();
    let scores = plugin("spread-zones").rank(&request(&hosts, Role::Primary)).expect("scores");
    assert_eq!(scores[0], Score::Veto("h1 is labelled primary=never".into()));
    assert!(matches!(scores[1..], [Score::Weight(_), Score::Weight(_)]), "{scores:?}");
}

#[test]
fn emptier_hosts_score_higher() {
    let hosts = hosts();
    let scores = plugin("spread-zones").rank(&request(&hosts, Role::Secondary)).expect("scores");
    match scores.as_slice() {
        [Score::Weight(empty), Score::Weight(full), Score::Weight(between)] => {
            assert!(empty > between && between > full, "{scores:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_hosts_get_no_scores() {
    let scores = plugin("spread-zones").rank(&request(&[], Role::Primary)).expect("scores");
    assert_eq!(scores, []);
}

#[test]
fn fewer_scores_than_hosts_are_no_answer() {
    let hosts = hosts();
    let silent = plugin("miscount").rank(&request(&hosts, Role::Primary)).expect_err("no answer");
    assert!(silent.why.ends_with("2 scores for 3 hosts"), "{silent}");
}

/// What a ranking wants is the planner's to bound (`placement::Rest`); here it only comes through.
#[test]
fn a_ranking_that_means_harm_is_an_answer_like_any_other() {
    let hosts = hosts();
    let request = request(&hosts, Role::Secondary);
    let scores = plugin("herd").rank(&request).expect("scores");
    assert!(matches!(scores[..], [Score::Weight(i32::MAX), Score::Veto(_), Score::Veto(_)]), "{scores:?}");
    let flapping = plugin("flapping");
    let answers: Vec<_> = (0..6).map(|_| flapping.rank(&request).expect("scores")).collect();
    assert_ne!(answers[0], answers[2]);
    assert_ne!(answers[2], answers[4]);
}

#[test]
fn plugins_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<PlacementPlugin>();
    shared::<colony_wasm::MergePlugin>();
    shared::<Runtime>();
}
