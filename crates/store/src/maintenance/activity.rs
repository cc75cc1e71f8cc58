//! The outcomes of the operations of this process, from which a service reports its health.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use events::WorkspaceId;
use events::settings::{RetentionOutcome, RetentionRun};
use object_store::ObjectStoreExt;

use crate::error::StoreError;
use crate::ingest::fold::FoldSummary;
use crate::maintenance::scrub::Scrubbing;
use crate::root::paths;
use crate::store::Store;

/// The outcomes of each kind of access, since the store was opened.
#[derive(Debug, Default)]
pub struct Activity {
    /// Writing a segment, or the object of [`Store::probe`].
    pub puts: Outcomes,
    /// Listing the segments.
    pub listings: Outcomes,
    /// Folding segments into tables. It succeeds also when the events of single workspaces stay where they
    /// are, which [`Activity::workspaces_not_folded`] counts.
    pub folds: Outcomes,
    /// Reading everything again in the background.
    pub scrubbing: Scrubbing,
    waiting_retentions: Mutex<BTreeSet<WorkspaceId>>,
    not_folded: AtomicU64,
    repeated: AtomicU64,
    conflicts: AtomicU64,
}

impl Activity {
    /// How often the events of one workspace could not be folded.
    #[must_use]
    pub fn workspaces_not_folded(&self) -> u64 {
        self.not_folded.load(Ordering::Relaxed)
    }

    /// How many folded events were left out because they were stored already.
    #[must_use]
    pub fn repeated_events(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// How many folded events got another id because another event of the day has theirs.
    #[must_use]
    pub fn id_conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// How many workspaces have events older than their retention that the last run in the background did not drop,
    /// as no operator has confirmed that they may go.
    #[must_use]
    pub fn waiting_retentions(&self) -> usize {
        self.waiting().len()
    }

    /// Records what a retention run in the background did.
    pub(crate) fn record_retention_run(&self, run: &RetentionRun) {
        let waits = matches!(
            run.outcome,
            RetentionOutcome::Withheld | RetentionOutcome::Unconfirmed | RetentionOutcome::Undone
        );
        let mut waiting = self.waiting();
        match waits {
            true => waiting.insert(run.workspace.clone()),
            false => waiting.remove(&run.workspace),
        };
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<WorkspaceId>> {
        self.waiting_retentions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a run of the folding.
    pub(crate) fn record_fold(&self, outcome: &Result<FoldSummary, StoreError>) {
        self.folds.record(outcome.is_ok());
        if let Ok(summary) = outcome {
            let failed = summary.failed.len() as u64;
            self.not_folded.fetch_add(failed, Ordering::Relaxed);
            self.repeated.fetch_add(summary.repeated, Ordering::Relaxed);
            self.conflicts
                .fetch_add(summary.conflicts, Ordering::Relaxed);
        }
    }
}

/// How often something succeeded and failed, and when it last succeeded.
#[derive(Debug)]
pub struct Outcomes {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    succeeded: u64,
    failed: u64,
    last_success: Instant,
}

/// Acknowledged events that are in segments and not in tables yet, as this process knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfolded {
    /// How many segments there are.
    pub segments: usize,
    /// What they take, in bytes of memory.
    pub memory_bytes: usize,
    /// When the oldest was written by the clock of its node, Unix ms; `None` without segments.
    pub oldest_ms: Option<u64>,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                succeeded: 0,
                failed: 0,
                last_success: Instant::now(),
            }),
        }
    }
}

impl Outcomes {
    /// Counts an attempt.
    pub(crate) fn record(&self, has_succeeded: bool) {
        let mut state = self.state();
        if has_succeeded {
            state.succeeded += 1;
            state.last_success = Instant::now();
        } else {
            state.failed += 1;
        }
    }

    /// How many attempts have succeeded.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.state().succeeded
    }

    /// How many attempts have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.state().failed
    }

    /// How long ago an attempt succeeded last; before the first one, how long ago the store was opened.
    #[must_use]
    pub fn since_success(&self) -> Duration {
        self.state().last_success.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The outcomes so far.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        self.activities()
    }

    /// Writes a small object and lists the segments, to find out whether that works. The object is always
    /// the same one; it holds nothing and may be deleted.
    ///
    /// # Errors
    ///
    /// What fails of it; [`Store::activity`] counts it too.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let put = self.put_probe().await;
        self.activity().puts.record(put.is_ok());
        put?;
        self.segments(Duration::ZERO).await.map(|_| ())
    }

    async fn put_probe(&self) -> Result<(), StoreError> {
        self.check_writable().await?;
        let objects = &self.location().objects;
        objects.put(&paths::probe(), Vec::new().into()).await?;
        Ok(())
    }

    /// The events that are not folded yet.
    #[must_use]
    pub fn unfolded(&self) -> Unfolded {
        let known = self.known_segments();
        let (segments, memory_bytes) = known.totals();
        Unfolded {
            segments,
            memory_bytes,
            oldest_ms: known.oldest_ms(),
        }
    }
}
