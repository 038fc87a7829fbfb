//! One call, and many at once, while nothing fails.

use std::time::Duration;

use colony_client::{CallError, Content, Key, Precondition, Refusal, Ttl};
use colony_wire::client::ReplyBody;
use colony_wire::session::Mutation;
use tokio::time::timeout;

use crate::cluster::{Cluster, at, done, found, found_content, within};

fn key(text: &'static str) -> Key {
    Key::new(text).expect("a short key")
}

fn blob(text: &'static str) -> Content {
    Content::Blob(text.into())
}

#[tokio::test(start_paused = true)]
async fn replies_in_another_order_reach_their_calls() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    // One tag, so that all go to one shard.
    let names = ["{t}a", "{t}b", "{t}c"];
    let calls = names.map(|name| {
        let carts = carts.clone();
        tokio::spawn(async move { carts.get(&key(name)).await })
    });
    let mut asked = Vec::new();
    for _ in names {
        asked.push(cluster.asked().await);
    }
    for asked in asked.iter().rev() {
        let content = Content::Blob(bytes::Bytes::copy_from_slice(asked.key()));
        asked.reply(found_content(1, content));
    }
    for (name, call) in names.into_iter().zip(calls) {
        let found = call.await.expect("it ran").expect("it was answered").expect("it was found");
        assert_eq!(found.content, blob(name));
        assert_eq!((found.version, found.served_by.as_str()), (at(1, 1), "h1"));
    }
    assert_eq!(cluster.shard_connections(), 1, "one stream carries them all");
}

#[tokio::test(start_paused = true)]
async fn a_change_says_where_it_was_made_and_how_many_copies_hold_it() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let put = tokio::spawn({
        let carts = carts.clone();
        async move { carts.put(&key("alice"), blob("x"), Ttl::OfNamespace, Precondition::Absent).await }
    });
    let asked = cluster.asked().await;
    let sent = Mutation::Put {
        key: key("alice"),
        content: blob("x"),
        tags: Vec::new(),
        ttl: Some(60_000),
        precondition: Precondition::Absent,
    };
    assert_eq!(asked.mutation(), &sent, "the namespace's own time to live goes with it");
    asked.done(4);
    let saved = put.await.unwrap().unwrap();
    assert_eq!((saved.version, saved.copies, saved.merged, &*saved.served_by), (at(1, 4), 2, false, "h1"));
}

#[tokio::test(start_paused = true)]
async fn the_lowest_unanswered_request_moves_when_it_is_answered() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let touch = |name: &'static str| {
        let carts = carts.clone();
        tokio::spawn(async move { carts.touch(name, Duration::from_secs(1)).await })
    };
    let first = touch("a");
    let first_asked = cluster.asked().await;
    assert_eq!((first_asked.stamp().request.number, first_asked.stamp().lowest_unanswered), (1, 1));

    let second = touch("b");
    let second_asked = cluster.asked().await;
    assert_eq!((second_asked.stamp().request.number, second_asked.stamp().lowest_unanswered), (2, 1));
    second_asked.done(1);
    assert!(second.await.unwrap().unwrap());

    let third = touch("c");
    assert_eq!(cluster.asked().await.stamp().lowest_unanswered, 1, "the first is still open");
    first_asked.done(2);
    assert!(first.await.unwrap().unwrap());
    let fourth = touch("d");
    assert_eq!(cluster.asked().await.stamp().lowest_unanswered, 3);

    // A call that the application gives up has no use for its answer any more.
    third.abort();
    fourth.abort();
    assert!(third.await.unwrap_err().is_cancelled() && fourth.await.unwrap_err().is_cancelled());
    let _fifth = touch("e");
    assert_eq!(cluster.asked().await.stamp().lowest_unanswered, 5);
}

#[tokio::test(start_paused = true)]
async fn the_newest_position_seen_goes_with_the_next_call() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut sent = Vec::new();
    // The reply of 2-2 was overtaken by that of 2-7.
    for seen in [Some(at(2, 7)), Some(at(2, 2)), None, None] {
        let call = tokio::spawn({
            let carts = carts.clone();
            async move { carts.get(&key("alice")).await }
        });
        let asked = cluster.asked().await;
        sent.push(asked.request.token.newest);
        asked.reply_seen(ReplyBody::Absent, seen);
        assert_eq!(call.await.unwrap().unwrap(), None);
    }
    assert_eq!(sent, [None, Some(at(2, 7)), Some(at(2, 7)), Some(at(2, 7))]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_does_not_take_the_reply_of_another() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let hurried = carts.with(within(Duration::from_millis(50)));
    let late = hurried.get(&key("{t}a")).await;
    assert!(matches!(late, Err(CallError::Deadline { attempts: 1, maybe_done: false, .. })));
    let next = tokio::spawn(async move { carts.get(&key("{t}b")).await });
    let (given_up, asked) = (cluster.asked().await, cluster.asked().await);
    assert_ne!(given_up.call(), asked.call());
    given_up.reply(found(1, &[]));
    asked.reply(ReplyBody::Absent);
    assert_eq!(next.await.unwrap(), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_a_stream_takes_wait_for_room() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let room = colony_client::limits::IN_FLIGHT_MAX;
    let calls: Vec<_> = (0..=room)
        .map(|_| {
            let carts = carts.clone();
            tokio::spawn(async move { carts.get(&key("alice")).await })
        })
        .collect();
    let mut asked = Vec::new();
    for _ in 0..room {
        asked.push(cluster.asked().await);
    }
    cluster.nothing_asked().await;
    asked.remove(0).reply(ReplyBody::Absent);
    asked.push(cluster.asked().await);
    for asked in asked {
        asked.reply(ReplyBody::Absent);
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_given_to_the_caller_as_it_is() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let put = |precondition| {
        let carts = carts.clone();
        tokio::spawn(async move { carts.put(&key("a"), blob("x"), Ttl::Never, precondition).await })
    };
    let call = put(Precondition::Version(at(1, 1)));
    cluster.asked().await.refuse(Refusal::Changed { version: at(1, 2) });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error, CallError::Refused(Refusal::Changed { version: at(1, 2) }));
    assert!(error.has_no_side_effects() && !error.is_retryable());

    let call = put(Precondition::None);
    cluster.asked().await.refuse(Refusal::Forbidden { right: "write".to_owned() });
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error, CallError::Forbidden { right: "write".to_owned() });

    let call = put(Precondition::None);
    cluster.asked().await.refuse(Refusal::Unknown);
    assert!(!call.await.unwrap().unwrap_err().has_no_side_effects());
}

#[tokio::test(start_paused = true)]
async fn what_no_host_would_take_is_not_sent() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let huge = Content::Blob(vec![0; colony_wire::limits::MAX_SESSION + 1].into());
    let put = carts.put(&key("a"), huge, Ttl::Never, Precondition::None).await;
    assert!(matches!(put, Err(CallError::Invalid(_))));
    assert!(matches!(carts.load("").await, Err(CallError::Invalid(_))));
    let year_ten_thousand = Duration::from_secs(10_000 * 366 * 24 * 3600);
    assert!(matches!(carts.touch("a", year_ten_thousand).await, Err(CallError::Invalid(_))));
    cluster.nothing_asked().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_makes_no_sense_is_an_error_not_a_result() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let get = || {
        let carts = carts.clone();
        tokio::spawn(async move { carts.get(&key("a")).await })
    };
    let call = get();
    cluster.asked().await.reply(done(1, false));
    assert!(matches!(call.await.unwrap(), Err(CallError::Protocol { .. })));

    // Another message under the number of the call.
    let call = get();
    let asked = cluster.asked().await;
    let beside = colony_wire::client::RoutesRequest { have: colony_wire::Revision(0) };
    asked.raw(colony_wire::Message::to_frame(&beside, asked.call()).unwrap());
    assert!(matches!(call.await.unwrap(), Err(CallError::Protocol { .. })));

    // No frame at all: the stream ends, the call goes on over another one.
    let call = get();
    cluster.asked().await.raw(bytes::Bytes::from_static(b"no frame of ours"));
    cluster.asked().await.reply(ReplyBody::Absent);
    assert_eq!(timeout(Duration::from_secs(1), call).await.unwrap().unwrap(), Ok(None));
}
