//! The asking side of the ceiling: no task to a call and no table of calls, only what the link itself costs.

use std::net::SocketAddr;
use std::sync::Arc;

use colony_client::Identity;
use colony_link::quic::QuicTransport;
use colony_link::{Connection, Expect, LinkConfig, Transport};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::frame::{self, Lengths};
use crate::drive;
use crate::failure::Failure;
use crate::load::{Load, Window};
use crate::recorder::Recorder;
use crate::sample::{Meter, Sample};

/// Keeps as many requests in flight as the load says, and counts the replies.
///
/// # Errors
/// [`Failure::Ceiling`] if no connection can be made; else as [`drive::run`].
pub(super) async fn run(
    to: SocketAddr,
    identity: Identity,
    load: Load,
    window: Window,
    meter: &Meter,
) -> Result<Sample, Failure> {
    let wrong = |why: String| Failure::Ceiling { part: "client", why };
    let recorder = Arc::new(Recorder::new());
    let mut tasks = JoinSet::new();
    let mut transports = Vec::new();
    for _ in 0..load.connections {
        // A socket to a connection, as Colony's clients have.
        let transport = QuicTransport::client(identity.clone(), LinkConfig::default());
        let transport = transport.map_err(|error| wrong(error.to_string()))?;
        let connection = transport.connect(to, Expect::AnyHost).await.map_err(|error| wrong(error.to_string()))?;
        transports.push(transport);
        let recorder = Arc::clone(&recorder);
        tasks.spawn(async move {
            if let Err(why) = keep_asking(connection, load, &recorder).await {
                recorder.failed(why);
            }
        });
    }
    let sample = drive::measure(&recorder, window, meter).await;
    tasks.join_all().await;
    sample
}

async fn keep_asking(connection: Connection, load: Load, recorder: &Recorder) -> Result<(), String> {
    let (sender, mut receiver) = connection.open().await.map_err(|error| error.to_string())?;
    let lengths = Lengths::of(&load);
    let mut begun = Vec::with_capacity(load.each);
    for call in 0..load.each {
        begun.push(Instant::now());
        sender.send_wait(frame::request(lengths, call as u64)).await.map_err(|error| error.to_string())?;
    }
    let mut under_way = load.each;
    while under_way > 0 {
        let reply = receiver.recv().await.map_err(|error| error.to_string())?.ok_or("it ended the stream")?;
        let call = frame::answered(&reply).ok_or("an answer to nothing")?;
        let place = usize::try_from(call).unwrap_or(usize::MAX);
        let begun = begun.get_mut(place).ok_or("an answer to a call that was not made")?;
        let now = Instant::now();
        recorder.done(now - *begun);
        if recorder.is_over() {
            under_way -= 1;
            continue;
        }
        *begun = now;
        sender.send_wait(frame::request(lengths, call)).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
