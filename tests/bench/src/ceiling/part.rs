//! A part of the ceiling: a process that answers, or passes on and then answers.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use colony_link::quic::QuicTransport;
use colony_link::tls::Identity;
use colony_link::{Connection, Expect, FrameReceiver, FrameSender, LinkConfig, Transport};

use super::frame::{self, Asked};
use crate::failure::Failure;

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Answers with the reply that was asked for.
    Echo,
    /// Passes requests on, and replies once they are acknowledged.
    Primary,
    /// Acknowledges.
    Secondary,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }

    /// The name in its certificate.
    pub(super) fn holder(self) -> String {
        format!("bare-{}", self.name())
    }
}

/// What a part is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct PartArguments {
    /// Which
    part: Part,
    /// Folder with its certificate
    #[arg(long)]
    certs: PathBuf,
    /// Where a primary passes on to
    #[arg(long)]
    next: Option<SocketAddr>,
}

/// Is a part until the standard input ends.
///
/// # Errors
/// [`Failure::Ceiling`] if it cannot be.
pub(crate) async fn run(arguments: PartArguments) -> Result<(), Failure> {
    let part = arguments.part;
    let wrong = |why: String| Failure::Ceiling { part: part.name(), why };
    let folder = &arguments.certs;
    let holder = part.holder();
    let [cert, key] = ["pem", "key"].map(|kind| folder.join(format!("{holder}.{kind}")));
    let identity = Identity::from_files(folder.join("ca.pem"), cert, key).map_err(|error| wrong(error.to_string()))?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let transport =
        QuicTransport::bind(any, identity, LinkConfig::default()).map_err(|error| wrong(error.to_string()))?;
    let next = match arguments.next {
        Some(next) => Some(Next::dial(&transport, next).await.map_err(wrong)?),
        None => None,
    };
    println!("{}", transport.local_addr());
    io::stdout().flush().map_err(Failure::io("print the address"))?;
    // The one that started this process holds the other end.
    std::thread::spawn(|| {
        let mut rest = [0; 1];
        while matches!(io::stdin().read(&mut rest), Ok(1..)) {}
        std::process::exit(0);
    });
    while let Some(connection) = transport.accept().await {
        tokio::spawn(serve(part, connection, next.clone()));
    }
    Ok(())
}

/// Serves the streams of a connection until it ends.
async fn serve(part: Part, connection: Connection, next: Option<Next>) {
    while let Ok((sender, receiver)) = connection.accept_stream().await {
        let next = next.clone();
        tokio::spawn(async move {
            match next {
                Some(next) => pass_on(sender, receiver, next).await,
                None => answer(part, sender, receiver).await,
            }
        });
    }
}

async fn answer(part: Part, sender: FrameSender, mut receiver: FrameReceiver) {
    while let Ok(Some(request)) = receiver.recv().await {
        let Some(asked) = Asked::read(&request) else { return };
        let length = if part == Part::Secondary { asked.acknowledgement } else { asked.reply };
        if sender.send_wait(frame::answer(asked.call, length)).await.is_err() {
            return;
        }
    }
}

async fn pass_on(sender: FrameSender, mut receiver: FrameReceiver, next: Next) {
    while let Ok(Some(request)) = receiver.recv().await {
        let Some(asked) = Asked::read(&request) else { return };
        // The secondary acknowledges in order, so that who is to be told needs no number.
        next.waiting().push_back((sender.clone(), asked));
        if next.sender.send_wait(request).await.is_err() {
            return;
        }
    }
}

/// The stream to the secondary, and whom to tell of its acknowledgements: at most as many as calls are in flight.
#[derive(Clone)]
struct Next {
    sender: FrameSender,
    waiting: Arc<Mutex<VecDeque<(FrameSender, Asked)>>>,
}

impl Next {
    async fn dial(transport: &QuicTransport, to: SocketAddr) -> Result<Self, String> {
        let connection = transport.connect(to, Expect::AnyHost).await.map_err(|error| error.to_string())?;
        let (sender, mut receiver) = connection.open().await.map_err(|error| error.to_string())?;
        let next = Self { sender, waiting: Arc::default() };
        let hearing = next.clone();
        tokio::spawn(async move {
            while let Ok(Some(_)) = receiver.recv().await {
                let Some((sender, asked)) = hearing.waiting().pop_front() else { return };
                // A client that is gone is not told.
                let _ = sender.send_wait(frame::answer(asked.call, asked.reply)).await;
            }
            drop(connection);
        });
        Ok(next)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<(FrameSender, Asked)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
