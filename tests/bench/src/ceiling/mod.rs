//! The ceiling: the network that Colony uses, with nothing behind it.
//!
//! ```text
//!   echo    client ---request---> part ---reply---> client
//!   relay   client ---request---> primary ---request---> secondary
//!           client <---reply----- primary <-----ack----- secondary
//! ```
//!
//! The same link code, one long-lived stream to a connection, runtimes of one thread, and frames as long as those of
//! the calls they stand for: a set sends its state to both parts and is answered shortly, a get asks shortly and is
//! answered with the state. Each part is a process, as a host is.

mod client;
mod frame;
mod part;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use colony_it::Certs;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time;

pub(crate) use self::part::{Part, PartArguments, run as run_part};
use crate::failure::Failure;
use crate::load::{Load, Profile, Window};
use crate::sample::{Meter, Sample};

/// Longest until a part says where it listens.
const UP_WITHIN: Duration = Duration::from_secs(10);

/// The parts, as processes. Dropped, they are killed.
#[derive(Debug)]
pub(crate) struct Ceiling {
    certs: colony_client::Identity,
    echo: Running,
    primary: Running,
    secondary: Running,
}

#[derive(Debug)]
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Ceiling {
    /// Starts the parts with certificates of this authority.
    ///
    /// # Errors
    /// [`Failure::Ceiling`] if one does not come up.
    pub(crate) async fn start(certs: &Certs) -> Result<Self, Failure> {
        let echo = Running::start(Part::Echo, certs, None).await?;
        let secondary = Running::start(Part::Secondary, certs, None).await?;
        let primary = Running::start(Part::Primary, certs, Some(secondary.address)).await?;
        Ok(Self { certs: certs.identity(), echo, primary, secondary })
    }

    /// Has frames echoed or relayed as the calls of this load would be: reads are echoed, changes are relayed.
    ///
    /// # Errors
    /// [`Failure::NoSuchCall`] for a mix; else as a call that fails.
    pub(crate) async fn measure(&self, load: Load, window: Window) -> Result<Sample, Failure> {
        let (to, parts) = match load.profile {
            Profile::Get => (&self.echo, vec![&self.echo]),
            Profile::Set => (&self.primary, vec![&self.primary, &self.secondary]),
            Profile::Mixed(_) | Profile::Delta | Profile::Touch => return Err(Failure::NoSuchCall),
        };
        let meter = Meter { servers: parts.iter().filter_map(|part| part.child.id()).collect() };
        client::run(to.address, self.certs.clone(), load, window, &meter).await
    }
}

impl Running {
    async fn start(part: Part, certs: &Certs, next: Option<SocketAddr>) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::Ceiling { part: part.name(), why };
        certs.issue_host(&part.holder());
        let program = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let mut command = Command::new(program);
        command.args(["part", part.name(), "--certs"]).arg(certs.folder());
        if let Some(next) = next {
            command.arg("--next").arg(next.to_string());
        }
        // It ends when its standard input does: also if this process is killed.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| wrong(error.to_string()))?;
        let out = child.stdout.take().ok_or_else(|| wrong("it has no output".into()))?;
        let mut line = String::new();
        let mut out = BufReader::new(out);
        let said = time::timeout(UP_WITHIN, out.read_line(&mut line)).await;
        said.map_err(|_| wrong("it says nothing".into()))?.map_err(|error| wrong(error.to_string()))?;
        let address = line.trim().parse().map_err(|_| wrong(format!("it says {line:?}")))?;
        Ok(Self { child, address })
    }
}
