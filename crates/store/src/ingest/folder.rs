//! Folding beside the writing.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, sleep};

use super::Shared;
use crate::error::StoreError;
use crate::fold::FoldSummary;

/// Folding rests this many times as long as it has worked, so that it takes at most a fifth of the time.
const REST: u32 = 4;

/// Folds the segments of this node, and those of vanished ones, until the ingest is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut closing = shared.closing.subscribe();
    let mut rest = Duration::ZERO;
    loop {
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
        let begun = Instant::now();
        let outcome = shared.fold().await;
        shared.folded.notify_waiters();
        report(outcome);
        rest = begun.elapsed() * REST;
    }
}

impl Shared {
    async fn fold(&self) -> Result<FoldSummary, StoreError> {
        let now_ms = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
        let age_ms = u64::try_from(self.options.abandoned_after.as_millis()).unwrap_or(u64::MAX);
        let store = &self.store;
        store
            .fold_where(|key| {
                key.node == self.node || key.written_ms.saturating_add(age_ms) < now_ms
            })
            .await
    }

    /// Folds what this node has written.
    pub(super) async fn fold_own(&self) -> Result<(), StoreError> {
        let summary = self.store.fold_where(|key| key.node == self.node).await?;
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
            for (workspace, error) in &summary.failed {
                tracing::error!(%workspace, %error, "events could not be folded and stay in segments");
            }
            if summary.segments > 0 {
                let FoldSummary {
                    segments,
                    stored,
                    repeated,
                    ..
                } = summary;
                tracing::info!(segments, stored, repeated, "folded");
            }
        }
    }
}
