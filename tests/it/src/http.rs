//! A host's admin port, asked as a probe or a scraper asks.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time;

use crate::{Cluster, Host};

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What an admin port answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status, such as 200.
    pub status: u16,
    /// The text.
    pub body: String,
}

impl Page {
    /// The value of a series in a page of metrics, named as it stands there with its labels; none if there is none.
    #[must_use]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        self.body.lines().find_map(value)
    }

    /// How many series begin so.
    #[must_use]
    pub fn count(&self, beginning: &str) -> usize {
        self.body.lines().filter(|line| line.starts_with(beginning)).count()
    }
}

impl Host {
    /// Its admin port: the TCP port of the number that its first shard has as a UDP port.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.shard_address()
    }

    /// Asks its admin port.
    ///
    /// # Errors
    /// With what stood in the way of an answer.
    pub async fn ask_admin(&self, method: &str, path: &str) -> Result<Page, String> {
        let asked = async {
            let mut stream = TcpStream::connect(self.admin_address()).await?;
            stream.write_all(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = time::timeout(ANSWER_WITHIN, asked).await.map_err(|error| error.to_string())?;
        let answer = answer.map_err(|error| error.to_string())?;
        let malformed = || format!("no HTTP: {answer:?}");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
        Ok(Page { status, body: body.to_owned() })
    }
}

impl Cluster {
    /// Asks a host's admin port for a page.
    ///
    /// # Errors
    /// With what stood in the way of an answer.
    ///
    /// # Panics
    /// If there was never a host of that name.
    pub async fn page(&self, name: &str, path: &str) -> Result<Page, String> {
        self.host(name).ask_admin("GET", path).await
    }
}
