//! Records into events.

use std::collections::VecDeque;

use super::error::ReadError;
use super::format::Format;
use super::input::Input;
use super::record::RecordDecoder;
use super::{Record, Records, records};
use crate::event::Event;
use crate::identity::import_id;
use crate::mapping::Mapping;
use crate::rejection::{Rejection, RejectionCode};
use crate::workspace::WorkspaceId;

/// What became of a record, or of one of the events that a mapping made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// An event.
    Event(Event),
    /// Nothing that can be stored.
    Refused {
        /// The line (or row) of the record, from 1.
        line: u64,
        /// Why.
        rejection: Rejection,
    },
}

/// Reads the events of an input, first to last. After an error nothing follows.
pub struct EventReader {
    records: Records,
    decoder: Decoder,
    /// Events of the record read last that are still to be given.
    pending: VecDeque<Decoded>,
}

/// The ids of events that bring none, and what else is the same for all records of an input.
struct Decoder {
    input: Input,
    records: RecordDecoder,
    workspace: Option<WorkspaceId>,
    /// Computed when the first event without an id comes.
    digest: Option<Result<[u8; 32], Rejection>>,
}

impl EventReader {
    /// A reader of the input's events: through the mapping if there is one, else as objects in
    /// Vouch's field names; in the workspace given, if the events name none.
    ///
    /// # Errors
    /// A [`ReadError`] when the input is in no format that can be read.
    pub fn open(
        input: Input,
        mapping: Option<Mapping>,
        workspace: Option<WorkspaceId>,
    ) -> Result<Self, ReadError> {
        let format = Format::detect(&input)?;
        Ok(Self {
            records: records(&input, format)?,
            decoder: Decoder {
                input,
                records: RecordDecoder::new(mapping),
                workspace,
                digest: None,
            },
            pending: VecDeque::new(),
        })
    }

    /// What is read.
    pub fn input(&self) -> &Input {
        &self.decoder.input
    }
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EventReader")
            .field("input", &self.decoder.input)
            .field("records", &self.decoder.records)
            .field("workspace", &self.decoder.workspace)
            .finish_non_exhaustive()
    }
}

impl Iterator for EventReader {
    type Item = Result<Decoded, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(decoded) = self.pending.pop_front() {
                return Some(Ok(decoded));
            }
            match self.records.next()? {
                Ok(record) => self.decoder.decode(record, &mut self.pending),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Decoder {
    fn decode(&mut self, record: Record, decoded: &mut VecDeque<Decoded>) {
        let line = record.line;
        let value = match record.value {
            Ok(value) => value,
            Err(rejection) => return decoded.push_back(Decoded::Refused { line, rejection }),
        };
        let Self {
            input,
            records,
            workspace,
            digest,
        } = self;
        let events = records.decode(value, workspace.as_ref(), |object, defaults, index| {
            Event::from_json(object, defaults, || {
                let digest = digest.get_or_insert_with(|| digest_of(input));
                let digest = digest.as_ref().map_err(Clone::clone)?;
                Ok(import_id(digest, line, index as u64))
            })
        });
        decoded.extend(events.into_iter().map(|event| match event {
            Ok(event) => Decoded::Event(event),
            Err(rejection) => Decoded::Refused { line, rejection },
        }));
    }
}

/// The digest from which ids are derived. Of half an input there is none: its events would get
/// other ids than those of the whole, and reading the whole later would double them.
fn digest_of(input: &Input) -> Result<[u8; 32], Rejection> {
    input.digest().map_err(|error| {
        Rejection::new(
            RejectionCode::MissingEventId,
            format!("the event has no `df_event_id`, and none can be derived: {error}"),
        )
    })
}
