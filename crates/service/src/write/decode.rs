//! Records into events and refusals.

use std::fmt;

use events::read::{RecordDecoder, parse_record};
use events::{Event, MappingSource, Rejection, RejectionCode, WorkspaceId, identity};
use serde_json::Value;
use store::BatchNumber;

use super::error::WriteError;
use super::limits::IngestLimits;
use super::memory::json_bytes;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// The events of a request.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The events, in the order of their records.
    pub(crate) events: Vec<Event>,
    /// For each event, the index of its record in the request.
    pub(crate) record_of: Vec<usize>,
    /// The refused records and events.
    pub(crate) refused: Vec<RefusedRecord>,
}

/// A refused record, or a refused event of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its index in the request, from 0.
    pub index: usize,
    /// The reason.
    pub rejection: Rejection,
}

/// Takes memory until the request holds a number of bytes.
pub(crate) type Grow<'a> = dyn FnMut(usize) -> Result<(), WriteError> + 'a;

/// The bytes of an event beyond those of its record: a derived id, the workspace, the date.
const OWN_BYTES: usize = 1 << 10;

/// The bounds of the bytes of events that are made before memory is taken for them: as many as there are already.
const MIN_STEP_BYTES: usize = 64 << 10;
const MAX_STEP_BYTES: usize = 1 << 20;

/// Makes events of the records of one request.
pub struct Decoder<'a> {
    records: RecordDecoder,
    number: Option<&'a BatchNumber>,
    limits: &'a IngestLimits,
    grow: &'a mut Grow<'a>,
    /// The number of records so far.
    count: usize,
    /// The bytes of the records so far. They can exceed those of the request by far: each OTLP record has a copy of
    /// its resource.
    record_bytes: usize,
    /// The bytes of the events so far, with the refused ones. A mapping can make more bytes than the records have.
    bytes: usize,
    /// The memory of these events.
    memory_bytes: usize,
    /// The bytes for which memory is held.
    grown_bytes: usize,
    decoded: Decoded,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl<'a> Decoder<'a> {
    /// A decoder for a request that takes memory with `grow`.
    ///
    /// # Errors
    /// [`WriteError::Mapping`] when the mapping cannot be used.
    pub(crate) fn new(
        mapping: Option<&MappingSource>,
        number: Option<&'a BatchNumber>,
        limits: &'a IngestLimits,
        grow: &'a mut Grow<'a>,
    ) -> Result<Self, WriteError> {
        let mapping = mapping.map(MappingSource::compile).transpose()?;
        Ok(Self {
            records: RecordDecoder::new(mapping),
            number,
            limits,
            grow,
            count: 0,
            record_bytes: 0,
            bytes: 0,
            memory_bytes: 0,
            grown_bytes: 0,
            decoded: Decoded::default(),
        })
    }

    /// Takes the next record, whose text or message has `size_bytes` with all that it shares with other records. Its
    /// events belong to `workspace` unless they name one.
    ///
    /// # Errors
    /// [`WriteError::TooManyEvents`], [`WriteError::EventsTooLarge`], or no memory.
    pub fn take(
        &mut self,
        size_bytes: usize,
        workspace: Option<&WorkspaceId>,
        read: impl FnOnce() -> Result<Value, Rejection>,
    ) -> Result<(), WriteError> {
        let index = self.count;
        self.count += 1;
        if self.count > self.limits.events || self.decoded.events.len() > self.limits.events {
            return Err(WriteError::TooManyEvents {
                limit: self.limits.events,
            });
        }
        // Refused records cost time as well.
        self.record_bytes = self.record_bytes.saturating_add(size_bytes);
        self.check_bytes(self.record_bytes)?;
        let record = if size_bytes > self.limits.event_bytes {
            Err(too_large("record", size_bytes, self.limits))
        } else {
            read()
        };
        let number = self.number;
        let events = match record {
            Err(rejection) => vec![Err(rejection)],
            Ok(record) => self
                .records
                .decode(record, workspace, |object, defaults, position| {
                    let Some(batch) = number else {
                        return Event::from_json_identified_by_content(object, defaults);
                    };
                    Event::from_json_identified_by(object, defaults, |content_id| {
                        identity::batch_id(
                            &batch.producer,
                            &batch.workspace,
                            batch.number,
                            [index as u64, position as u64],
                            &content_id,
                        )
                    })
                }),
        };
        for event in events {
            if let Ok(event) = &event {
                self.count_bytes(event)?;
            }
            match event.and_then(|event| self.within_limits(event)) {
                Ok(event) => {
                    self.decoded.events.push(event);
                    self.decoded.record_of.push(index);
                }
                Err(rejection) => self
                    .decoded
                    .refused
                    .push(RefusedRecord { index, rejection }),
            }
        }
        Ok(())
    }

    fn within_limits(&self, event: Event) -> Result<Event, Rejection> {
        let size_bytes = event.size_bytes();
        if size_bytes > self.limits.event_bytes.saturating_add(OWN_BYTES) {
            let what = "event made of the record, with what it takes from its resource or mapping,";
            return Err(too_large(what, size_bytes, self.limits));
        }
        Ok(event)
    }

    fn count_bytes(&mut self, event: &Event) -> Result<(), WriteError> {
        self.bytes = self.bytes.saturating_add(event.size_bytes());
        self.check_bytes(self.bytes)?;
        self.memory_bytes = self.memory_bytes.saturating_add(event.memory_bytes());
        self.reserve(self.memory_bytes)
    }

    /// Takes memory for `bytes` in all.
    fn reserve(&mut self, bytes: usize) -> Result<(), WriteError> {
        if bytes > self.grown_bytes {
            let step_bytes = bytes.clamp(MIN_STEP_BYTES, MAX_STEP_BYTES);
            self.grown_bytes = bytes.saturating_add(step_bytes);
            (self.grow)(self.grown_bytes)?;
        }
        Ok(())
    }

    fn check_bytes(&self, bytes: usize) -> Result<(), WriteError> {
        let limit = self.limits.decompressed_bytes;
        if bytes > limit {
            return Err(WriteError::EventsTooLarge { limit });
        }
        Ok(())
    }

    /// Takes a record that is a JSON text, after memory for its value was taken.
    ///
    /// # Errors
    /// As for [`Decoder::take`].
    pub fn take_text(
        &mut self,
        text: &[u8],
        workspace: Option<&WorkspaceId>,
    ) -> Result<(), WriteError> {
        if text.len() > self.limits.event_bytes {
            return self.take(text.len(), workspace, || parse_record(text));
        }
        let (value_bytes, limit) = (json_bytes(text), self.limits.decoded_bytes());
        if value_bytes > limit {
            return self.take(text.len(), workspace, || Err(too_many_values(limit)));
        }
        self.reserve(self.memory_bytes.saturating_add(value_bytes))?;
        self.take(text.len(), workspace, || parse_record(text))
    }

    /// Takes every line that is not blank.
    ///
    /// # Errors
    /// As for [`Decoder::take`].
    pub fn take_lines(
        &mut self,
        text: &[u8],
        workspace: Option<&WorkspaceId>,
    ) -> Result<(), WriteError> {
        let text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty()) {
            self.take_text(line, workspace)?;
        }
        Ok(())
    }

    /// Returns the events and refusals.
    ///
    /// # Errors
    /// [`WriteError::TooManyEvents`] when a mapping made too many of the last record.
    pub(crate) fn finish(self) -> Result<Decoded, WriteError> {
        if self.decoded.events.len() > self.limits.events {
            return Err(WriteError::TooManyEvents {
                limit: self.limits.events,
            });
        }
        Ok(self.decoded)
    }
}

fn too_large(what: &str, size_bytes: usize, limits: &IngestLimits) -> Rejection {
    let limit = limits.event_bytes;
    let message = format!(
        "the {what} has {size_bytes} bytes, and this service takes {limit} (--max-event-bytes); leave out \
         its largest values, or import it with `vouch import`"
    );
    Rejection::new(RejectionCode::EventTooLarge, message)
}

fn too_many_values(limit: usize) -> Rejection {
    let message = format!(
        "the record has so many values that it takes more than {limit} bytes of memory, four times \
         --max-decompressed-bytes; send it in parts, or import it with `vouch import`"
    );
    Rejection::new(RejectionCode::EventTooLarge, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(text: &str, number: Option<&BatchNumber>, limits: &IngestLimits) -> Decoded {
        let workspace = "acme".parse().unwrap();
        let mut grow = |_| Ok(());
        let mut decoder = Decoder::new(None, number, limits, &mut grow).unwrap();
        decoder
            .take_lines(text.as_bytes(), Some(&workspace))
            .unwrap();
        decoder.finish().unwrap()
    }

    #[test]
    fn refusals_are_counted_by_record_and_blank_lines_are_not() {
        let text =
            "\u{feff}{\"date\": 1}\r\n\n  \n{\"df_title\": \"x\"}\n[1]\n{\"date\": 2}\nbroken";
        let decoded = decode(text, None, &IngestLimits::default());
        assert_eq!(decoded.record_of, [0, 3]);
        let refused: Vec<_> = decoded
            .refused
            .iter()
            .map(|refused| (refused.index, refused.rejection.code))
            .collect();
        assert_eq!(
            refused,
            [
                (1, RejectionCode::MissingDate),
                (2, RejectionCode::NotAnObject),
                (4, RejectionCode::MalformedJson)
            ]
        );
    }

    #[test]
    fn ids_come_from_the_content_or_from_the_numbered_batch() {
        let ids = |number: Option<u64>| -> Vec<String> {
            let number = number.map(|number| BatchNumber {
                producer: "p".to_owned(),
                workspace: "acme".parse().unwrap(),
                number,
            });
            let text = "{\"date\": 1}\n{\"date\": 1}\n{\"date\": 1, \"df_event_id\": \"own\"}";
            let decoded = decode(text, number.as_ref(), &IngestLimits::default());
            decoded
                .events
                .iter()
                .map(|event| event.id().to_owned())
                .collect()
        };
        let content = ids(None);
        assert_eq!(content[0], content[1]);
        assert_eq!(content[2], "own");
        let first = ids(Some(1));
        assert_eq!(first, ids(Some(1)));
        assert_ne!(first[0], first[1]);
        assert_ne!(first[0], ids(Some(2))[0]);
        assert_eq!(first[2], "own");
    }

    #[test]
    fn what_is_too_large_is_refused_alone_and_too_many_together() {
        let limits = IngestLimits {
            events: 2,
            event_bytes: 20,
            ..IngestLimits::default()
        };
        let decoded = decode(
            "{\"date\": 1, \"df_title\": \"xxxx\"}\n{\"date\": 1}",
            None,
            &limits,
        );
        assert_eq!(decoded.record_of, [1]);
        assert_eq!(
            decoded.refused[0].rejection.code,
            RejectionCode::EventTooLarge
        );
        let mut grow = |_| Ok(());
        let mut decoder = Decoder::new(None, None, &limits, &mut grow).unwrap();
        assert!(matches!(
            decoder.take_lines(b"1\n2\n3", None),
            Err(WriteError::TooManyEvents { limit: 2 })
        ));
    }

    /// Shared bytes count for each record, even when it is refused.
    #[test]
    fn refused_records_are_measured() {
        let limits = IngestLimits {
            event_bytes: 2_000,
            decompressed_bytes: 5_000,
            ..IngestLimits::default()
        };
        let mut grow = |_| Ok(());
        let mut decoder = Decoder::new(None, None, &limits, &mut grow).unwrap();
        for _ in 0..2 {
            // No workspace is named.
            decoder
                .take(2_000, None, || Ok(json!({"date": 1})))
                .unwrap();
        }
        let refused = decoder.take(2_000, None, || panic!("it is not read"));
        assert!(matches!(
            refused,
            Err(WriteError::EventsTooLarge { limit: 5_000 })
        ));
    }

    /// A record of few bytes and many values is refused alone, before it is parsed. Memory is taken for the parsed
    /// values and for the events, which are larger than their values.
    #[test]
    fn memory_is_taken_for_values_and_events() {
        let limits = IngestLimits {
            decompressed_bytes: 1 << 20,
            ..IngestLimits::default()
        };
        let workspace = "acme".parse().unwrap();
        let decode = |text: &str| {
            let mut grown = 0;
            let mut grow = |bytes| {
                grown = bytes;
                Ok(())
            };
            let mut decoder = Decoder::new(None, None, &limits, &mut grow).unwrap();
            let taken = decoder.take_lines(text.as_bytes(), Some(&workspace));
            let decoded = taken.and_then(|()| decoder.finish()).unwrap();
            (decoded, grown)
        };
        let list = |items| format!("{{\"date\": 1, \"x\": [{}0]}}\n", "0,".repeat(items));
        let (decoded, _) = decode(&[list(100_000), list(1)].concat());
        assert_eq!(decoded.record_of, [1]);
        let refused = &decoded.refused[0].rejection;
        assert_eq!(refused.code, RejectionCode::EventTooLarge);
        let (decoded, grown) = decode(&list(10_000));
        assert_eq!(decoded.events.len(), 1);
        assert!(grown > 10_000 * size_of::<Value>(), "{grown}");
        let (decoded, grown) = decode(&"{\"date\": 1}\n".repeat(5_000));
        let memory: usize = decoded.events.iter().map(Event::memory_bytes).sum();
        assert!(grown >= memory && memory > 4 << 20, "{grown}, {memory}");
    }

    #[test]
    fn a_mapping_makes_events_of_a_record() {
        let limits = IngestLimits::default();
        let mapping = MappingSource::program("two", ".parts[] | {date: .}").unwrap();
        let mut grow = |_| Ok(());
        let mut decoder = Decoder::new(Some(&mapping), None, &limits, &mut grow).unwrap();
        let workspace = "acme".parse().unwrap();
        let text = b"{\"parts\": [1, \"x\", 3]}\n{\"parts\": []}";
        decoder.take_lines(text, Some(&workspace)).unwrap();
        let decoded = decoder.finish().unwrap();
        assert_eq!(decoded.record_of, [0, 0]);
        let refused: Vec<usize> = decoded
            .refused
            .iter()
            .map(|refused| refused.index)
            .collect();
        assert_eq!(refused, [0, 1]);
        assert!(
            decoded.refused[0]
                .rejection
                .message
                .ends_with("(event 2 of 3 of this record)")
        );
    }

    /// Records that expand are measured by their expanded size.
    #[test]
    fn events_are_measured_as_they_are_made() {
        let limits = IngestLimits {
            event_bytes: 2_000,
            decompressed_bytes: 5_000,
            ..IngestLimits::default()
        };
        let program =
            ". as $all | .sizes[] | {date: 1, df_title: (\"x\" * .), df_event_id: \"\\(.)\"}";
        let mapping = MappingSource::program("many", program).unwrap();
        let workspace = "acme".parse().unwrap();
        let decode = |text: &str| {
            let mut grown = 0;
            let mut grow = |bytes| {
                grown = bytes;
                Ok(())
            };
            let mut decoder = Decoder::new(Some(&mapping), None, &limits, &mut grow).unwrap();
            let taken = decoder.take_lines(text.as_bytes(), Some(&workspace));
            let decoded = taken.and_then(|()| decoder.finish());
            (decoded, grown)
        };
        let (decoded, grown) = decode("{\"sizes\": [500, 3200, 501]}");
        let decoded = decoded.unwrap();
        assert_eq!((decoded.events.len(), decoded.refused.len()), (2, 1));
        let refused = &decoded.refused[0].rejection;
        assert_eq!(refused.code, RejectionCode::EventTooLarge);
        assert!(grown > 1_000, "memory is taken for them");
        for sizes in ["1500, 1501, 1502, 1503, 1504", "3200, 3201"] {
            let (too_many, _) = decode(&format!("{{\"sizes\": [{sizes}]}}"));
            let is_refused = matches!(too_many, Err(WriteError::EventsTooLarge { limit: 5_000 }));
            assert!(is_refused, "{too_many:?}");
        }
    }
}
