//! Buffers of an import into files, while the import takes more events.

use chrono::NaiveDate;
use events::WorkspaceId;
use tokio::task::JoinError;

use super::{Import, Waiting, WorkspaceImport};
use crate::error::{StoreError, joined};
use crate::import::day_buffer::{DayBuffer, WrittenFile};

/// How many files are written at the same time: enough to keep all processors busy while some files
/// wait for the storage, and each takes some memory.
const MAX_WRITES: usize = 4;

/// A day to which this share of the memory came elsewhere since is likely complete.
const IDLE_SHARE: u64 = 8;

/// A buffer that was written, or not.
#[derive(Debug)]
pub(super) struct Write {
    workspace: WorkspaceId,
    day: NaiveDate,
    buffer: DayBuffer,
    outcome: Result<WrittenFile, StoreError>,
}

impl Import {
    /// Begins to write when much waits to be written, and waits itself when all memory is taken.
    pub(super) async fn make_room(&mut self) -> Result<(), StoreError> {
        while let Some(write) = self.writes.try_join_next() {
            self.settle(write)?;
        }
        loop {
            if self.waiting_bytes > self.memory_bytes / 2 {
                self.start_writes(self.memory_bytes / 4).await?;
            }
            if self.waiting_bytes + self.writing_bytes <= self.memory_bytes {
                return Ok(());
            }
            match self.writes.join_next().await {
                Some(write) => self.settle(write)?,
                None => return Ok(()),
            }
        }
    }

    /// Writes everything, and waits until it is written.
    pub(super) async fn write_all(&mut self) -> Result<(), StoreError> {
        loop {
            self.start_writes(0).await?;
            match self.writes.join_next().await {
                Some(write) => self.settle(write)?,
                None if self.waiting_bytes == 0 => return Ok(()),
                None => {}
            }
        }
    }

    /// Waits for the writes in progress, whether or not they fail.
    pub(super) async fn wait_for_writes(&mut self) {
        while let Some(write) = self.writes.join_next().await {
            // Errors do not matter any more, but the files that were written do.
            let _ = self.settle(write);
        }
    }

    /// Begins to write buffers until the rest takes at most `limit_bytes`, or enough is being written.
    async fn start_writes(&mut self, limit_bytes: usize) -> Result<(), StoreError> {
        while self.waiting_bytes > limit_bytes
            && self.writes.len() < MAX_WRITES
            && let Some((workspace, day)) = self.next_to_write()
        {
            self.start_write(workspace, day).await?;
        }
        Ok(())
    }

    /// The largest of the buffers to which nothing was added for a while, else of all.
    fn next_to_write(&self) -> Option<(WorkspaceId, NaiveDate)> {
        let idle_bytes = self.memory_bytes as u64 / IDLE_SHARE;
        let is_idle = |waiting: &Waiting| self.taken_bytes - waiting.touched_at > idle_bytes;
        let ready = self.workspaces.iter().flat_map(|(workspace, import)| {
            let days = import.ready_days();
            days.map(move |(day, waiting)| (is_idle(waiting), waiting, workspace, *day))
        });
        let next = ready.max_by_key(|(is_idle, waiting, workspace, day)| {
            (*is_idle, waiting.buffer.size_bytes(), *workspace, *day)
        });
        next.map(|(_, _, workspace, day)| (workspace.clone(), day))
    }

    async fn start_write(
        &mut self,
        workspace: WorkspaceId,
        day: NaiveDate,
    ) -> Result<(), StoreError> {
        let Some(import) = self.workspaces.get_mut(&workspace) else {
            return Ok(());
        };
        if let Some(missing) = import.missing.take() {
            import.staging.renew(&self.store, missing).await?;
        }
        let known = import.staging.known(&self.store, day).await?;
        let Some(Waiting { buffer, .. }) = import.days.remove(&day) else {
            return Ok(());
        };
        import.writing.insert(day);
        self.waiting_bytes -= buffer.size_bytes();
        self.writing_bytes += buffer.size_bytes();
        let location = self.store.location().clone();
        let delivery = import.staging.delivery().cloned();
        self.writes.spawn(async move {
            let outcome = buffer
                .write(&location, &workspace, day, &known, delivery.as_ref())
                .await;
            Write {
                workspace,
                day,
                buffer,
                outcome,
            }
        });
        Ok(())
    }

    /// Takes the file that was written. A buffer of which that failed waits again.
    fn settle(&mut self, write: Result<Write, JoinError>) -> Result<(), StoreError> {
        let write = joined(write)?;
        let size_bytes = write.buffer.size_bytes();
        self.writing_bytes -= size_bytes;
        let touched_at = self.taken_bytes;
        let import = self.of_workspace(&write.workspace);
        import.writing.remove(&write.day);
        let error = match write.outcome {
            Ok(written) => {
                import.staging.add(written);
                return Ok(());
            }
            Err(error) => error,
        };
        let later = import.days.remove(&write.day);
        let mut waiting = Waiting {
            buffer: write.buffer,
            touched_at,
        };
        if let Some(later) = later {
            waiting.buffer.append(later.buffer);
        }
        import.days.insert(write.day, waiting);
        let is_missing = error.is_missing_object();
        let outcome = match is_missing {
            true => {
                // Reported when it is missing in the newest version too.
                import.missing = Some(error);
                Ok(())
            }
            false => Err(error),
        };
        self.waiting_bytes += size_bytes;
        outcome
    }
}

impl WorkspaceImport {
    /// The days that can be written now. Of a day one file is written at a time, as the next one must
    /// not repeat its ids; and what is being written was compared with the files of one version, so
    /// that another version is turned to in between only.
    fn ready_days(&self) -> impl Iterator<Item = (&NaiveDate, &Waiting)> {
        let is_ready = self.missing.is_none() || self.writing.is_empty();
        let days = self.days.iter();
        days.filter(move |(day, _)| is_ready && !self.writing.contains(day))
    }
}
