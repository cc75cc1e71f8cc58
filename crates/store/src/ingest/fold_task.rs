//! The task that folds segments while others are written.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{MANY_SEGMENTS, OwnHead, Shared};
use crate::error::StoreError;
use crate::ingest::fold::FoldSummary;

/// Folding rests this many times as long as it has worked, so that it takes at most a fifth of the time.
const REST: u32 = 4;

/// The least time between two heads of a node.
const HEAD_INTERVAL: Duration = Duration::from_secs(60);

/// Whose segments to fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those of all other nodes: this one is new, and one of them may have been it before.
    Others,
    /// Those of this node, and those of nodes that vanished.
    OwnAndAbandoned,
}

/// Folds what other nodes have left at the start, then the segments of this node and those of vanished
/// ones, until the ingest is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    let mut which = Which::Others;
    loop {
        let begun = Instant::now();
        let fold = shared.fold(which);
        let outcome = tokio::select! {
            // What is interrupted at the start is left to others.
            _ = closing.wait_for(|closing| *closing), if which == Which::Others => return,
            outcome = fold => outcome,
        };
        shared.folded.notify_waiters();
        shared.store.activity().record_fold(&outcome);
        // A store that could not be reached says nothing about what other nodes have left.
        if outcome.is_ok() {
            which = Which::OwnAndAbandoned;
        }
        report(outcome);
        shared.put_head_if_due().await;
        let rest = begun.elapsed() * REST;
        let due = async {
            sleep(rest).await;
            tokio::select! {
                () = sleep(shared.options.fold_interval.saturating_sub(rest)) => {}
                () = shared.fold_soon.notified() => {}
            }
        };
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            () = due => {}
        }
    }
}

impl Shared {
    async fn fold(&self, which: Which) -> Result<FoldSummary, StoreError> {
        let now_ms = u64::try_from(self.store.location().now_ms()).unwrap_or_default();
        let age = self.options.abandoned_after;
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let (count, bytes) = self.store.known_segments().foldable_of_all();
        let takes_all = count > MANY_SEGMENTS || bytes >= self.options.unfolded_bytes;
        let summary = self
            .store
            .fold_where(
                |key, known_for| {
                    let is_own = key.node == self.node;
                    match which {
                        Which::Others => !is_own,
                        Which::OwnAndAbandoned => {
                            is_own
                                || takes_all
                                || key.is_parked()
                                || key.written_ms.saturating_add(age_ms) < now_ms
                                // A clock that is ahead does not make a segment younger.
                                || known_for > age
                        }
                    }
                },
                |workspace| self.stuck.is_due(workspace),
            )
            .await?;
        self.stuck.note(&summary.failed, self.options.fold_interval);
        self.note_committed(&summary);
        Ok(summary)
    }

    /// Puts the head of this node unless that was done within the last minute.
    async fn put_head_if_due(&self) {
        let is_due = |put: &Option<Instant>| put.is_none_or(|put| put.elapsed() >= HEAD_INTERVAL);
        let mut head = self.head.lock().await;
        if is_due(&head.put) {
            self.put_head(&mut head).await;
        }
    }

    /// Puts the head of this node as the last thing it does.
    pub(super) async fn put_last_head(&self) {
        self.put_head(&mut *self.head.lock().await).await;
    }

    async fn put_head(&self, own: &mut OwnHead) {
        own.put = Some(Instant::now());
        let committed = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let put = self.store.put_head(self.node, &committed, &mut own.head);
        if let Err(error) = put.await {
            tracing::warn!(%error, "this node could not say what it knows of the store");
        }
    }

    /// Folds what this node has written.
    pub(super) async fn fold_own(&self) -> Result<(), StoreError> {
        let fold = self
            .store
            .fold_where(|key, _| key.node == self.node, |_| true);
        let summary = fold.await?;
        report_damage(&summary);
        self.note_committed(&summary);
        match summary.failed.into_values().next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

fn report(outcome: Result<FoldSummary, StoreError>) {
    match outcome {
        Err(error) => tracing::error!(%error, "segments could not be folded and are kept"),
        Ok(summary) => {
            report_damage(&summary);
            for (workspace, error) in &summary.failed {
                tracing::error!(%workspace, %error, "events could not be folded and stay in segments");
            }
            if summary.segments > 0 {
                let FoldSummary {
                    segments,
                    stored,
                    repeated,
                    conflicts,
                    ..
                } = summary;
                tracing::info!(segments, stored, repeated, conflicts, "folded");
            }
        }
    }
}

fn report_damage(summary: &FoldSummary) {
    for (path, damage) in &summary.damaged {
        tracing::error!(%path, %damage, "a segment is damaged and stays; see `vouch repair segments`");
    }
}
