//! The events of one workspace and day, until there are enough of them for a file.

use std::collections::HashSet;

use chrono::NaiveDate;
use events::{Event, PackedBatchBuilder, PackedEvent, PackedEvents, WorkspaceId};

use crate::data_file::{DataFileWriter, StagedFile};
use crate::error::StoreError;
use crate::file_reader::FilePlace;
use crate::layout;
use crate::location::Location;

/// Events that come one by one are kept in pieces of about this size, so that growing copies little.
const PIECE_BYTES: usize = 1024 * 1024;

/// Events of one workspace and day in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct DayBuffer {
    pieces: Vec<PackedEvents>,
    size_bytes: usize,
}

impl DayBuffer {
    /// About how many bytes of memory the events take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Adds an event of the buffer's workspace and day; gives the bytes that it takes.
    pub(crate) fn push(&mut self, event: &Event) -> usize {
        let before = self.size_bytes;
        match self.pieces.last_mut() {
            Some(last) if last.size_bytes() < PIECE_BYTES => {
                self.size_bytes -= last.size_bytes();
                last.push(event);
                self.size_bytes += last.size_bytes();
            }
            _ => {
                let mut piece = PackedEvents::default();
                piece.push(event);
                self.extend(piece);
            }
        }
        self.size_bytes - before
    }

    /// Adds events of the buffer's workspace and day; gives the bytes that they take.
    pub(crate) fn extend(&mut self, events: PackedEvents) -> usize {
        let size_bytes = events.size_bytes();
        self.pieces.push(events);
        self.size_bytes += size_bytes;
        size_bytes
    }

    /// Adds the events of `later`, which came after these.
    pub(crate) fn append(&mut self, later: Self) {
        self.pieces.extend(later.pieces);
        self.size_bytes += later.size_bytes;
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
        let events = self.new_events(location, known).await?;
        let count: usize = self.pieces.iter().map(PackedEvents::len).sum();
        let repeated = (count - events.len()) as u64;
        if events.is_empty() {
            return Ok((None, repeated));
        }
        let mut file = DataFileWriter::create(location, workspace, day)?;
        let mut batch = PackedBatchBuilder::new();
        for events in events.chunks(layout::WRITE_ROWS) {
            for (_, event) in events {
                batch.append(*event);
            }
            file.write(&batch.finish()?).await?;
            // Others share the processors, such as those who ask a service that folds.
            tokio::task::yield_now().await;
        }
        Ok((Some(file.finish().await?), repeated))
    }

    /// The first event of each id that none of the `known` files holds, in the order of
    /// [`layout::SORT_COLUMNS`], with its date.
    async fn new_events(
        &self,
        location: &Location,
        known: &[FilePlace],
    ) -> Result<Vec<(i64, PackedEvent<'_>)>, StoreError> {
        let count = self.pieces.iter().map(PackedEvents::len).sum();
        let mut ids: HashSet<&str> = HashSet::with_capacity(count);
        let mut events = Vec::with_capacity(count);
        for event in self.pieces.iter().flat_map(PackedEvents::iter) {
            if ids.insert(event.id()) {
                events.push((event.date_ms(), event));
            }
        }
        let mut stored: HashSet<&str> = HashSet::new();
        for file in known {
            stored.extend(file.ids_among(location, &ids).await?);
        }
        if !stored.is_empty() {
            events.retain(|(_, event)| !stored.contains(event.id()));
        }
        events.sort_unstable_by(|(date_ms, event), (other_date_ms, other)| {
            let by_date = date_ms.cmp(other_date_ms);
            by_date.then_with(|| event.id().cmp(other.id()))
        });
        Ok(events)
    }
}
