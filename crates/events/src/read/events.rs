//! Records into events.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::error::ReadError;
use super::format::Format;
use super::input::Input;
use super::{Record, Records, records};
use crate::event::{Defaults, Event};
use crate::identity::import_id;
use crate::mapping::Mapping;
use crate::rejection::{Rejection, RejectionCode, excerpt};
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

/// What turns one record into events.
struct Decoder {
    input: Input,
    mapping: Option<Mapping>,
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
                mapping,
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
            .field("mapping", &self.decoder.mapping)
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
        let objects = record.value.and_then(|value| self.objects(value));
        let objects = match objects {
            Ok(objects) => objects,
            Err(rejection) => return decoded.push_back(Decoded::Refused { line, rejection }),
        };
        let count = objects.len();
        for (index, object) in objects.into_iter().enumerate() {
            decoded.push_back(match self.event(object, line, index) {
                Ok(event) => Decoded::Event(event),
                Err(mut rejection) => {
                    if count > 1 {
                        let position = format!(" (event {} of {count} of this record)", index + 1);
                        rejection.message.push_str(&position);
                    }
                    Decoded::Refused { line, rejection }
                }
            });
        }
    }

    fn objects(&self, value: Value) -> Result<Vec<Map<String, Value>>, Rejection> {
        match (&self.mapping, value) {
            (Some(mapping), value) => mapping.apply(value),
            (None, Value::Object(object)) => Ok(vec![object]),
            (None, other) => Err(Rejection::new(
                RejectionCode::NotAnObject,
                format!(
                    "an event is a JSON object, not {}",
                    excerpt(&other.to_string())
                ),
            )),
        }
    }

    fn event(
        &mut self,
        object: Map<String, Value>,
        line: u64,
        index: usize,
    ) -> Result<Event, Rejection> {
        let Self {
            input,
            workspace,
            digest,
            ..
        } = self;
        let defaults = Defaults {
            workspace: workspace.as_ref(),
        };
        Event::from_json(object, &defaults, || {
            let digest = digest.get_or_insert_with(|| digest_of(input));
            let digest = digest.as_ref().map_err(Clone::clone)?;
            Ok(import_id(digest, line, index as u64))
        })
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
