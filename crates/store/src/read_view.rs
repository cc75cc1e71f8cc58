//! All events of a workspace at one moment.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::Int64Type;
use events::WriteToken;
use events::{TimeRange, WorkspaceId, fields};

use crate::delta::snapshot::{DataFile, Snapshot};
use crate::error::StoreError;
use crate::root::segment_key::SegmentKey;
use crate::store::Store;

/// What other nodes have acknowledged is seen at most this much later; half of what is promised.
pub(crate) const LISTING_AGE: Duration = Duration::from_millis(500);

/// The events of a workspace at one moment: the files of its table, and those that are in no table yet.
/// Each event is in exactly one of them.
#[derive(Debug, Clone)]
pub struct ReadView {
    /// Whose events they are.
    pub workspace: WorkspaceId,
    /// The table; `None` when all events are recent.
    pub table: Option<Snapshot>,
    /// The events that are not in the table, in the columns of [`events::view_schema`].
    pub recent: Arc<[RecordBatch]>,
}

impl ReadView {
    /// The files of the table.
    pub fn files(&self) -> impl Iterator<Item = &Arc<DataFile>> {
        self.table.iter().flat_map(|table| table.files.iter())
    }

    /// The first and the last `date` of each file and of each batch of recent events, in Unix
    /// milliseconds, and how many events it holds.
    pub fn spans(&self) -> impl Iterator<Item = (i64, i64, u64)> {
        let files = self.files().map(|file| {
            let (first_ms, last_ms) = file.span_ms();
            (first_ms, last_ms, file.rows)
        });
        let recent = self.recent.iter().filter_map(|batch| {
            let dates = batch.column_by_name(fields::DATE)?;
            let dates = dates.as_primitive_opt::<Int64Type>()?;
            Some((min(dates)?, max(dates)?, batch.num_rows() as u64))
        });
        files.chain(recent)
    }

    /// How many events there are.
    #[must_use]
    pub fn rows(&self) -> u64 {
        let stored = self.table.as_ref().map_or(0, Snapshot::rows);
        stored + self.recent_rows()
    }

    /// How many bytes the files have together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files().map(|file| file.size_bytes).sum()
    }

    /// The first and the last `date` in Unix milliseconds; `None` when there are no events.
    ///
    /// Where a file does not say which dates it holds, the bounds of its day are used.
    #[must_use]
    pub fn date_range_ms(&self) -> Option<(i64, i64)> {
        self.spans()
            .map(|(first_ms, last_ms, _)| (first_ms, last_ms))
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// How many events are in no table yet.
    #[must_use]
    pub fn recent_rows(&self) -> u64 {
        self.recent
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum()
    }
}

/// How long after its time of receipt an event may come into views.
const WATERMARK_MARGIN: Duration = Duration::from_secs(60);

impl Store {
    /// The newest events of `workspace`; `None` when there is no such workspace.
    ///
    /// All that this process has acknowledged is in it, and what others have acknowledged half a second ago.
    ///
    /// # Errors
    ///
    /// When the table, or the part of a segment that belongs to the workspace, cannot be read in full.
    pub async fn view(&self, workspace: &WorkspaceId) -> Result<Option<ReadView>, StoreError> {
        self.view_within(workspace, &[TimeRange::ALL]).await
    }

    /// Like [`Store::view`], for a question about events of `windows`: of recent events it may lack those
    /// of other days, for which no file is read.
    ///
    /// # Errors
    ///
    /// As for [`Store::view`].
    pub async fn view_within(
        &self,
        workspace: &WorkspaceId,
        windows: &[TimeRange],
    ) -> Result<Option<ReadView>, StoreError> {
        // In this order: events move from segments to tables, never back.
        let segments = self.segments(LISTING_AGE).await?;
        for segment in &segments {
            segment.check(workspace)?;
        }
        let table = self.snapshot(workspace).await?;
        let recent = self
            .recent_events()
            .of(
                self.location(),
                workspace,
                table.as_ref(),
                &segments,
                windows,
            )
            .await?;
        if table.is_none() && recent.is_none() {
            return Ok(None);
        }
        Ok(Some(ReadView {
            workspace: workspace.clone(),
            table,
            recent: recent.unwrap_or_default(),
        }))
    }

    /// Every event with a smaller `vouch_received`, Unix ms, is in each later [`Store::view`]: what is received before
    /// takes 30 seconds at most to be durable, and is listed half a second later. `None` when the store's time is not
    /// known: no process has ever compared its clock with it, or the clock of this node differs from it.
    ///
    /// Costs at most one request, and writes nothing.
    pub async fn watermark_ms(&self) -> Option<i64> {
        let margin_ms = i64::try_from(WATERMARK_MARGIN.as_millis()).unwrap_or(i64::MAX);
        let reached_ms = self.location().reached_ms().await;
        reached_ms.map(|reached_ms| reached_ms - margin_ms)
    }

    /// Makes sure that every later [`Store::view`] has the writes that were acknowledged with these
    /// tokens, whichever node has acknowledged them.
    ///
    /// # Errors
    ///
    /// When the segments cannot be read.
    pub async fn catch_up(&self, tokens: &[WriteToken]) -> Result<(), StoreError> {
        let known = self.known_segments();
        if !tokens
            .iter()
            .all(|token| known.contains(&SegmentKey::from(*token)))
        {
            // What is not listed now is in its table.
            self.segments(Duration::ZERO).await?;
        }
        Ok(())
    }
}
