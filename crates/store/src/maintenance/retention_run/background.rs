//! A retention run in the background.

use events::WorkspaceId;
use events::settings::{RetentionMode, RetentionOutcome, RetentionRun};

use crate::store::Store;

impl Store {
    /// Runs the retention of `workspace`, and logs what was dropped, withheld, or failed.
    pub(crate) async fn expire_and_log(&self, workspace: &WorkspaceId) {
        match self.expire(workspace, RetentionMode::Guarded).await {
            Ok(None) => {}
            Ok(Some(run)) => {
                self.activity().record_retention_run(&run);
                log_run(&run);
            }
            Err(error) => {
                tracing::error!(%workspace, %error, "the retention of a workspace did not run");
            }
        }
    }
}

fn log_run(run: &RetentionRun) {
    let RetentionRun {
        workspace,
        retention,
        held_events,
        foreign_events,
        ..
    } = run;
    let events = run.dropped.events;
    match run.outcome {
        RetentionOutcome::Dropped { version } => {
            tracing::info!(%workspace, %retention, events, held_events, version, "expired events were dropped");
        }
        RetentionOutcome::Withheld => {
            tracing::warn!(%workspace, %retention, events, "older events were imported and no retention is set: nothing is dropped until one is");
        }
        RetentionOutcome::Unconfirmed => {
            tracing::error!(%workspace, %retention, events, "a large share of the events would be dropped: check the clock, then run `vouch retention run --confirm`");
        }
        RetentionOutcome::Undone => {
            tracing::warn!(%workspace, %retention, events, "a drop was undone, or a repair rebuilt the log: nothing is dropped until another retention is set or `vouch retention run --confirm` is run");
        }
        RetentionOutcome::Nothing | RetentionOutcome::DryRun => {}
    }
    if *foreign_events > 0 {
        tracing::warn!(%workspace, foreign_events, "older events are in files of other software that cannot be taken out safely; they stay");
    }
}
