//! Reading the cluster's state back, and waiting for it.

use std::time::Duration;

use colony_client::{CallError, Client};
use colony_wire::admin::{AdminReply, AdminRequest, ClusterStatus, ColonyStatus};
use tokio::time::{self, Instant};

use super::DemoError;

/// Time between two looks at something that is waited for. Nothing is measured by it.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a look found: what was waited for, or what is still missing.
pub(super) type Look<T> = Result<T, String>;

/// The name of the namespace that the demo works in.
pub(super) const NAMESPACE: &str = "cart";

/// Looks again and again until what is claimed holds.
///
/// # Errors
/// [`DemoError::Claim`] with what was missing at the last look, once `within` is over.
pub(super) async fn eventually<T>(
    claim: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>, DemoError>,
) -> Result<T, DemoError> {
    let deadline = Instant::now() + within;
    loop {
        match look().await? {
            Ok(found) => return Ok(found),
            Err(missing) if Instant::now() >= deadline => {
                return Err(DemoError::Claim {
                    claim: claim.to_owned(),
                    found: format!("after {} s, {missing}", within.as_secs()),
                });
            }
            Err(_) => time::sleep(LOOK_EVERY).await,
        }
    }
}

/// The state of the cluster.
pub(super) async fn status(client: &Client) -> Result<ClusterStatus, DemoError> {
    match client.admin(AdminRequest::Status).await.map_err(DemoError::call("read the cluster's state"))? {
        AdminReply::Status(status) => Ok(status),
        _ => Err(foreign_answer()),
    }
}

/// The demo's colonies, by bucket.
pub(super) async fn colonies(client: &Client) -> Result<Vec<ColonyStatus>, DemoError> {
    let request = AdminRequest::Colonies { of: None };
    match client.admin(request).await.map_err(DemoError::call("list the colonies"))? {
        AdminReply::Colonies(mut colonies) => {
            colonies.retain(|colony| colony.namespace == NAMESPACE);
            colonies.sort_by_key(|colony| colony.bucket);
            Ok(colonies)
        }
        _ => Err(foreign_answer()),
    }
}

/// An admin request was answered with something else.
pub(super) fn foreign_answer() -> DemoError {
    DemoError::call("ask the cluster")(CallError::Protocol { what: "it answers another question".to_owned() })
}

/// What keeps the colonies from being settled: each served, with `copies` copies in sync where placement wants
/// them, and no more.
pub(super) fn unsettled(colonies: &[ColonyStatus], buckets: u32, copies: u8) -> Option<String> {
    if colonies.len() != buckets as usize {
        return Some(format!("{} of {buckets} colonies are known", colonies.len()));
    }
    colonies.iter().find_map(|colony| {
        let (mut in_sync, mut want) = (colony.in_sync.clone(), colony.want.clone());
        in_sync.sort();
        want.sort();
        let which = format!("{NAMESPACE}/{}", colony.bucket);
        if colony.primary.is_none() {
            Some(format!("{which} has no primary"))
        } else if in_sync != want || in_sync.len() != usize::from(copies) {
            Some(format!("{which} has copies on {} and wants them on {}", in_sync.join(", "), want.join(", ")))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use colony_wire::{Cfg, Reign};

    use super::*;

    fn colony(bucket: u32, in_sync: &[&str], want: &[&str]) -> ColonyStatus {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ColonyStatus {
            namespace: NAMESPACE.to_owned(),
            bucket,
            primary: in_sync.first().map(|name| (*name).to_owned()),
            in_sync: names(in_sync),
            want: names(want),
            reign: Reign(1),
            cfg: Cfg(1),
            problem: None,
        }
    }

    #[test]
    fn colonies_are_settled_where_placement_wants_them() {
        let settled = [colony(0, &["h1", "h2"], &["h2", "h1"])];
        assert_eq!(unsettled(&settled, 1, 2), None);
        assert!(unsettled(&settled, 2, 2).is_some(), "one is missing");
        assert!(unsettled(&settled, 1, 3).is_some(), "a copy is missing");
        assert!(unsettled(&[colony(0, &["h1"], &["h1", "h2"])], 1, 2).is_some());
        assert!(unsettled(&[colony(0, &["h1", "h2"], &["h1", "h3"])], 1, 2).is_some());
        assert!(unsettled(&[colony(0, &[], &[])], 1, 0).is_some(), "nobody serves");
    }

    #[tokio::test]
    async fn what_never_comes_is_named() {
        let never = eventually::<()>("it comes", Duration::ZERO, async || Ok(Err("it is away".to_owned())));
        let error = never.await.unwrap_err().to_string();
        assert_eq!(error, "not true: it comes; found: after 0 s, it is away");
    }
}
