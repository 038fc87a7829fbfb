//! A watch goes on where it was, whoever answers.

use std::time::Duration;

use bytes::Bytes;
use colony_client::{CallError, EndKind, Event, Refusal, Watch, WatchedChange};
use colony_wire::client::{ReplyBody, RequestBody};
use colony_wire::session::Content;
use colony_wire::watch::WatchEvent;
use colony_wire::{Position, Reign};
use tokio::task::JoinHandle;

use crate::cluster::{Asked, Cluster, at};

fn events(events: Vec<WatchEvent>, seq: u64) -> ReplyBody {
    ReplyBody::Events { events, cursor: at(1, seq) }
}

fn written(seq: u64) -> WatchEvent {
    let change = WatchedChange::Content(Content::Blob(Bytes::from_static(b"v")));
    WatchEvent::Changed { version: at(1, seq), written_at: 7, change, tags: Vec::new() }
}

fn after(asked: &Asked) -> Option<Position> {
    match &asked.request.body {
        RequestBody::Watch { after, .. } => *after,
        other => panic!("not a watch: {other:?}"),
    }
}

/// A watch of `alice`, who has no session at place 5.
async fn begun(cluster: &mut Cluster) -> Watch {
    let carts = cluster.client().await.namespace("cart");
    let begin = tokio::spawn(async move { carts.watch("alice").await });
    let asked = cluster.asked().await;
    assert_eq!(after(&asked), None);
    asked.reply(events(vec![WatchEvent::Current(None)], 5));
    let mut watch = begin.await.unwrap().unwrap();
    assert_eq!(watch.next().await, Ok(Event::Current(None)));
    watch
}

fn next(mut watch: Watch) -> JoinHandle<(Result<Event, CallError>, Watch)> {
    tokio::spawn(async move { (watch.next().await, watch) })
}

#[tokio::test(start_paused = true)]
async fn a_watch_asks_from_where_it_was_told() {
    let mut cluster = Cluster::of(1);
    let waiting = next(begun(&mut cluster).await);
    let asked = cluster.asked().await;
    assert_eq!(after(&asked), Some(at(1, 5)));
    asked.reply(events(Vec::new(), 8));
    let asked = cluster.asked().await;
    assert_eq!(after(&asked), Some(at(1, 8)), "nothing happened, and it asks again");
    let end = WatchEvent::Ended { kind: EndKind::Revoke, at: at(1, 10) };
    asked.reply(events(vec![WatchEvent::Gap, WatchEvent::Current(None), written(9), end], 10));
    let (first, mut watch) = waiting.await.unwrap();
    assert_eq!(first, Ok(Event::Gap));
    assert_eq!(watch.next().await, Ok(Event::Current(None)));
    assert!(matches!(watch.next().await, Ok(Event::Changed { version, .. }) if version == at(1, 9)));
    assert_eq!(watch.next().await, Ok(Event::Ended { kind: EndKind::Revoke, at: at(1, 10) }));
    let _waiting = next(watch);
    assert_eq!(after(&cluster.asked().await), Some(at(1, 10)));
}

/// C25: a promotion is a delay.
#[tokio::test(start_paused = true)]
async fn a_watch_follows_the_primary_with_its_cursor() {
    let mut cluster = Cluster::of(2);
    let waiting = next(begun(&mut cluster).await);
    let first = cluster.asked().await;
    assert_eq!(first.host, "h1");
    cluster.promote(2);
    first.refuse(Refusal::NotPrimary { reign: Reign(2) });
    let second = cluster.asked().await;
    assert_eq!((second.host.as_str(), after(&second)), ("h2", Some(at(1, 5))));
    second.reply(events(vec![written(6)], 6));
    assert!(matches!(waiting.await.unwrap().0, Ok(Event::Changed { .. })));
}

/// B8: a host is to answer before the watcher gives it up, and a watch that got no answer can be used again.
#[tokio::test(start_paused = true)]
async fn a_watch_without_an_answer_fails_and_misses_nothing() {
    let mut cluster = Cluster::of(1);
    let waiting = next(begun(&mut cluster).await);
    let silent = cluster.asked().await;
    assert_eq!(Duration::from_millis(silent.request.deadline_ms.into()), colony_client::limits::WATCH_HOLD);
    let (outcome, watch) = waiting.await.unwrap();
    assert!(matches!(outcome, Err(CallError::Deadline { maybe_done: false, .. })), "{outcome:?}");
    let waiting = next(watch);
    let asked = cluster.asked().await;
    assert_eq!(after(&asked), Some(at(1, 5)));
    asked.reply(events(vec![written(6)], 6));
    assert!(waiting.await.unwrap().0.is_ok());
}

/// However many watches wait, a call finds room: they have a stream of their own.
#[tokio::test(start_paused = true)]
async fn watches_take_no_room_from_calls() {
    let mut cluster = Cluster::of(1);
    let client = cluster.client().await;
    let carts = client.namespace("cart");
    let mut watches = Vec::new();
    for _ in 0..colony_client::limits::IN_FLIGHT_MAX {
        let carts = carts.clone();
        watches.push(tokio::spawn(async move { carts.watch("alice").await.map(drop) }));
    }
    let mut asked = Vec::new();
    for _ in 0..colony_client::limits::IN_FLIGHT_MAX {
        asked.push(cluster.asked().await);
    }
    let read = tokio::spawn(async move { carts.load("alice").await.map(|found| found.is_some()) });
    let call = cluster.asked().await;
    assert!(matches!(call.request.body, RequestBody::Get { .. }));
    call.reply(ReplyBody::Absent);
    assert_eq!(read.await.unwrap(), Ok(false));
}
