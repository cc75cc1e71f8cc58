//! Whether the service can store events and answer queries.
//!
//! A service whose store cannot be written is alive and not ready: a restart does not help, and routing its requests
//! to another service may.

use std::fmt;
use std::time::Duration;

use store::{Outcomes, Store};

/// Writing and listing count as failing after this long without a success.
const ACCESS_BOUND: Duration = Duration::from_mins(1);
/// The same for folding, which takes longer after an outage.
const FOLD_BOUND: Duration = Duration::from_mins(15);
/// A probe writes and lists when nothing else has done so for this long.
const IDLE: Duration = Duration::from_secs(15);
/// A probe that takes longer has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);
/// The interval of the checks.
pub const READINESS_INTERVAL: Duration = Duration::from_secs(5);

/// The operations that have failed for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady(Vec<(&'static str, Duration)>);

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

/// The readiness of a service over a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Readiness {
    store: Store,
}

impl Readiness {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Checks for operations of the store that have failed for too long.
    ///
    /// # Errors
    /// [`NotReady`].
    pub fn check(&self) -> Result<(), NotReady> {
        if let Some(since) = self.store.missing_for() {
            return Err(NotReady(vec![("finding the marker of the store", since)]));
        }
        let activity = self.store.activity();
        judged([
            ("writing", &activity.puts, ACCESS_BOUND),
            ("listing", &activity.listings, ACCESS_BOUND),
            ("folding", &activity.folds, FOLD_BOUND),
        ])
    }

    /// How the clock of this node differs from the time of the store, in words; `None` when it agrees.
    pub fn clock_difference(&self) -> Option<String> {
        self.store.clock_difference()
    }

    /// Tries operations that were not used for a while, so that an idle service knows its state.
    pub async fn probe_if_idle(&self) {
        let activity = self.store.activity();
        let is_idle = |outcomes: &Outcomes| outcomes.since_success() > IDLE;
        let is_missing = self.store.missing_for().is_some();
        if !is_missing && !is_idle(&activity.puts) && !is_idle(&activity.listings) {
            return;
        }
        match tokio::time::timeout(PROBE_TIMEOUT, self.store.probe()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the store cannot be used"),
            Err(_) => tracing::warn!("the store does not answer"),
        }
    }
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
