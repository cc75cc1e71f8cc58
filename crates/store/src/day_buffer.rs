//! The events of one workspace and day, until there are enough of them for a file.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use events::WorkspaceId;

use crate::data_file::{DataFileWriter, StagedFile};
use crate::error::StoreError;
use crate::event_ids::FilePlace;
use crate::layout;
use crate::location::Location;
use crate::row::{Row, RowBatchBuilder};

/// Events of one workspace and day in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct DayBuffer {
    rows: Vec<Row>,
    size_bytes: usize,
}

impl DayBuffer {
    /// About how many bytes of memory the events take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Adds an event of the buffer's workspace and day; gives the bytes that it takes.
    pub(crate) fn push(&mut self, row: Row) -> usize {
        let size_bytes = row.size_bytes();
        self.rows.push(row);
        self.size_bytes += size_bytes;
        size_bytes
    }

    /// Writes the events into one file, sorted, without those whose id came twice or is in one of
    /// the `known` files. Gives the file, unless nothing was left, and the number of events left
    /// out. The buffer keeps its events.
    pub(crate) async fn write(
        &self,
        location: &Location,
        workspace: &WorkspaceId,
        day: NaiveDate,
        known: &[FilePlace],
    ) -> Result<(Option<StagedFile>, u64), StoreError> {
        let rows = self.new_rows(location, known).await?;
        let repeated = (self.rows.len() - rows.len()) as u64;
        if rows.is_empty() {
            return Ok((None, repeated));
        }
        let mut file = DataFileWriter::create(location, workspace, day)?;
        let mut batch = RowBatchBuilder::new();
        for rows in rows.chunks(layout::WRITE_ROWS) {
            for row in rows {
                batch.append(row);
            }
            file.write(&batch.finish()?).await?;
        }
        Ok((Some(file.finish().await?), repeated))
    }

    /// The first row of each id that none of the `known` files holds, in the order of
    /// [`layout::SORT_COLUMNS`].
    async fn new_rows(
        &self,
        location: &Location,
        known: &[FilePlace],
    ) -> Result<Vec<&Row>, StoreError> {
        let mut by_id: HashMap<&str, &Row> = HashMap::with_capacity(self.rows.len());
        for row in &self.rows {
            let (_, id) = row.key();
            if let Entry::Vacant(entry) = by_id.entry(id) {
                entry.insert(row);
            }
        }
        if !known.is_empty() {
            let wanted: HashSet<&str> = by_id.keys().copied().collect();
            for file in known {
                for id in file.ids_among(location, &wanted).await? {
                    by_id.remove(id);
                }
            }
        }
        let mut rows: Vec<&Row> = by_id.into_values().collect();
        rows.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
        Ok(rows)
    }
}
