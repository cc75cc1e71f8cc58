//! A table read in full and compared with what its log says about it.

mod log;
mod removed;
mod segments;

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, NaiveDate};
use events::{WorkspaceId, fields};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::fault::{Fault, FaultKind};
use crate::file::digest;
use crate::file::reader::FileRef;
use crate::root::location::Location;
use crate::root::paths;
use crate::store::Store;

pub use segments::SegmentVerification;

/// The result of reading a whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Whose table it is.
    pub workspace: WorkspaceId,
    /// The version of the table that was read.
    pub version: u64,
    /// The files that the version names.
    pub files: usize,
    /// The files whose writer has not recorded a digest: all that is known of their bytes is that
    /// they can be read.
    pub files_without_digest: usize,
    /// The events that the log says the files hold.
    pub rows: u64,
    /// The bytes that the log says the files have.
    pub size_bytes: u64,
    /// The data files that the version does not name: those of imports in progress, and those that killed
    /// ones have left. No reader uses them.
    pub unnamed_files: usize,
    /// Their bytes.
    pub unnamed_bytes: u64,
    /// What is wrong, by file.
    pub faults: Vec<Fault>,
}

/// The ids of one day: the digest of an id, and the file that has it.
///
/// Of a day with many events the ids themselves could take more memory than there is; of two
/// different ids these 16 bytes are never the same.
type DayIds = HashMap<[u8; 16], usize>;

impl Store {
    /// Reads the log of the table of `workspace` and every file of it, and compares them; `None` when there
    /// is no such table.
    ///
    /// Memory grows with the number of events of one day, about 40 bytes for each.
    ///
    /// # Errors
    ///
    /// When the log itself cannot be read, as for [`Store::snapshot`], or the object store fails.
    /// Faults of single files are not an error; they are in [`Verification::faults`].
    pub async fn verify(
        &self,
        workspace: &WorkspaceId,
    ) -> Result<Option<Verification>, StoreError> {
        let Some(snapshot) = self.snapshot(workspace).await? else {
            return Ok(None);
        };
        let (unnamed_files, unnamed_bytes) = unnamed(self.location(), &snapshot).await?;
        let mut verification = Verification {
            workspace: workspace.clone(),
            version: snapshot.version,
            files: snapshot.files.len(),
            files_without_digest: snapshot
                .files
                .iter()
                .filter(|file| file.digest.is_none())
                .count(),
            rows: snapshot.rows(),
            size_bytes: snapshot.size_bytes(),
            unnamed_files,
            unnamed_bytes,
            faults: self.verify_log(workspace).await?,
        };
        let mut day = None;
        let mut ids = DayIds::new();
        for (index, file) in snapshot.files.iter().enumerate() {
            if day != Some(file.day) {
                day = Some(file.day);
                ids.clear();
            }
            let found = check(self.location(), &snapshot, index, &mut ids).await?;
            let path = || file.path.to_string();
            verification
                .faults
                .extend(found.into_iter().map(|kind| Fault { path: path(), kind }));
        }
        self.forget_removed(workspace, &mut verification).await?;
        Ok(Some(verification))
    }

    /// A file that was replaced while the table was read is no fault.
    async fn forget_removed(
        &self,
        workspace: &WorkspaceId,
        verification: &mut Verification,
    ) -> Result<(), StoreError> {
        let is_missing = |fault: &Fault| fault.kind == FaultKind::Missing;
        if !verification.faults.iter().any(is_missing) {
            return Ok(());
        }
        let newest = self.snapshot(workspace).await?;
        let named: HashSet<&str> = newest
            .iter()
            .flat_map(|snapshot| snapshot.files.iter())
            .map(|file| file.path.as_ref())
            .collect();
        verification
            .faults
            .retain(|fault| !is_missing(fault) || named.contains(fault.path.as_str()));
        Ok(())
    }
}

/// The number and the bytes of the data files below the table that the snapshot does not name.
async fn unnamed(location: &Location, snapshot: &Snapshot) -> Result<(usize, u64), StoreError> {
    let named: HashSet<&Path> = snapshot.files.iter().map(|file| &file.path).collect();
    let log = paths::log(&snapshot.workspace);
    let table = paths::table(&snapshot.workspace);
    let mut objects = location.objects.list(Some(&table));
    let (mut files, mut bytes) = (0, 0);
    while let Some(object) = objects.try_next().await? {
        if !object.location.prefix_matches(&log) && !named.contains(&object.location) {
            files += 1;
            bytes += object.size;
        }
    }
    Ok((files, bytes))
}

/// Reads the file at `index` of the snapshot; `ids` are those of the files of its day before it.
async fn check(
    location: &Location,
    snapshot: &Snapshot,
    index: usize,
    ids: &mut DayIds,
) -> Result<Vec<FaultKind>, StoreError> {
    let file = &snapshot.files[index];
    let mut faults = Vec::new();
    let (size, digest) = match digest::of_object(location, &file.path).await {
        Ok(found) => found,
        Err(StoreError::NotFound { .. }) => return Ok(vec![FaultKind::Missing]),
        Err(StoreError::Corrupt { reason, .. }) => return Ok(vec![FaultKind::Unreadable(reason)]),
        Err(error) => return Err(error),
    };
    if size != file.size_bytes {
        faults.push(FaultKind::Size {
            found: size,
            logged: file.size_bytes,
        });
    }
    if file.digest.is_some_and(|committed| committed != digest) {
        // What other bytes mean is of no interest, and a decoder may not survive them.
        faults.push(FaultKind::Changed);
        return Ok(faults);
    }
    let mut content = Content::default();
    let read = match read(location, snapshot, index, ids, &mut content).await {
        Err(error @ StoreError::ObjectStore(_)) => {
            Err(location.explain_read(&file.path, error).await)
        }
        read => read,
    };
    match read {
        Ok(()) => faults.extend(content.faults(snapshot, file)),
        Err(error @ (StoreError::Parquet { .. } | StoreError::Corrupt { .. })) => {
            faults.push(FaultKind::Unreadable(error.to_string()));
        }
        Err(StoreError::NotFound { .. }) => return Ok(vec![FaultKind::Missing]),
        Err(error) => return Err(error),
    }
    Ok(faults)
}

/// The content of a file.
#[derive(Debug, Default)]
struct Content {
    rows: u64,
    dates: Option<(i64, i64)>,
    without_date: u64,
    of_another_day: u64,
    of_another_workspace: u64,
    without_id: u64,
    repeated: u64,
    /// The first repeated id and the index of the file that has it too.
    first_repeated: Option<(String, usize)>,
}

/// Reads every column of every row.
async fn read(
    location: &Location,
    snapshot: &Snapshot,
    index: usize,
    ids: &mut DayIds,
    content: &mut Content,
) -> Result<(), StoreError> {
    let file = &snapshot.files[index];
    let failed = |error| StoreError::parquet(&file.path, error);
    // Its digest was compared just now.
    let place = FileRef {
        digest: None,
        ..file.file_ref()
    };
    let mut batches = place.open(location).await?.build().map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        content.rows += batch.num_rows() as u64;
        content.add_dates(&batch, file)?;
        content.add_ids(&batch, file, index, ids)?;
        content.add_workspaces(&batch, file, &snapshot.workspace)?;
    }
    Ok(())
}

fn missing_column(file: &DataFile, name: &str) -> StoreError {
    StoreError::Corrupt {
        path: file.path.to_string(),
        reason: format!("it has no column `{name}` of the type that events have"),
    }
}

impl Content {
    fn add_dates(&mut self, batch: &RecordBatch, file: &DataFile) -> Result<(), StoreError> {
        let column = batch.column_by_name(fields::DATE);
        let dates = column
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .ok_or_else(|| missing_column(file, fields::DATE))?;
        self.without_date += dates.null_count() as u64;
        for date in dates.iter().flatten() {
            let (least, most) = self.dates.unwrap_or((date, date));
            self.dates = Some((least.min(date), most.max(date)));
            self.of_another_day += u64::from(day_of(date) != Some(file.day));
        }
        Ok(())
    }

    fn add_ids(
        &mut self,
        batch: &RecordBatch,
        file: &DataFile,
        index: usize,
        ids: &mut DayIds,
    ) -> Result<(), StoreError> {
        let column = batch.column_by_name(fields::EVENT_ID);
        let values = column
            .and_then(|column| column.as_string_opt::<i32>())
            .ok_or_else(|| missing_column(file, fields::EVENT_ID))?;
        self.without_id += values.null_count() as u64;
        for id in values.iter().flatten() {
            let mut short = [0; 16];
            short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
            if let Some(other) = ids.insert(short, index) {
                self.repeated += 1;
                self.first_repeated
                    .get_or_insert_with(|| (id.to_owned(), other));
            }
        }
        Ok(())
    }

    /// The workspace of an event decides which users may see it.
    fn add_workspaces(
        &mut self,
        batch: &RecordBatch,
        file: &DataFile,
        workspace: &WorkspaceId,
    ) -> Result<(), StoreError> {
        let column = batch.column_by_name(fields::WORKSPACE);
        let values = column
            .and_then(|column| column.as_string_opt::<i32>())
            .ok_or_else(|| missing_column(file, fields::WORKSPACE))?;
        let others = values.iter().filter(|id| *id != Some(workspace.as_str()));
        self.of_another_workspace += others.count() as u64;
        Ok(())
    }

    fn faults(self, snapshot: &Snapshot, file: &DataFile) -> Vec<FaultKind> {
        let mut faults = Vec::new();
        if self.rows != file.rows {
            faults.push(FaultKind::Rows {
                found: self.rows,
                logged: file.rows,
            });
        }
        if let (Some(found), Some(logged)) = (self.dates, file.date_range_ms)
            && found != logged
        {
            faults.push(FaultKind::Dates { found, logged });
        }
        let misplaced = [
            (self.without_date, "have no date"),
            (self.without_id, "have no event id"),
            (self.of_another_day, "belong to another day"),
            (self.of_another_workspace, "belong to another workspace"),
        ];
        faults.extend(
            misplaced
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, problem)| FaultKind::Misplaced { count, problem }),
        );
        if let Some((id, other)) = self.first_repeated {
            faults.push(FaultKind::Repeated {
                count: self.repeated,
                id,
                other: snapshot.files[other].path.to_string(),
            });
        }
        faults
    }
}

fn day_of(date_ms: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp_millis(date_ms).map(|date| date.date_naive())
}
