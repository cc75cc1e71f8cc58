//! The retention of all workspaces, in the background.

use std::time::{Duration, Instant};

use super::{Expiry, ExpiryOutcome};
use crate::error::StoreError;
use crate::store::Store;

/// How much longer a round rests than it works, so that it takes a fifth of a core at most.
const REST: u32 = 4;

impl Store {
    /// Runs the retention of every workspace once, one after the other, and rests between them, so that
    /// it takes a fifth of a core at most. To be called once a day; several processes may, as a run that
    /// finds nothing older than the retention does nothing.
    ///
    /// What was dropped, withheld or failed is logged; a workspace that fails does not keep the others
    /// from their turn.
    ///
    /// # Errors
    ///
    /// When the workspaces of the store cannot be listed.
    pub async fn expire_all(&self) -> Result<(), StoreError> {
        for workspace in self.workspaces().await? {
            let begin = Instant::now();
            match self.expire(&workspace, false).await {
                Ok(None) => {}
                Ok(Some(expiry)) => log_expiry(&expiry),
                Err(error) => {
                    tracing::error!(%workspace, %error, "the retention of a workspace did not run");
                }
            }
            let worked: Duration = begin.elapsed();
            tokio::time::sleep(worked * REST).await;
        }
        Ok(())
    }
}

fn log_expiry(expiry: &Expiry) {
    let Expiry {
        workspace,
        retention,
        held_events,
        foreign_events,
        ..
    } = expiry;
    let events = expiry.dropped.events;
    match expiry.outcome {
        ExpiryOutcome::Dropped { version } => {
            tracing::info!(%workspace, %retention, events, held_events, version, "expired events were dropped");
        }
        ExpiryOutcome::Withheld => {
            tracing::warn!(%workspace, %retention, events, "older events came in and nobody has set a retention: nothing is dropped until somebody does");
        }
        ExpiryOutcome::Nothing | ExpiryOutcome::DryRun => {}
    }
    if *foreign_events > 0 {
        tracing::warn!(%workspace, foreign_events, "older events are in files of other software that cannot be taken out safely; they stay");
    }
}
