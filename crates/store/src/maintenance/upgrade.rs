//! Files of older versions into files of the present form. Events are only moved, as compaction does it.

use events::WorkspaceId;

use crate::delta::snapshot::DataFile;
use crate::error::StoreError;
use crate::maintenance::compaction::{Compaction, Job, refuse_unknown_columns};
use crate::store::Store;

impl Store {
    /// Writes each file of `workspace` anew that Vouch has written without digests of its blocks, so that reading a part
    /// of it needs no reading of all of it; `None` when there is no such table. With `dry_run` it only says what that
    /// is.
    ///
    /// Each file is a commit of its own, in the order of days. Committed files stay when the rest is cancelled, and
    /// the next run goes on there. Queries, imports and compactions may go on meanwhile. A file that is damaged is
    /// left as it is, in [`Compaction::faults`].
    ///
    /// # Errors
    ///
    /// As for [`Store::compact`].
    pub async fn upgrade(
        &self,
        workspace: &WorkspaceId,
        dry_run: bool,
    ) -> Result<Option<Compaction>, StoreError> {
        let Some(snapshot) = self.snapshot(workspace).await? else {
            return Ok(None);
        };
        refuse_unknown_columns(&snapshot)?;
        let mut upgraded = Compaction::new(workspace);
        for file in snapshot.files().filter(|file| is_old(file)) {
            let job = Job {
                day: file.day,
                files: vec![file.clone()],
            };
            match dry_run {
                true => upgraded.add(&job, None, true),
                false => drop(self.merge_into(&job, &mut upgraded).await?),
            }
        }
        Ok(Some(upgraded))
    }
}

/// Whether Vouch has written the file, and without digests of its blocks.
fn is_old(file: &DataFile) -> bool {
    file.digest.is_some() && file.tail.is_none()
}
