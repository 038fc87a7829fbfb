//! What passes between hosts when a session is touched again and again: next to nothing, as long as its end is far.

use std::time::Duration;

use colony_client::{Client, Content, Key, Precondition};

use crate::colony::{Colony, Where};
use crate::failure::Failure;
use crate::results::Touches;
use crate::sample;
use crate::workload;

/// Touches of one session.
const TOUCHES: u64 = 1000;
/// Its time to live. A thousand touches one after the other take far less than a tenth of it.
const TTL: Duration = Duration::from_secs(1800);
/// What all hosts have sent to copies.
const OPS_SENT: &str = "colony_ops_sent_total";
/// Bytes of its state, as small as an answer to a touch: the reads that are taken off cost what touches do without a
/// word between hosts.
const BYTES: usize = 16;

/// Reads a session a thousand times, touches it a thousand times, and says what the hosts told each other.
///
/// # Errors
/// [`Failure::Call`] if a call fails, or a host does not tell.
pub(crate) async fn measure(colony: &Colony) -> Result<Touches, Failure> {
    let cluster = colony.cluster();
    let seeds: Vec<String> = cluster.connect().split(',').map(str::to_owned).collect();
    let client = Client::connect(&seeds, colony.certs().identity()).await?;
    let namespace = client.namespace(Where::One.namespace());
    let failed = |error: colony_client::CallError| Failure::Call(error.to_string());
    let name = "touched";
    let key = Key::new(name).map_err(|error| Failure::Call(error.to_string()))?;
    let content = Content::Blob(workload::state(BYTES, 0));
    namespace.put(&key, content, TTL, Precondition::None).await.map_err(failed)?;

    let before = sample::wire();
    for _ in 0..TOUCHES {
        namespace.get(&key).await.map_err(failed)?;
    }
    let (read, ops_before) = (sample::wire(), ops_sent(colony).await?);
    let begun = sample::wire();
    for _ in 0..TOUCHES {
        namespace.touch(name, TTL).await.map_err(failed)?;
    }
    let touched = sample::wire();
    let bytes = |from: Option<u64>, to: Option<u64>| to.zip(from).map(|(to, from)| to.saturating_sub(from));
    let beyond = bytes(begun, touched).zip(bytes(before, read)).map(|(touches, reads)| touches.saturating_sub(reads));
    Ok(Touches { touches: TOUCHES, ops: ops_sent(colony).await? - ops_before, bytes: beyond })
}

/// What all hosts say they have sent to copies.
async fn ops_sent(colony: &Colony) -> Result<f64, Failure> {
    let mut sum = 0.0;
    for name in colony.cluster().names() {
        let page = colony.cluster().page(&name, "/metrics").await.map_err(Failure::Call)?;
        sum += page.metric(OPS_SENT).ok_or_else(|| Failure::Call(format!("{name} does not tell {OPS_SENT}")))?;
    }
    Ok(sum)
}
