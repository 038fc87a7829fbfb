//! The client of a Colony cluster: sessions that survive the death of the host that holds them.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use colony_client::{Client, Identity};
//!
//! let client = Client::connect(["127.0.0.1:7400"], Identity::from_dir("certs")?).await?;
//! let carts = client.namespace("cart");
//!
//! let mut session = carts.create(Duration::from_secs(1800)).await?;
//! session.set("user", &42_u64)?;
//! session.set("items", &["bread", "salt"])?;
//! session.save().await?; // every in-sync copy holds it now
//!
//! let Some(mut loaded) = carts.load(session.id()).await? else { return Ok(()) };
//! assert_eq!(loaded.get::<u64>("user")?, Some(42));
//! loaded.remove("items")?;
//! loaded.save().await?; // sends the one change, and what it was based on
//!
//! carts.delete(session.id()).await?; // a logout: it wins over a concurrent save
//! # Ok(())
//! # }
//! ```
//!
//! What happens underneath, in the order of the files:
//!
//! 1. [`Client::connect`] asks a seed for the *routing table*: for each bucket of each namespace, the host
//!    that serves it. A key's bucket is computed here, so a call goes straight to the shard that owns it.
//! 2. Calls share one stream to each shard, any number at once, answered in any order.
//! 3. A call that is refused, or whose stream breaks, looks the key up again, in a fresh table, and is sent
//!    again, until its deadline: a promotion, a drain or a restart is a delay, not an error.
//!    A host that is at a limit is asked again for a tenth of the calls only: the others end with the refusal.
//! 4. Every change carries a request id that stays the same over its retries, and is applied once.
//! 5. A call ends in one of three ways: done, surely not done, unknown. [`CallError`] says which.
//! 6. Every reply tells how far its host's copy is; the next call carries it, so a client never reads backward.

mod admin_calls;
mod backoff;
mod budget;
mod call;
mod client;
mod engine;
mod entropy;
mod error;
mod every_colony;
pub mod limits;
mod links;
mod namespace;
mod options;
mod outcome;
mod overridden;
pub mod pipe;
mod plugin_upload;
mod request_ids;
mod router;
mod routes;
mod session;
mod sync;
mod tagged;
mod tokens;
mod watch;

pub use client::Client;
pub use entropy::EntropyError;
pub use error::{CallError, ConnectError};
pub use namespace::Namespace;
pub use options::{Options, Ttl};
pub use outcome::{Found, Saved};
pub use overridden::{AllOverridden, Overridden};
pub use session::Session;
pub use tagged::Tagged;
pub use watch::{Event, Watch};

pub use colony_link::tls::Identity;
pub use colony_wire::admin;
pub use colony_wire::client::{Ack, Read, Refusal};
pub use colony_wire::heal::Winner;
pub use colony_wire::session::{Changes, Content, EndKind, Key, Precondition};
pub use colony_wire::tag::{TagChange, Tags};
pub use colony_wire::watch::WatchedChange;
pub use colony_wire::{Position, StartId};
