//! What a session remembers, sends and shows.

use std::time::Duration;

use bytes::Bytes;
use colony_client::{CallError, Changes, Content, Namespace, Precondition, Refusal, Session};
use colony_wire::client::ReplyBody;
use colony_wire::session::{AttributeChange, Base, Mutation};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, at, done, found, found_content};

async fn loaded(cluster: &mut Cluster, carts: &Namespace, body: ReplyBody) -> Session {
    let call = tokio::spawn({
        let carts = carts.clone();
        async move { carts.load("alice").await }
    });
    cluster.asked().await.reply(body);
    call.await.unwrap().unwrap().expect("it was found")
}

/// Saves in a task of its own, so that the test can play the host; gives the session back with the outcome.
fn save(mut session: Session) -> JoinHandle<(Session, Result<bool, CallError>)> {
    tokio::spawn(async move {
        let saved = session.save().await.map(|saved| saved.is_some());
        (session, saved)
    })
}

fn base(seq: u64) -> Base {
    Base { life: at(1, 1), version: at(1, seq) }
}

/// Values at the base, as a save answers for them.
type BaseValues = Option<Vec<AttributeChange>>;

fn changes_of(mutation: &Mutation) -> (&Base, &Changes, &BaseValues) {
    match mutation {
        Mutation::Save { base, changes, base_values, .. } => (base, changes, base_values),
        other => panic!("not a save: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_session_exists_under_an_id_that_cannot_be_guessed() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = tokio::spawn(async move { carts.create(Duration::from_secs(1800)).await });
    let asked = cluster.asked().await;
    let Mutation::Put { key, content, ttl, precondition, .. } = asked.mutation() else { panic!("not a put") };
    assert_eq!((ttl, precondition), (&Some(1_800_000), &Precondition::Absent));
    assert_eq!(content, &Content::Attributes(std::collections::BTreeMap::new()));
    let id = key.as_bytes().to_vec();
    asked.done(1);
    let session = call.await.unwrap().unwrap();
    assert_eq!((session.id().len(), session.id().as_bytes()), (32, &*id));
    assert_eq!((session.version(), session.is_changed()), (at(1, 1), false));
    assert_eq!(session.expires_in(), Some(Duration::from_secs(1800)));
    assert!(!format!("{session:?}").contains(session.id()), "an id is a secret");
}

/// C40: a change travels as the attributes that changed, and the version they were based on.
#[tokio::test(start_paused = true)]
async fn a_save_sends_what_changed_and_what_it_was_based_on() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let body = found(5, &[("a", b"\x01"), ("b", b"\x02"), ("c", b"\x03")]);
    let mut session = loaded(&mut cluster, &carts, body).await;
    assert_eq!(session.get::<u8>("a"), Ok(Some(1)));
    session.set("a", &9_u8).unwrap();
    session.set("b", &2_u8).unwrap();
    session.set("d", "new").unwrap();
    session.remove("c").unwrap();
    session.remove("nothing").unwrap();
    assert_eq!(session.names(), ["a", "b", "d"]);
    assert_eq!((session.get::<u8>("a"), session.get::<u8>("c")), (Ok(Some(9)), Ok(None)));

    let saving = save(session);
    let asked = cluster.asked().await;
    let changes = Changes::Attributes(vec![
        ("a".to_owned(), Some(Bytes::from_static(b"\x09"))),
        ("c".to_owned(), None),
        ("d".to_owned(), Some(Bytes::from_static(b"\x03new"))),
    ]);
    assert_eq!(changes_of(asked.mutation()), (&base(5), &changes, &None));
    asked.done(6);
    let (mut session, saved) = saving.await.unwrap();
    assert_eq!(saved, Ok(true));
    assert_eq!((session.version(), session.is_changed()), (at(1, 6), false));
    assert_eq!(session.get::<String>("d"), Ok(Some("new".to_owned())));

    // Nothing changed: no call.
    assert_eq!(session.save().await, Ok(None));
    session.set("a", &9_u8).unwrap();
    assert!(!session.is_changed(), "it has that value already");
    cluster.nothing_asked().await;
}

#[tokio::test(start_paused = true)]
async fn a_save_answers_for_its_base_and_shows_what_was_merged() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01"), ("b", b"\x02")])).await;
    session.set("a", &9_u8).unwrap();
    session.set("n", &1_u8).unwrap();
    let saving = save(session);

    let first = cluster.asked().await;
    first.reply(ReplyBody::NeedBase { attributes: vec!["a".to_owned(), "n".to_owned()] });
    let second = cluster.asked().await;
    assert_eq!(second.stamp(), first.stamp(), "it is the same request");
    let values = vec![("a".to_owned(), Some(Bytes::from_static(b"\x01"))), ("n".to_owned(), None)];
    let (_, changes, base_values) = changes_of(second.mutation());
    assert_eq!((changes, base_values), (changes_of(first.mutation()).1, &Some(values)));
    second.reply(done(8, true));

    // A merge decided, so the session asks what.
    let third = cluster.asked().await;
    third.reply(found(8, &[("a", b"\x0a"), ("b", b"\x02"), ("n", b"\x01"), ("z", b"\x07")]));
    let (session, saved) = saving.await.unwrap();
    assert_eq!((saved, session.version()), (Ok(true), at(1, 8)));
    assert_eq!((session.get::<u8>("a"), session.get::<u8>("z")), (Ok(Some(10)), Ok(Some(7))));
}

#[tokio::test(start_paused = true)]
async fn a_merged_save_that_cannot_be_read_back_is_read_before_the_next_one() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01")])).await;
    session.set("a", &9_u8).unwrap();
    let saving = save(session);
    cluster.asked().await.reply(done(8, true));
    cluster.asked().await.refuse(Refusal::Malformed { what: "a whim".to_owned() });
    let (mut session, saved) = saving.await.unwrap();
    assert_eq!(saved, Ok(true), "the save is done all the same");

    session.set("b", &2_u8).unwrap();
    let saving = save(session);
    cluster.asked().await.reply(found(8, &[("a", b"\x0a")]));
    let asked = cluster.asked().await;
    let changes = Changes::Attributes(vec![("b".to_owned(), Some(Bytes::from_static(b"\x02")))]);
    assert_eq!(changes_of(asked.mutation()), (&base(8), &changes, &None));
    asked.done(9);
    let (session, saved) = saving.await.unwrap();
    assert_eq!((saved, session.get::<u8>("a")), (Ok(true), Ok(Some(10))));
}

#[tokio::test(start_paused = true)]
async fn a_save_that_fails_keeps_its_changes() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01")])).await;
    session.set("a", &9_u8).unwrap();
    let saving = save(session);
    cluster.asked().await.refuse(Refusal::Changed { version: at(1, 6) });
    let (mut session, saved) = saving.await.unwrap();
    assert_eq!(saved, Err(CallError::Refused(Refusal::Changed { version: at(1, 6) })));
    assert_eq!((session.is_changed(), session.version()), (true, at(1, 5)));

    let reloading = tokio::spawn(async move {
        session.reload().await.unwrap();
        session
    });
    cluster.asked().await.reply(found(6, &[("a", b"\x05"), ("b", b"\x06")]));
    let session = reloading.await.unwrap();
    assert_eq!((session.get::<u8>("a"), session.get::<u8>("b")), (Ok(Some(9)), Ok(Some(6))));
    assert_eq!(session.version(), at(1, 6));
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_asks_without_end_is_not_answered_for_ever() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01")])).await;
    session.set("a", &9_u8).unwrap();
    let saving = save(session);
    let asking = async {
        loop {
            cluster.asked().await.reply(ReplyBody::NeedBase { attributes: vec!["a".to_owned()] });
        }
    };
    let saved = tokio::select! {
        saved = saving => saved.unwrap().1,
        () = asking => unreachable!("it asks for ever"),
    };
    assert!(matches!(saved, Err(CallError::Protocol { .. })), "{saved:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_session_becomes_a_blob_and_a_blob_is_changed_as_a_whole() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[])).await;
    session.put_blob("one").unwrap();
    let saving = save(session);
    let asked = cluster.asked().await;
    let Mutation::Put { content, precondition, ttl, .. } = asked.mutation() else { panic!("not a put") };
    assert_eq!((content, precondition), (&Content::Blob("one".into()), &Precondition::Version(at(1, 5))));
    assert!(ttl.is_some_and(|ttl| ttl <= 60_000), "it expires when it did");
    asked.done(6);
    let (mut session, _) = saving.await.unwrap();
    assert_eq!(session.blob(), Some(&"one".into()));
    assert_eq!(session.set("a", &1_u8), Err(CallError::WrongContent { holds: "a blob" }));

    session.put_blob("two").unwrap();
    let saving = save(session);
    let first = cluster.asked().await;
    assert_eq!(changes_of(first.mutation()), (&base(6), &Changes::Blob("two".into()), &None));
    first.reply(ReplyBody::NeedBase { attributes: vec![String::new()] });
    let second = cluster.asked().await;
    let values = vec![(String::new(), Some("one".into()))];
    assert_eq!(changes_of(second.mutation()).2, &Some(values), "a blob is one attribute without a name");
    second.done(7);
    let (session, _) = saving.await.unwrap();
    assert_eq!((session.blob(), session.version()), (Some(&"two".into()), at(1, 7)));
}

#[tokio::test(start_paused = true)]
async fn a_session_of_attributes_does_not_become_a_blob() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01")])).await;
    assert_eq!(session.put_blob("x"), Err(CallError::WrongContent { holds: "attributes" }));
    assert!(matches!(session.get::<String>("a"), Err(CallError::Value { .. })));
    let blob = found_content(5, Content::Blob("raw".into()));
    let session = loaded(&mut cluster, &carts, blob).await;
    assert_eq!((session.blob(), session.names()), (Some(&"raw".into()), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_is_gone_also_if_another_began_at_its_key() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    for anew in [false, true] {
        let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01")])).await;
        let reloading = tokio::spawn(async move { session.reload().await });
        let asked = cluster.asked().await;
        asked.reply(match found(9, &[]) {
            ReplyBody::Found(mut view) if anew => {
                view.life = at(1, 9);
                ReplyBody::Found(view)
            }
            _ => ReplyBody::Absent,
        });
        assert_eq!(reloading.await.unwrap(), Err(CallError::Refused(Refusal::Gone { ended: None })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_at_a_key_is_begun_once() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let call = tokio::spawn(async move { carts.at("alice").await });
    cluster.asked().await.reply(ReplyBody::Absent);
    let create = cluster.asked().await;
    assert!(matches!(create.mutation(), Mutation::Put { precondition: Precondition::Absent, .. }));
    // Somebody else was faster.
    create.refuse(Refusal::Exists { version: at(1, 5) });
    cluster.asked().await.reply(found(5, &[("a", b"\x01")]));
    let session = call.await.unwrap().unwrap();
    assert_eq!((session.id(), session.get::<u8>("a")), ("alice", Ok(Some(1))));
}

#[tokio::test(start_paused = true)]
async fn only_a_new_time_to_live_is_a_save_too() {
    let mut cluster = Cluster::of(1);
    let carts = cluster.client().await.namespace("cart");
    let mut session = loaded(&mut cluster, &carts, found(5, &[("a", b"\x01")])).await;
    session.expire_after(Duration::from_secs(7));
    let saving = save(session);
    let asked = cluster.asked().await;
    let Mutation::Save { ttl, changes, .. } = asked.mutation() else { panic!("not a save") };
    assert_eq!((ttl, changes), (&Some(Some(7_000)), &Changes::Attributes(vec![])));
    asked.done(6);
    let (session, _) = saving.await.unwrap();
    assert_eq!(session.expires_in(), Some(Duration::from_secs(7)));
}
