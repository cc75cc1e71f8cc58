//! Whether the service can do what it is for.
//!
//! A service that answers but whose store cannot be written is alive and not ready: restarting it does not
//! help, and sending its requests to another one may.

use std::fmt;
use std::time::Duration;

use store::{Outcomes, Store};

/// Without a success for this long, writing and listing count as not working.
const ACCESS_BOUND: Duration = Duration::from_mins(1);
/// The same for folding, which takes its time after an outage.
const FOLD_BOUND: Duration = Duration::from_mins(15);
/// When nothing was written or listed for this long, a probe does it.
const IDLE: Duration = Duration::from_secs(15);
/// A probe that takes longer has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often all of this is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// What has not worked for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotReady(Vec<(&'static str, Duration)>);

impl fmt::Display for NotReady {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (what, since)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "; " } else { "" };
            write!(
                formatter,
                "{comma}{what} has not succeeded for {} s",
                since.as_secs()
            )?;
        }
        Ok(())
    }
}

/// What of a store has not worked for too long.
///
/// # Errors
/// [`NotReady`].
pub(crate) fn ready(store: &Store) -> Result<(), NotReady> {
    if let Some(since) = store.missing_for() {
        return Err(NotReady(vec![("finding the marker of the store", since)]));
    }
    let activity = store.activity();
    judged([
        ("writing", &activity.puts, ACCESS_BOUND),
        ("listing", &activity.listings, ACCESS_BOUND),
        ("folding", &activity.folds, FOLD_BOUND),
    ])
}

fn judged<const N: usize>(parts: [(&'static str, &Outcomes, Duration); N]) -> Result<(), NotReady> {
    let failing: Vec<_> = parts
        .into_iter()
        .map(|(what, outcomes, bound)| (what, outcomes.since_success(), bound))
        .filter(|(_, since, bound)| since > bound)
        .map(|(what, since, _)| (what, since))
        .collect();
    if failing.is_empty() {
        return Ok(());
    }
    Err(NotReady(failing))
}

/// Tries what nobody has used for a while, so that an idle service knows about itself.
pub(crate) async fn probe_if_idle(store: &Store) {
    let activity = store.activity();
    let is_idle = |outcomes: &Outcomes| outcomes.since_success() > IDLE;
    let is_missing = store.missing_for().is_some();
    if !is_missing && !is_idle(&activity.puts) && !is_idle(&activity.listings) {
        return;
    }
    match tokio::time::timeout(PROBE_TIMEOUT, store.probe()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the store cannot be used"),
        Err(_) => tracing::warn!("the store does not answer"),
    }
}
