//! One record into its events, the same way at every door.

use serde_json::{Map, Value};

use crate::event::{Defaults, Event};
use crate::mapping::Mapping;
use crate::rejection::{Rejection, RejectionCode, excerpt};
use crate::workspace::WorkspaceId;

/// Turns records into events: through the mapping if there is one, else as objects in Vouch's field
/// names.
#[derive(Debug)]
pub struct RecordDecoder {
    mapping: Option<Mapping>,
}

impl RecordDecoder {
    /// A decoder with the mapping, if any.
    pub fn new(mapping: Option<Mapping>) -> Self {
        Self { mapping }
    }

    /// What becomes of one record: an event or a refusal for each object that the mapping makes of it,
    /// or for the record itself.
    ///
    /// `make_event` makes the event of the object at a position, from 0, among those of this record. It
    /// decides what id an event gets that brings none.
    pub fn decode(
        &self,
        record: Value,
        workspace: Option<&WorkspaceId>,
        mut make_event: impl FnMut(Map<String, Value>, &Defaults<'_>, usize) -> Result<Event, Rejection>,
    ) -> Vec<Result<Event, Rejection>> {
        let objects = match self.objects(record) {
            Ok(objects) => objects,
            Err(rejection) => return vec![Err(rejection)],
        };
        let count = objects.len();
        let defaults = Defaults { workspace };
        let events = objects.into_iter().enumerate().map(|(index, object)| {
            make_event(object, &defaults, index).map_err(|mut rejection| {
                if count > 1 {
                    let position = format!(" (event {} of {count} of this record)", index + 1);
                    rejection.message.push_str(&position);
                }
                rejection
            })
        });
        events.collect()
    }

    fn objects(&self, record: Value) -> Result<Vec<Map<String, Value>>, Rejection> {
        match (&self.mapping, record) {
            (Some(mapping), record) => mapping.apply(record),
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
}
