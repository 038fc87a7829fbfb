//! The admin port: three paths, read only. One request and one answer to a connection.
//!
//! Whoever reaches it may read it, so that it is on loopback unless the configuration says otherwise. It shows names
//! of hosts, namespaces and plugins, and numbers; no session's key or content.
//!
//! Of HTTP/1.1 this needs a request's first line and nothing of its headers or body, so that there is no server
//! library under it: `httparse` reads the head, and the answer closes the connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{picture, ready, render};
use crate::host::HostError;
use crate::host::control::Control;

/// Connections at a time: a few probes and scrapers. Others wait in the system's queue.
const CONNECTIONS: usize = 16;
/// Longest time for a request's head to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(2);
/// Longest time to gather the answer and to have it taken: a scrape of a full host takes a fraction.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for the asker to close, so that the answer is not cut off by what it still sends.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// Largest head of a request in bytes, far more than probes send.
const HEAD_BYTES: usize = 8 * 1024;
/// Most headers of a request.
const HEADERS: usize = 64;
/// Most bytes taken and thrown away after the head.
const IGNORED_BYTES: u64 = 64 * 1024;
/// Pause after the system refused a connection, for want of descriptors perhaps.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";

/// The admin port, held and not served yet.
#[derive(Debug)]
pub(in crate::host) struct AdminListener(TcpListener);

impl AdminListener {
    /// Takes the port.
    pub(in crate::host) async fn bind(address: SocketAddr) -> Result<Self, HostError> {
        let failed = |error: io::Error| HostError::Admin { address, why: error.to_string() };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        tracing::info!(%address, "admin port: /healthz, /readyz, /metrics");
        Ok(Self(listener))
    }
}

/// Serves the port for as long as the host runs.
pub(in crate::host) async fn serve(control: Arc<Control>, listener: AdminListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.0.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection to the admin port was not taken");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let control = control.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(&control, stream).await {
                tracing::debug!(%error, "a request on the admin port came to nothing");
            }
            drop(place);
        });
    }
}

async fn converse(control: &Control, mut stream: TcpStream) -> io::Result<()> {
    let request = tokio::time::timeout(HEAD_WITHIN, read_head(&mut stream)).await??;
    let answered = async {
        let answer = match request {
            Ok(request) => answer(control, &request).await,
            Err(refused) => refused,
        };
        stream.write_all(&answer.bytes()).await?;
        stream.shutdown().await
    };
    tokio::time::timeout(ANSWER_WITHIN, answered).await??;
    // Closing over unread bytes would reset the connection, perhaps before the answer was read.
    let mut rest = stream.take(IGNORED_BYTES);
    let _ = tokio::time::timeout(CLOSED_WITHIN, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
    Ok(())
}

/// The first line of a request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
}

/// Reads a request's head, or says how it is refused.
async fn read_head(stream: &mut TcpStream) -> io::Result<Result<Request, Answer>> {
    let mut head = Vec::new();
    loop {
        if let Some(outcome) = parse(&head) {
            return Ok(outcome);
        }
        let mut rest = (&mut *stream).take((HEAD_BYTES - head.len()) as u64);
        if rest.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The request, if its head is whole; how it is refused, if it never will be one.
fn parse(head: &[u8]) -> Option<Result<Request, Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {
            let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
            let path = target.split_once('?').map_or(target, |(path, _)| path);
            Some(Ok(Request { method: method.to_owned(), path: path.to_owned() }))
        }
        Ok(httparse::Status::Partial) if head.len() < HEAD_BYTES => None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Some(Err(Answer::text(Status::HeadTooLarge, "the request's head is too large\n")))
        }
        Err(error) => Some(Err(Answer::text(Status::BadRequest, format!("no request: {error}\n")))),
    }
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    BadRequest,
    NotFound,
    WrongMethod,
    HeadTooLarge,
    Unavailable,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::WrongMethod => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: Status,
    kind: &'static str,
    body: String,
    /// Whether the asker wants to know of the body only, and not to get it.
    is_bare: bool,
}

impl Answer {
    fn text(status: Status, body: impl Into<String>) -> Self {
        Self { status, kind: TEXT, body: body.into(), is_bare: false }
    }

    fn bytes(&self) -> Vec<u8> {
        let allow = if self.status == Status::WrongMethod { "allow: GET, HEAD\r\n" } else { "" };
        let body = if self.is_bare { "" } else { &self.body };
        format!(
            "HTTP/1.1 {}\r\ncontent-type: {}\r\ncontent-length: {}\r\ncache-control: no-store\r\n{allow}connection: \
             close\r\n\r\n{body}",
            self.status.line(),
            self.kind,
            self.body.len()
        )
        .into_bytes()
    }
}

async fn answer(control: &Control, request: &Request) -> Answer {
    if let Some(refused) = refusal(request) {
        return refused;
    }
    let sight = control.sight();
    let found = match request.path.as_str() {
        "/healthz" => match picture::pulse(&sight).await {
            Ok(_) => Answer::text(Status::Ok, "ok\n"),
            Err(why) => Answer::text(Status::Unavailable, format!("not healthy: {why}\n")),
        },
        "/readyz" => {
            let reasons = ready::asked(&sight).await;
            if reasons.is_empty() {
                Answer::text(Status::Ok, "ready\n")
            } else {
                Answer::text(Status::Unavailable, format!("not ready: {}\n", reasons.join("; ")))
            }
        }
        _ => match picture::take(sight).await {
            Ok(picture) => Answer { kind: render::CONTENT_TYPE, ..Answer::text(Status::Ok, render::text(picture)) },
            Err(why) => Answer::text(Status::Unavailable, format!("no metrics: {why}\n")),
        },
    };
    Answer { is_bare: request.method == "HEAD", ..found }
}

fn refusal(request: &Request) -> Option<Answer> {
    if !matches!(request.path.as_str(), "/healthz" | "/readyz" | "/metrics") {
        let known = "not found: there are /healthz, /readyz and /metrics\n";
        return Some(Answer::text(Status::NotFound, known));
    }
    let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
    (!is_read).then(|| Answer::text(Status::WrongMethod, "only GET and HEAD\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &[u8]) -> Option<Status> {
        parse(head).map(|parsed| match parsed {
            Ok(request) => refusal(&request).map_or(Status::Ok, |refused| refused.status),
            Err(refused) => refused.status,
        })
    }

    #[test]
    fn three_paths_are_read_and_nothing_else() {
        for path in ["/healthz", "/readyz", "/metrics", "/metrics?x=1"] {
            let head = format!("GET {path} HTTP/1.1\r\nhost: h1\r\n\r\n");
            assert_eq!(status(head.as_bytes()), Some(Status::Ok), "{path}");
        }
        for path in ["/", "/metrics/", "//metrics", "/api"] {
            let head = format!("GET {path} HTTP/1.1\r\n\r\n");
            assert_eq!(status(head.as_bytes()), Some(Status::NotFound), "{path}");
        }
        for method in ["POST", "DELETE", "PUT", "get"] {
            let head = format!("{method} /metrics HTTP/1.1\r\n\r\n");
            assert_eq!(status(head.as_bytes()), Some(Status::WrongMethod), "{method}");
        }
    }

    #[test]
    fn a_head_is_waited_for_up_to_its_bound() {
        let head = b"GET /healthz HTTP/1.1\r\nhost: h1\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(status(&head[..end]), None, "{end} bytes");
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_BYTES));
        assert_eq!(status(&long.as_bytes()[..HEAD_BYTES]), Some(Status::HeadTooLarge));
        let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(status(many.as_bytes()), Some(Status::HeadTooLarge));
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01"), Some(Status::BadRequest), "a TLS client");
    }

    #[test]
    fn an_answer_says_its_length_also_without_its_body() {
        let whole = Answer::text(Status::WrongMethod, "only GET and HEAD\n");
        let text = String::from_utf8(whole.bytes()).unwrap();
        assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\n") && text.contains("\r\nallow: GET, HEAD\r\n"));
        assert!(text.contains("\r\nconnection: close\r\n\r\nonly GET"), "{text}");
        let bare = Answer { is_bare: true, ..whole };
        let text = String::from_utf8(bare.bytes()).unwrap();
        assert!(text.contains("content-length: 18\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
