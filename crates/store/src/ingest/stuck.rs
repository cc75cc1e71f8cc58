//! Workspaces whose tables cannot be written, and when to try again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::WorkspaceId;
use tokio::time::Instant;

use crate::error::StoreError;

/// A table is tried again at each fold until it has failed this often in a row.
const FAILURES: u32 = 3;

/// The longest time until a table is tried again.
const LONGEST: Duration = Duration::from_mins(10);

/// The workspaces whose events could not be folded.
#[derive(Debug, Default)]
pub(super) struct StuckTables(Mutex<HashMap<WorkspaceId, Stuck>>);

#[derive(Debug, Clone, Copy)]
struct Stuck {
    failures: u32,
    again: Instant,
}

impl StuckTables {
    /// Whether the table of a workspace is to be tried.
    pub(super) fn is_due(&self, workspace: &WorkspaceId) -> bool {
        let tables = self.tables();
        tables
            .get(workspace)
            .is_none_or(|stuck| stuck.again <= Instant::now())
    }

    /// Takes the outcome of a fold: which tables failed of those that were due.
    pub(super) fn note(&self, failed: &BTreeMap<WorkspaceId, StoreError>, interval: Duration) {
        let now = Instant::now();
        let mut tables = self.tables();
        let mut still = HashMap::new();
        for workspace in failed.keys() {
            let failures = tables.get(workspace).map_or(0, |stuck| stuck.failures) + 1;
            let pause = match failures.checked_sub(FAILURES) {
                Some(doublings) => interval.saturating_mul(1 << doublings.min(16)).min(LONGEST),
                None => Duration::ZERO,
            };
            let again = now + pause;
            still.insert(workspace.clone(), Stuck { failures, again });
        }
        // A table that was due and has not failed can be written again.
        tables.retain(|_, stuck| stuck.again > now);
        tables.extend(still);
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<WorkspaceId, Stuck>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
