//! Retention runs, compaction and vacuum of all workspaces, in the background of a service.

pub(crate) mod activity;
pub(crate) mod compaction;
pub(crate) mod retention_run;
pub(crate) mod scrub;
mod upgrade;
pub(crate) mod vacuum;
pub(crate) mod verify;

use std::time::{Duration, Instant};

use events::WorkspaceId;
use uuid::Uuid;

use self::compaction::{CompactionOptions, Throttle};
use crate::error::StoreError;
use crate::store::Store;

/// The intervals of maintenance, and the limits of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceOptions {
    /// How long it waits between two rounds of compaction; 10 minutes by default.
    pub compaction_interval: Duration,
    /// How long after one round of vacuum the next begins, and after the start the first; one hour
    /// by default.
    pub vacuum_interval: Duration,
    /// How long after one round of retention runs the next begins; the first one begins with the first
    /// round of compaction; a day by default.
    pub retention_interval: Duration,
    /// How it compacts. [`CompactionOptions::rest_factor`] counts for vacuum and retention, too.
    pub compaction: CompactionOptions,
}

impl Default for MaintenanceOptions {
    fn default() -> Self {
        Self {
            compaction_interval: Duration::from_mins(10),
            vacuum_interval: Duration::from_hours(1),
            retention_interval: Duration::from_hours(24),
            compaction: CompactionOptions::default(),
        }
    }
}

/// The tasks of a round besides compaction.
#[derive(Debug, Clone, Copy)]
struct Tasks {
    expires: bool,
    cleans: bool,
}

impl Store {
    /// Drops what is older than the retention, compacts and cleans the tables of all workspaces from now
    /// on, one after the other; never ends.
    ///
    /// It compares the clock of this node with the store's time as well. While they differ, it only compacts.
    /// What fails is logged and tried again in the next round. Any number of processes may do this on
    /// one store; each takes the workspaces in an order of its own, so that two seldom do the same
    /// work. The future may be dropped at any moment.
    pub async fn maintain(&self, options: MaintenanceOptions) {
        futures::join!(self.watch_clock(), self.rounds(options));
    }

    async fn rounds(&self, options: MaintenanceOptions) {
        let node = Uuid::new_v4();
        let mut cleaned = Instant::now();
        let mut expired: Option<Instant> = None;
        loop {
            tokio::time::sleep(options.compaction_interval).await;
            // The other tasks are due as before when the clock is right again. Cleaning makes room on a full
            // disk, where clocks cannot be compared.
            let compared = self.location().right_time().await;
            let is_clock_right = !matches!(compared, Err(StoreError::ClockDiffers { .. }));
            let cleans = is_clock_right && cleaned.elapsed() >= options.vacuum_interval;
            if cleans {
                cleaned = Instant::now();
            }
            let expires = is_clock_right
                && expired.is_none_or(|last| last.elapsed() >= options.retention_interval);
            if expires {
                expired = Some(Instant::now());
            }
            let tasks = Tasks { expires, cleans };
            if let Err(error) = self.round(node, &options, tasks).await {
                tracing::warn!(%error, "the store could not be looked at for upkeep");
            }
        }
    }

    async fn round(
        &self,
        node: Uuid,
        options: &MaintenanceOptions,
        tasks: Tasks,
    ) -> Result<(), StoreError> {
        let mut workspaces = self.known_workspaces().await?;
        workspaces.sort_by_cached_key(|workspace| {
            let name = format!("{node}/{workspace}");
            *blake3::hash(name.as_bytes()).as_bytes()
        });
        if tasks.cleans {
            // On a full disk only what is deleted after this makes room.
            if let Err(error) = self.merge_heads().await {
                tracing::warn!(%error, "the heads of vanished nodes were not merged");
            }
        }
        for workspace in workspaces {
            if tasks.expires {
                let mut throttle = Throttle::new(options.compaction.rest_factor);
                self.expire_and_log(&workspace).await;
                throttle.pause().await;
            }
            self.compact_and_log(&workspace, &options.compaction).await;
            if tasks.cleans {
                let mut throttle = Throttle::new(options.compaction.rest_factor);
                match self.vacuum(&workspace, false).await {
                    Ok(Some(removed)) if !removed.is_empty() => {
                        tracing::info!(%workspace, removed = removed.len(), "cleaned");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%workspace, %error, "cleaning failed"),
                }
                throttle.pause().await;
            }
        }
        if tasks.cleans {
            self.vacuum_leftovers(false).await?;
        }
        Ok(())
    }

    async fn compact_and_log(&self, workspace: &WorkspaceId, options: &CompactionOptions) {
        match self.compact(workspace, options).await {
            Ok(Some(compaction)) => {
                for fault in &compaction.faults {
                    tracing::warn!(%workspace, %fault, "a file could not be compacted");
                }
                if compaction.replaced_files > 0 {
                    let (from, into) = (compaction.replaced_files, compaction.written_files);
                    tracing::info!(%workspace, from, into, "compacted");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%workspace, %error, "compaction failed"),
        }
    }
}
