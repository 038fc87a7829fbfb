//! Tags: set, listed and revoked over all colonies of a namespace.

use std::collections::BTreeSet;

use colony_client::{CallError, Key, Namespace, Refusal, Tags};
use colony_wire::client::{Ack, Done, ReplyBody, RequestBody};
use colony_wire::session::{Changes, Mutation, SessionSummary};
use tokio::task::JoinHandle;

use crate::cluster::{Asked, Cluster, at, done, found};

/// Buckets of the namespace of these stories.
const BUCKETS: usize = 8;

fn revoked(ended: u32, more: bool) -> ReplyBody {
    ReplyBody::Done(Done { version: at(1, 9), life: at(1, 9), copies: 2, merged: false, ack: Ack::InSync, ended, more })
}

fn sessions(names: &[&'static str], more: bool) -> ReplyBody {
    let summary = SessionSummary { version: at(1, 2), life: at(1, 1), expires_in: Some(1_000), written_at: 7 };
    let found = names.iter().map(|name| (Key::new(*name).expect("a short key"), summary)).collect();
    ReplyBody::Sessions { found, more }
}

fn revoke(carts: &Namespace) -> JoinHandle<Result<u32, CallError>> {
    let carts = carts.clone();
    tokio::spawn(async move { carts.revoke("user", 42).await })
}

/// One request for each colony, in any order.
async fn one_of_each(cluster: &mut Cluster) -> Vec<Asked> {
    let mut asked = Vec::new();
    for _ in 0..BUCKETS {
        asked.push(cluster.asked().await);
    }
    let colonies: BTreeSet<_> = asked.iter().map(|one| one.request.colony.bucket).collect();
    assert_eq!(colonies.len(), BUCKETS, "every colony once");
    asked
}

#[tokio::test(start_paused = true)]
async fn tags_are_sent_with_the_next_save_and_shown_at_once() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let load = tokio::spawn(async move { carts.load("alice").await });
    cluster.asked().await.reply(found(3, &[("a", b"1")]));
    let mut session = load.await.unwrap().unwrap().expect("it was found");
    session.tag("user", 42).unwrap();
    session.untag("never there");
    assert!(session.is_changed());
    assert_eq!(session.tags(), Tags::from([("user".to_owned(), "42".to_owned())]));
    assert!(matches!(session.tag("", 1), Err(CallError::Invalid(_))));
    let save = tokio::spawn(async move { (session.save().await.map(drop), session) });
    let asked = cluster.asked().await;
    let Mutation::Save { changes, tags, .. } = asked.mutation() else { panic!("not a save") };
    assert_eq!((changes, tags), (&Changes::Attributes(vec![]), &vec![("user".to_owned(), Some("42".to_owned()))]));
    asked.reply(done(4, false));
    let (saved, mut session) = save.await.unwrap();
    assert_eq!((saved, session.is_changed()), (Ok(()), false));
    session.tag("user", "42").unwrap();
    assert!(!session.is_changed(), "it has the tag");
}

/// Each colony is asked for itself, again and again while it has more; the list is in the order of keys.
#[tokio::test(start_paused = true)]
async fn a_list_is_asked_of_every_colony_to_its_end() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let list = tokio::spawn(async move { carts.tagged("user", 42).await });
    let asked = one_of_each(&mut cluster).await;
    for one in &asked[2..] {
        one.reply(sessions(&[], false));
    }
    asked[0].reply(sessions(&["c"], false));
    asked[1].reply(sessions(&["b"], true));
    let rest = cluster.asked().await;
    assert_eq!(rest.request.colony, asked[1].request.colony);
    let RequestBody::Tagged { after, .. } = &rest.request.body else { panic!("not a list") };
    assert_eq!(after.as_ref().map(Key::as_bytes), Some(&b"b"[..]));
    rest.reply(sessions(&["d"], false));
    let found = list.await.unwrap().unwrap();
    assert_eq!(found.iter().filter_map(|one| one.id()).collect::<Vec<_>>(), ["b", "c", "d"]);
    assert_eq!(found[0].served_by, "h1");
}

#[tokio::test(start_paused = true)]
async fn a_revoke_asks_every_colony_until_none_is_left() {
    let mut cluster = Cluster::of(2);
    let carts = cluster.client().await.namespace("cart");
    let revoking = revoke(&carts);
    let asked = one_of_each(&mut cluster).await;
    for one in &asked[2..] {
        one.reply(revoked(0, false));
    }
    asked[0].reply(revoked(1024, true));
    let again = cluster.asked().await;
    assert_eq!(again.request.colony, asked[0].request.colony);
    assert_ne!(again.stamp().request, asked[0].stamp().request, "the rest is another request");
    again.reply(revoked(3, false));
    // The last colony moves: the same request goes to its new primary.
    cluster.promote(2);
    asked[1].refuse(Refusal::NotReady);
    let moved = cluster.asked().await;
    assert_eq!((moved.host.as_str(), moved.stamp().request), ("h2", asked[1].stamp().request));
    moved.reply(revoked(2, false));
    assert_eq!(revoking.await.unwrap(), Ok(1029));
}

/// What was done in some colonies is done: that is not "surely not done", and asking again is of use.
#[tokio::test(start_paused = true)]
async fn a_revoke_that_some_colony_did_not_do_says_so() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let revoking = revoke(&carts);
    let asked = one_of_each(&mut cluster).await;
    for one in &asked[1..] {
        one.reply(revoked(1, false));
    }
    asked[0].refuse(Refusal::Unknown);
    let error = revoking.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Partly { done: 7, all: 8, .. }), "{error}");
    assert!(error.is_retryable() && !error.has_no_side_effects());

    let revoking = revoke(&carts);
    for one in one_of_each(&mut cluster).await {
        one.refuse(Refusal::Forbidden { right: "admin".to_owned() });
    }
    assert_eq!(revoking.await.unwrap(), Err(CallError::Forbidden { right: "admin".to_owned() }), "nobody did it");
}
