//! How the client learns where things are, and what it asks of control ports.

use std::time::Duration;

use colony_client::admin::{AdminReply, AdminRequest, Policy};
use colony_client::{CallError, Client, ConnectError, Refusal};
use colony_wire::client::{ReplyBody, RouteNamespace};
use colony_wire::{ColonyId, NamespaceId, Reign};
use tokio::time::Instant;

use crate::cluster::{Cluster, within};

#[tokio::test(start_paused = true)]
async fn any_seed_that_answers_will_do() {
    let mut cluster = Cluster::of(1);
    let begin = Instant::now();
    let client = cluster.client_with(&["10.9.9.9:7400", "10.0.0.1:7400"]).await;
    assert!(begin.elapsed() < Duration::from_millis(200), "after {:?}", begin.elapsed());
    let call = tokio::spawn(async move { client.namespace("cart").load("a").await });
    cluster.asked().await.reply(ReplyBody::Absent);
    assert!(call.await.unwrap().unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn without_a_seed_that_answers_there_is_no_client() {
    let cluster = Cluster::of(1);
    let connect = |seeds: &'static [&'static str]| Client::over(cluster.client_transport(), seeds);
    assert!(matches!(connect(&[]).await, Err(ConnectError::NoSeeds)));
    let error = connect(&["10.9.9.9:7400"]).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Unreachable { tried } if !tried.is_empty()), "{error}");
    assert!(error.to_string().contains("10.9.9.9:7400"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_to_the_shard_that_owns_its_colony() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    for name in ["alice", "bob", "{tag}x"] {
        let call = tokio::spawn({
            let carts = carts.clone();
            async move { carts.load(name).await }
        });
        let asked = cluster.asked().await;
        assert_eq!(asked.request.colony, ColonyId::of(NamespaceId(1), name.as_bytes(), 8));
        asked.reply(ReplyBody::Absent);
        assert!(call.await.unwrap().unwrap().is_none());
    }
}

/// Many callers that are refused at once make one refresh, not one each.
#[tokio::test(start_paused = true)]
async fn a_hundred_refusals_make_few_refreshes() {
    const CALLS: usize = 100;
    let mut cluster = Cluster::of(2);
    let carts = cluster.client().await.namespace("cart");
    let calls: Vec<_> = (0..CALLS)
        .map(|i| {
            let carts = carts.clone();
            tokio::spawn(async move { carts.load(format!("key{i}")).await })
        })
        .collect();
    let before = cluster.routes_asked();
    let mut refused = Vec::new();
    for _ in 0..CALLS {
        refused.push(cluster.asked().await);
    }
    cluster.promote(2);
    for asked in refused {
        asked.refuse(Refusal::NotPrimary { reign: Reign(2) });
    }
    for _ in 0..CALLS {
        let asked = cluster.asked().await;
        assert_eq!(asked.host, "h2");
        asked.reply(ReplyBody::Absent);
    }
    for call in calls {
        assert!(call.await.unwrap().unwrap().is_none());
    }
    let refreshes = cluster.routes_asked() - before;
    assert!(refreshes <= 3, "{refreshes} refreshes");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_nobody_knows_is_named_after_a_moment() {
    let cluster = Cluster::of(1);
    let wrong = cluster.client().await.namespace("crat");
    let begin = Instant::now();
    let error = wrong.load("a").await.unwrap_err();
    assert_eq!(error, CallError::NoNamespace { name: "crat".to_owned() });
    assert!(begin.elapsed() < Duration::from_millis(1200));
    let error = wrong.create(colony_client::Ttl::OfNamespace).await.unwrap_err();
    assert_eq!(error, CallError::NoNamespace { name: "crat".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_was_just_created_is_found() {
    let mut cluster = Cluster::of(1);
    let fresh = cluster.client().await.namespace("fresh");
    let call = tokio::spawn(async move { fresh.load("a").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.change_routes(|routes| {
        routes.namespaces.push(RouteNamespace {
            id: NamespaceId(2),
            name: "fresh".to_owned(),
            ttl: None,
            primaries: vec![Some(0)],
        });
    });
    cluster.asked().await.reply(ReplyBody::Absent);
    assert!(call.await.unwrap().unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_colony_without_a_primary_is_waited_for() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    cluster.change_routes(|routes| routes.namespaces[0].primaries.fill(None));
    let fresh = cluster.client().await.namespace("cart").with(within(Duration::from_secs(1)));
    let error = fresh.load("a").await.unwrap_err();
    assert!(matches!(&error, CallError::Deadline { last, .. } if last.contains("offline")), "{error}");

    let call = tokio::spawn(async move { fresh.load("a").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    cluster.promote(1);
    cluster.asked().await.reply(ReplyBody::Absent);
    assert!(call.await.unwrap().unwrap().is_none());
    drop(carts);
}

fn create() -> AdminRequest {
    AdminRequest::CreateNamespace { name: "new".to_owned(), policy: Policy::default() }
}

fn refused(retryable: bool) -> AdminReply {
    AdminReply::Refused { why: "no leader".to_owned(), retryable }
}

#[tokio::test(start_paused = true)]
async fn an_admin_request_is_put_again_where_it_was_declined_for_the_moment() {
    let cluster = Cluster::of(2);
    let client = cluster.client().await;
    let created = AdminReply::Created { id: NamespaceId(2) };
    cluster.answer_admin([refused(true), refused(true), refused(true), created.clone()]);
    assert_eq!(client.admin(create()).await, Ok(created));
    assert_eq!(cluster.admin_asked(), vec![create(); 4]);
}

#[tokio::test(start_paused = true)]
async fn an_admin_request_that_is_declined_is_an_error() {
    let cluster = Cluster::of(1);
    cluster.answer_admin([refused(false)]);
    let error = cluster.client().await.admin(create()).await.unwrap_err();
    assert_eq!(error, CallError::Declined { why: "no leader".to_owned(), retryable: false });
    assert!(error.has_no_side_effects());
}

/// Admin changes have no request id, so they are never sent twice.
#[tokio::test(start_paused = true)]
async fn an_admin_change_without_an_answer_is_unknown_and_a_question_is_put_again() {
    let cluster = Cluster::of(2);
    let client = cluster.client().await;
    let error = client.admin(create()).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error:?}");
    assert_eq!(cluster.admin_asked(), [create()]);

    let asking = tokio::spawn(async move { client.admin(AdminRequest::Namespaces).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.answer_admin([AdminReply::Namespaces(Vec::new())]);
    assert_eq!(asking.await.unwrap(), Ok(AdminReply::Namespaces(Vec::new())));
}
