//! The events of one workspace and day, until there are enough of them for a file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use events::{
    Content, Delivery, Event, PackedBatchBuilder, PackedEvent, PackedEvents, WorkspaceId,
};

use crate::error::StoreError;
use crate::file::claims::{Claim, Holders, Settled};
use crate::file::layout;
use crate::file::reader::FileRef;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::root::location::Location;

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

    /// Adds an event of the buffer's workspace and day; returns the bytes that it takes.
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

    /// Adds events of the buffer's workspace and day; returns the bytes that they take.
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

    /// Writes the events into one file, sorted, without those that came twice or are in one of the `known` files.
    /// An event whose id another one has gets an id of its own. Events that do not say how they came have come by
    /// `delivery`. The buffer keeps its events.
    pub(crate) async fn write(
        &self,
        location: &Location,
        workspace: &WorkspaceId,
        day: NaiveDate,
        known: &[FileRef],
        delivery: Option<&Arc<Delivery>>,
    ) -> Result<WrittenFile, StoreError> {
        let delivered = delivery.map(AsRef::as_ref);
        let chosen = self.new_events(location, known, delivered).await?;
        let mut written = WrittenFile {
            file: None,
            repeated: chosen.repeated,
            conflicts: chosen.renamed.len() as u64,
        };
        let events = chosen.sorted();
        if events.is_empty() {
            return Ok(written);
        }
        let mut file = DataFileWriter::create(location, workspace, day)?;
        let mut batch = PackedBatchBuilder::new();
        for events in events.chunks(layout::WRITE_ROWS) {
            for (_, event) in events {
                batch.append(*event);
            }
            file.write(&batch.finish()?).await?;
            // Other tasks share the processors, such as queries of a service that folds.
            tokio::task::yield_now().await;
        }
        let file = file.finish().await?;
        written.file = Some(StagedFile {
            delivery: delivery.cloned(),
            ..file
        });
        Ok(written)
    }

    /// The events that neither came before nor are in one of the `known` files.
    async fn new_events(
        &self,
        location: &Location,
        known: &[FileRef],
        delivery: Option<&Delivery>,
    ) -> Result<Chosen<'_>, StoreError> {
        let count = self.pieces.iter().map(PackedEvents::len).sum();
        let mut ids: HashSet<&str> = HashSet::with_capacity(count);
        let mut contested: HashSet<&str> = HashSet::new();
        let mut events = Vec::with_capacity(count);
        for event in self.pieces.iter().flat_map(PackedEvents::iter) {
            if !ids.insert(event.id()) {
                contested.insert(event.id());
            }
            events.push(event);
        }
        let mut holders = Holders::of_files(location, known, &ids).await?;
        let is_contested = |event: &PackedEvent<'_>| {
            contested.contains(event.id()) || holders.of(event.id()).is_some()
        };
        if contested.is_empty() && holders.is_empty() {
            return Ok(Chosen {
                events,
                ..Chosen::default()
            });
        }
        let (contested, plain): (Vec<_>, Vec<_>) = events.into_iter().partition(is_contested);
        let by_id: HashMap<&str, PackedEvent<'_>> =
            plain.iter().map(|event| (event.id(), *event)).collect();
        let other = |id: &str| {
            let event = by_id.get(id)?;
            Some(Content::of_packed(*event, delivery))
        };
        let claims: Vec<Claim> = contested
            .iter()
            .map(|event| Claim {
                own_id: event.id().to_owned(),
                content: Content::of_packed(*event, delivery),
            })
            .collect();
        let settled = holders.settle(location, known, &claims, other).await?;
        let mut chosen = Chosen {
            events: plain,
            ..Chosen::default()
        };
        for (event, settled) in contested.into_iter().zip(settled) {
            match settled {
                Settled::Repeated => chosen.repeated += 1,
                Settled::Under(id) if id == event.id() => chosen.events.push(event),
                Settled::Under(id) => chosen.renamed.push_under(event, &id),
            }
        }
        Ok(chosen)
    }
}

/// The result of writing a buffer.
#[derive(Debug)]
pub(crate) struct WrittenFile {
    /// The file; `None` when nothing was left to be written.
    pub(crate) file: Option<StagedFile>,
    /// How many events were left out because they were there already.
    pub(crate) repeated: u64,
    /// How many events got another id because another event has theirs.
    pub(crate) conflicts: u64,
}

/// The events of a buffer that are to be written.
#[derive(Debug, Default)]
struct Chosen<'a> {
    events: Vec<PackedEvent<'a>>,
    /// Those under another id than their own.
    renamed: PackedEvents,
    /// How many others there are.
    repeated: u64,
}

impl Chosen<'_> {
    /// The events in the order of [`layout::SORT_COLUMNS`], with their dates.
    fn sorted(&self) -> Vec<(i64, PackedEvent<'_>)> {
        let events = self.events.iter().copied().chain(self.renamed.iter());
        let mut events: Vec<_> = events.map(|event| (event.date_ms(), event)).collect();
        events.sort_unstable_by(|(date_ms, event), (other_date_ms, other)| {
            let by_date = date_ms.cmp(other_date_ms);
            by_date.then_with(|| event.id().cmp(other.id()))
        });
        events
    }
}
