//! Records into events, with what is refused of them.

use events::read::{RecordDecoder, parse_record};
use events::{Event, MappingSource, Rejection, RejectionCode, WorkspaceId, identity};
use serde_json::Value;
use store::BatchNumber;

use super::error::WriteError;
use super::limits::IngestLimits;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// The events of a request.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The events, in the order of their records.
    pub(crate) events: Vec<Event>,
    /// For each event, which record of the request it was made of.
    pub(crate) record_of: Vec<usize>,
    /// What is not stored.
    pub(crate) refused: Vec<RefusedRecord>,
}

/// A record that is not stored, or an event of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedRecord {
    /// Its place in the request, from 0.
    pub(crate) index: usize,
    /// Why.
    pub(crate) rejection: Rejection,
}

/// Makes events of the records of one request.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    records: RecordDecoder,
    number: Option<&'a BatchNumber>,
    limits: &'a IngestLimits,
    /// How many records came so far.
    count: usize,
    decoded: Decoded,
}

impl<'a> Decoder<'a> {
    /// A decoder for a request.
    ///
    /// # Errors
    /// [`WriteError::Mapping`] when the mapping cannot be used.
    pub(crate) fn new(
        mapping: Option<&MappingSource>,
        number: Option<&'a BatchNumber>,
        limits: &'a IngestLimits,
    ) -> Result<Self, WriteError> {
        let mapping = mapping.map(MappingSource::compile).transpose()?;
        Ok(Self {
            records: RecordDecoder::new(mapping),
            number,
            limits,
            count: 0,
            decoded: Decoded::default(),
        })
    }

    /// Takes the next record, whose text or message has `size_bytes`. Its events belong to `workspace`
    /// unless they name one.
    ///
    /// # Errors
    /// [`WriteError::TooManyEvents`].
    pub(crate) fn take(
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
        let record = if size_bytes > self.limits.event_bytes {
            Err(self.too_large(size_bytes))
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
            match event {
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

    /// Takes every line that is not blank.
    ///
    /// # Errors
    /// [`WriteError::TooManyEvents`].
    pub(crate) fn take_lines(
        &mut self,
        text: &[u8],
        workspace: Option<&WorkspaceId>,
    ) -> Result<(), WriteError> {
        let text = text.strip_prefix(UTF8_BOM).unwrap_or(text);
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty()) {
            self.take(line.len(), workspace, || parse_record(line))?;
        }
        Ok(())
    }

    /// What the records were.
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

    fn too_large(&self, size_bytes: usize) -> Rejection {
        let limit = self.limits.event_bytes;
        let message = format!(
            "the record has {size_bytes} bytes, and this service takes {limit} (--max-event-bytes); \
             leave out its largest values, or import it with `vouch import`"
        );
        Rejection::new(RejectionCode::EventTooLarge, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str, number: Option<&BatchNumber>, limits: &IngestLimits) -> Decoded {
        let workspace = "acme".parse().unwrap();
        let mut decoder = Decoder::new(None, number, limits).unwrap();
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
        let mut decoder = Decoder::new(None, None, &limits).unwrap();
        assert!(matches!(
            decoder.take_lines(b"1\n2\n3", None),
            Err(WriteError::TooManyEvents { limit: 2 })
        ));
    }

    #[test]
    fn a_mapping_makes_events_of_a_record() {
        let limits = IngestLimits::default();
        let mapping = MappingSource::program("two", ".parts[] | {date: .}").unwrap();
        let mut decoder = Decoder::new(Some(&mapping), None, &limits).unwrap();
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
}
