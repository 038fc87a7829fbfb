//! What a call makes of hosts that refuse, break off, or say nothing.

use std::time::Duration;

use colony_client::{CallError, Content, Key, Namespace, Precondition, Refusal, Saved, Ttl};
use colony_wire::Reign;
use colony_wire::client::ReplyBody;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cluster::{Cluster, at, within};

fn put(carts: &Namespace) -> JoinHandle<Result<Saved, CallError>> {
    let carts = carts.clone();
    tokio::spawn(async move {
        let key = Key::new("alice").expect("a short key");
        carts.put(&key, Content::Blob("x".into()), Ttl::Never, Precondition::Version(at(1, 1))).await
    })
}

/// C25: whoever is not primary says so, and the next attempt goes straight to the host that is.
#[tokio::test(start_paused = true)]
async fn a_call_follows_the_primary_to_another_host() {
    let mut cluster = Cluster::of(2);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    let first = cluster.asked().await;
    assert_eq!(first.host, "h1");
    cluster.promote(2);
    first.refuse(Refusal::NotPrimary { reign: Reign(2) });
    let second = cluster.asked().await;
    assert_eq!(second.host, "h2");
    assert_eq!(second.stamp(), first.stamp(), "it is the same request");
    second.done(3);
    assert_eq!(call.await.unwrap().unwrap().served_by, "h2");
}

/// The table arrives late: the call is refused until it does, and asks no more often than its pauses allow.
#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_table_that_comes_late() {
    let mut cluster = Cluster::of(2);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    let begin = Instant::now();
    let mut refused = 0;
    let answered = loop {
        let asked = cluster.asked().await;
        if asked.host == "h2" {
            break asked;
        }
        refused += 1;
        asked.refuse(Refusal::NotPrimary { reign: Reign(2) });
        if begin.elapsed() > Duration::from_millis(500) {
            cluster.promote(2);
        }
    };
    answered.done(3);
    assert!(call.await.unwrap().is_ok());
    assert!((8..=30).contains(&refused), "refused {refused} times in half a second");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_sent_again_under_the_same_id_when_its_stream_breaks() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    let first = cluster.asked().await;
    first.break_off();
    let second = cluster.asked().await;
    assert_eq!(second.stamp().request, first.stamp().request);
    // The host knows the id: this is the result of the first attempt.
    second.done(2);
    assert_eq!(call.await.unwrap().unwrap().version, at(1, 2));
    assert_eq!(cluster.shard_connections(), 2);
}

/// The story is told at [`CallError`].
#[tokio::test(start_paused = true)]
async fn a_refusal_after_an_attempt_of_unknown_fate_is_an_unknown_outcome() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    cluster.asked().await.break_off();
    cluster.asked().await.refuse(Refusal::Changed { version: at(1, 5) });
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(&error, CallError::Unknown { why } if why.contains("changed")), "{error}");
    assert!(!error.has_no_side_effects());
}

/// A primary that lost its reign does not know whether its last changes were settled.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_deposed_primary_leaves_the_fate_open() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    for (then, known) in [(None, true), (Some(Refusal::Gone { ended: None }), false)] {
        let call = put(&carts);
        let first = cluster.asked().await;
        first.refuse(Refusal::Deposed);
        let second = cluster.asked().await;
        assert_eq!(second.stamp(), first.stamp(), "it is the same request");
        match then {
            Some(refusal) => second.refuse(refusal),
            None => second.done(2),
        }
        let outcome = call.await.unwrap();
        assert_eq!(outcome.as_ref().map_or_else(CallError::has_no_side_effects, |_| true), known, "{outcome:?}");
    }
}

/// A refusal that may pass is no fate: the attempt it answers was not done.
#[tokio::test(start_paused = true)]
async fn refusals_alone_leave_the_outcome_sure() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    for refusal in [Refusal::NotReady, Refusal::Busy { what: "queue".to_owned() }, Refusal::NoColony, Refusal::Behind] {
        cluster.asked().await.refuse(refusal);
    }
    cluster.asked().await.refuse(Refusal::Gone { ended: None });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error, CallError::Refused(Refusal::Gone { ended: None }));
    assert!(error.has_no_side_effects());
}

/// A read that is lost and then refused is sure all the same: reads do nothing.
#[tokio::test(start_paused = true)]
async fn a_lost_read_is_never_unknown() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = tokio::spawn(async move { carts.load("alice").await });
    cluster.asked().await.break_off();
    cluster.asked().await.refuse(Refusal::Forbidden { right: "read".to_owned() });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error, CallError::Forbidden { right: "read".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_ends_the_call_at_its_deadline_and_the_outcome_is_open() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let begin = Instant::now();
    let call = put(&carts);
    let asked = cluster.asked().await;
    assert!((4_000..=5_000).contains(&asked.request.deadline_ms), "the time left goes with the request");
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Deadline { attempts: 1, maybe_done: true, .. }), "{error:?}");
    assert!(begin.elapsed() >= Duration::from_secs(5) && begin.elapsed() < Duration::from_secs(6));
    assert!(!error.has_no_side_effects());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_only_refused_until_its_deadline_is_surely_not_done() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart").with(within(Duration::from_millis(300)));
    let call = put(&carts);
    let refusing = async {
        loop {
            cluster.asked().await.refuse(Refusal::Offline);
        }
    };
    let error = tokio::select! {
        result = call => result.unwrap().unwrap_err(),
        () = refusing => unreachable!("it refuses for ever"),
    };
    let CallError::Deadline { attempts, last, maybe_done } = &error else { panic!("{error:?}") };
    assert!(*attempts > 3 && last.contains("offline") && !maybe_done, "{error:?}");
    assert!(error.has_no_side_effects() && error.is_retryable());
}

/// The host's own judgement of the deadline counts: it was not done.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_too_late_says_so_and_nothing_is_open() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    cluster.asked().await.refuse(Refusal::Late);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Deadline { maybe_done: false, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_primary_in_reach_nothing_was_sent() {
    let cluster = Cluster::of(2);
    let client = cluster.client().await;
    // A host that the table names and that does not run.
    cluster.net.kill("h2");
    cluster.promote(2);
    let fresh = cluster.client().await.namespace("cart").with(within(Duration::from_secs(2)));
    let error = fresh.load("alice").await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    assert!(error.has_no_side_effects() && error.is_retryable());
    drop(client);
}

/// A process that is killed behind a dead network says nothing: no reset, no end. The client does not wait for
/// the idle timeout of its connection, since it asks another host where the colony is.
#[tokio::test(start_paused = true)]
async fn a_call_to_a_host_that_falls_silent_goes_on_where_the_table_leads() {
    let mut cluster = Cluster::of(3);
    let carts = cluster.client_with(&["10.0.0.1:7400", "10.0.0.2:7400", "10.0.0.3:7400"]).await.namespace("cart");
    let call = put(&carts);
    let first = cluster.asked().await;
    cluster.net.cut("app", "h1");
    let begin = Instant::now();
    cluster.promote(2);
    let second = cluster.asked().await;
    assert_eq!((second.host.as_str(), second.stamp()), ("h2", first.stamp()));
    assert!(begin.elapsed() < Duration::from_millis(400), "after {:?}", begin.elapsed());
    second.done(2);
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_started_anew_is_dialed_anew() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = put(&carts);
    cluster.asked().await.done(2);
    assert!(call.await.unwrap().is_ok());
    cluster.net.kill("h1");
    cluster.start(1, 77);
    let call = put(&carts);
    cluster.asked().await.done(3);
    assert_eq!(call.await.unwrap().unwrap().served_by, "h1");
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_fail_when_the_client_is_closed() {
    let mut cluster = Cluster::of(1);
    let client = cluster.client().await;
    let carts = client.namespace("cart").with(within(Duration::from_secs(1)));
    let call = put(&carts);
    cluster.asked().await;
    client.close().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(!error.has_no_side_effects(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn delete_and_touch_say_whether_there_was_a_session() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    for exists in [true, false] {
        let delete = tokio::spawn({
            let carts = carts.clone();
            async move { carts.delete("alice").await }
        });
        let asked = cluster.asked().await;
        if exists {
            asked.done(2)
        } else {
            asked.refuse(Refusal::NotFound)
        }
        assert_eq!(delete.await.unwrap(), Ok(exists));
    }
    let load = tokio::spawn(async move { carts.load("alice").await });
    cluster.asked().await.reply(ReplyBody::Absent);
    assert!(load.await.unwrap().unwrap().is_none());
}

/// F4: a host that refuses everybody as busy is asked hardly more often than there are calls, and the calls that are
/// not made again end as surely not done.
#[tokio::test(start_paused = true)]
async fn a_host_at_its_limit_is_asked_for_little_more_than_there_are_calls() {
    const CALLS: usize = 1000;
    /// A tenth of the calls, and what a client may have saved up.
    const RETRIES: usize = CALLS / 10 + 100;
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let carts = carts.clone();
        calls.spawn(async move { carts.load("alice").await.map(|_| ()) });
    }
    let (mut asked, mut ended) = (0, 0);
    while ended < CALLS {
        tokio::select! {
            one = cluster.asked() => {
                asked += 1;
                one.refuse(Refusal::Busy { what: "everything".to_owned() });
            }
            Some(outcome) = calls.join_next() => {
                ended += 1;
                let error = outcome.unwrap().unwrap_err();
                assert!(error.is_retryable() && error.has_no_side_effects(), "{error}");
            }
        }
    }
    assert!((CALLS..=CALLS + RETRIES).contains(&asked), "asked {asked} times for {CALLS} calls");
}
