//! Portions of an input into events.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::input::Input;
use super::lines::{Piece, parse_record};
use super::parquet::Rows;
use super::record::RecordDecoder;
use super::work::Portion;
use super::{Record, answer};
use crate::direct::{DayEvents, Days, LineDecoder, RowDecoder};
use crate::event::Event;
use crate::identity::import_id;
use crate::json::row_json;
use crate::mapping::{Mapping, MappingSource};
use crate::rejection::{Rejection, RejectionCode};
use crate::workspace::WorkspaceId;

/// What became of a portion of an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// Its events.
    pub days: Vec<DayEvents>,
    /// What cannot be stored, in the order of the input.
    pub refused: Vec<Refused>,
}

/// A record, or one of the events that a mapping made of it, that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The line (or row) of the record, from 1.
    pub line: u64,
    /// Why.
    pub rejection: Rejection,
}

/// What is the same for all portions of an input.
pub(super) struct Settings {
    pub(super) input: Arc<Input>,
    pub(super) mapping: Option<MappingSource>,
    pub(super) workspace: Option<WorkspaceId>,
    /// Computed when the first event without an id comes.
    pub(super) digest: OnceLock<Result<[u8; 32], Rejection>>,
}

/// Makes events of portions. A mapping stays in the thread that has compiled it, so that each thread
/// has a decoder of its own.
pub(super) struct Decoder {
    settings: Arc<Settings>,
    /// Or why the mapping cannot be used.
    records: Result<RecordDecoder, Rejection>,
}

impl Settings {
    /// The id of an event that brings none. Of half an input there is none: its events would get
    /// other ids than those of the whole, and reading the whole later would double them.
    fn derived_id(&self, line: u64, index: u64) -> Result<String, Rejection> {
        let digest = self.digest.get_or_init(|| {
            self.input.digest().map_err(|error| {
                Rejection::new(
                    RejectionCode::MissingEventId,
                    format!("the event has no `df_event_id`, and none can be derived: {error}"),
                )
            })
        });
        let digest = digest.as_ref().map_err(Clone::clone)?;
        Ok(import_id(digest, line, index))
    }
}

impl Decoder {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        let mapping = settings.mapping.as_ref().map(MappingSource::compile);
        let records = mapping
            .transpose()
            .map_err(|error| Rejection::new(RejectionCode::MappingFailed, error.to_string()));
        Self {
            settings,
            records: records.map(|mapping: Option<Mapping>| RecordDecoder::new(mapping)),
        }
    }

    pub(super) fn decode(&self, portion: &mut Portion) -> Decoded {
        let mut result = Decoding {
            decoder: self,
            days: Days::default(),
            refused: Vec::new(),
        };
        match portion {
            Portion::Lines(piece) => result.lines(piece),
            Portion::Rows(rows) => result.rows(rows),
            Portion::Records(records) => {
                for record in records.drain(..) {
                    result.record(record);
                }
            }
        }
        Decoded {
            days: result.days.finish(),
            refused: result.refused,
        }
    }

    /// Whether records are events as they are.
    fn is_direct(&self) -> bool {
        self.settings.mapping.is_none()
    }
}

/// The decoding of one portion.
struct Decoding<'d> {
    decoder: &'d Decoder,
    days: Days,
    refused: Vec<Refused>,
}

impl Decoding<'_> {
    fn lines(&mut self, piece: &Piece) {
        let settings = &self.decoder.settings;
        let workspace = settings.workspace.as_ref().map(WorkspaceId::as_str);
        let mut direct = LineDecoder::new();
        for line in piece.lines() {
            if self.decoder.is_direct()
                && let Ok(text) = line.text
            {
                let derive_id = || settings.derived_id(line.number, 0).ok();
                let taken = direct.decode(text, workspace, derive_id, &mut self.days);
                if taken.is_ok() {
                    continue;
                }
            }
            self.record(Record {
                line: line.number,
                value: line.text.and_then(parse_record),
            });
        }
    }

    fn rows(&mut self, rows: &Rows) {
        let settings = &self.decoder.settings;
        let workspace = settings.workspace.as_ref().map(WorkspaceId::as_str);
        let mut direct = if self.decoder.is_direct() {
            RowDecoder::new(&rows.batch)
        } else {
            None
        };
        for row in 0..rows.batch.num_rows() {
            let line = rows.rows_before + row as u64 + 1;
            if let Some(direct) = &mut direct {
                let derive_id = || settings.derived_id(line, 0).ok();
                let taken = direct.decode(row, workspace, derive_id, &mut self.days);
                if taken.is_ok() {
                    continue;
                }
            }
            let value = row_json(&rows.batch, row).map(Value::Object);
            self.record(Record { line, value });
        }
    }

    fn record(&mut self, record: Record) {
        let line = record.line;
        let values = match record.value {
            Ok(value) if self.decoder.is_direct() => {
                answer::rows(value).unwrap_or_else(|it| vec![it])
            }
            Ok(value) => vec![value],
            Err(rejection) => {
                self.refused.push(Refused { line, rejection });
                return;
            }
        };
        let mut index = 0;
        for value in values {
            for event in self.events(line, &mut index, value) {
                match event {
                    Ok(event) => self.days.push(&event),
                    Err(rejection) => self.refused.push(Refused { line, rejection }),
                }
            }
        }
    }

    /// The events of a value. `next` is the index of the first among all events of its line.
    fn events(&self, line: u64, next: &mut u64, value: Value) -> Vec<Result<Event, Rejection>> {
        let settings = &self.decoder.settings;
        let records = match &self.decoder.records {
            Ok(records) => records,
            Err(rejection) => return vec![Err(rejection.clone())],
        };
        let workspace = settings.workspace.as_ref();
        let first = *next;
        let events = records.decode(value, workspace, |object, defaults, index| {
            let derive_id = || settings.derived_id(line, first + index as u64);
            Event::from_json(object, defaults, derive_id)
        });
        *next += events.len() as u64;
        events
    }
}
