//! Ids of events whose own id belongs to another event of the same day.
//!
//! Such an event is kept under `<id>~<digits of its content digest>`, and the field `vouch_conflict` has the id that the
//! producer gave it. The same event gets the same id whenever and wherever it comes again, as long as the others are
//! there.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::error::ArrowError;

use crate::content::{ContentDigest, Sent};
use crate::event::Event;
use crate::fields::{CONFLICT, EVENT_ID};
use crate::json::text;

/// How many hexadecimal digits of the digest an id has at first.
const SHORT_DIGITS: usize = 16;

/// How many it has in all.
const ALL_DIGITS: usize = 64;

/// The id under which an event with the id `own` is kept when the ids of the attempts before belong to other events:
/// at first its own, then with 16 digits of its digest, then with all 64, and then with all of them once more each
/// time.
#[must_use]
pub fn conflict_id(own: &str, digest: &ContentDigest, attempt: usize) -> String {
    let digits = digest.to_string();
    match attempt {
        0 => own.to_owned(),
        1 => {
            let short = digits.get(..SHORT_DIGITS).unwrap_or_default();
            format!("{own}~{short}")
        }
        more => format!("{own}{}", format!("~{digits}").repeat(more - 1)),
    }
}

/// The id that the producer gave an event which comes with one that [`conflict_id`] has made of it, as an exported event
/// does. Under its own id it is found to be stored, whether or not the other event still has that id.
pub(crate) fn given_own_id(event: &Event) -> Option<String> {
    let (mut own, digits) = split(event.id())?;
    let is_made_of = |sent| {
        ContentDigest::of_event(event, sent)
            .to_string()
            .starts_with(digits)
    };
    if !is_made_of(Sent::Fields) && !is_made_of(Sent::Record) {
        return None;
    }
    while let Some((shorter, others)) = split(own)
        && others == digits
    {
        own = shorter;
    }
    Some(own.to_owned())
}

/// Whether an id has the form of those that [`conflict_id`] makes.
pub(crate) fn may_be_made(id: &str) -> bool {
    split(id).is_some()
}

/// The id without the digits of a digest at its end, and these.
fn split(id: &str) -> Option<(&str, &str)> {
    let (own, digits) = id.rsplit_once('~')?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_digest =
        matches!(digits.len(), SHORT_DIGITS | ALL_DIGITS) && digits.bytes().all(is_digit);
    (is_digest && !own.is_empty()).then_some((own, digits))
}

/// The id that the producer gave the event in a row of a batch.
#[must_use]
pub fn own_id(batch: &RecordBatch, row: usize) -> Option<&str> {
    let value = |name: &str| {
        let column = batch.column_by_name(name)?;
        column.is_valid(row).then(|| text(column, row))?
    };
    value(CONFLICT).or_else(|| value(EVENT_ID))
}

/// The batch with other ids for some rows: one for each row, its own or one that [`conflict_id`] has made; `None` where
/// the id stays.
///
/// # Errors
/// When the batch lacks a column, or has ids of another type than text.
pub fn with_ids(batch: &RecordBatch, ids: &[Option<String>]) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let id_column = schema.index_of(EVENT_ID)?;
    let conflict_column = schema.index_of(CONFLICT)?;
    let rows = ids.iter().enumerate();
    let new: StringArray = rows
        .clone()
        .map(|(row, id)| id.as_deref().or_else(|| valid_text(batch, id_column, row)))
        .collect();
    let own: StringArray = rows
        .map(|(row, id)| match id {
            Some(id) => own_id(batch, row).filter(|own| own != id),
            None => valid_text(batch, conflict_column, row),
        })
        .collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    for (column, values) in [(id_column, new), (conflict_column, own)] {
        let values: ArrayRef = Arc::new(values);
        columns[column] = cast(&values, schema.field(column).data_type())?;
    }
    RecordBatch::try_new(schema, columns)
}

fn valid_text(batch: &RecordBatch, column: usize, row: usize) -> Option<&str> {
    let values = batch.column(column);
    values.is_valid(row).then(|| text(values, row))?
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use serde_json::json;

    use super::*;
    use crate::batch::EventBatchBuilder;
    use crate::content::{Content, Sent};
    use crate::event::{Defaults, Event};
    use crate::packed::{PackedBatchBuilder, PackedEvents};

    fn event(id: &str) -> Event {
        let record = json!({"date": 1, "df_workspace": "w", "df_event_id": id});
        let record = record.as_object().unwrap().clone();
        Event::from_json_identified_by_content(record, &Defaults::default()).unwrap()
    }

    #[test]
    fn each_attempt_is_another_id() {
        let digest = ContentDigest::of_event(&event("1"), Sent::Fields);
        let digits = digest.to_string();
        let ids = [0, 1, 2, 3].map(|attempt| conflict_id("1", &digest, attempt));
        let expected = [
            "1".to_owned(),
            format!("1~{}", &digits[..16]),
            format!("1~{digits}"),
            format!("1~{digits}~{digits}"),
        ];
        assert_eq!(ids, expected);
    }

    /// What was exported under an id that was made of it has its own id again; others keep theirs.
    #[test]
    fn an_event_that_comes_with_a_made_id_has_its_own_again() {
        let read = |id: &str| {
            let record = json!({"date": 1, "df_workspace": "w", "df_event_id": id, "x": 1, "vouch_conflict": "1"});
            let record = record.as_object().unwrap().clone();
            Event::from_json(record, &Defaults::default(), || unreachable!()).unwrap()
        };
        let event = read("1");
        for sent in [Sent::Fields, Sent::Record] {
            let digest = ContentDigest::of_event(&event, sent);
            for attempt in 0..4 {
                assert_eq!(read(&conflict_id("1", &digest, attempt)), event);
            }
        }
        let digits = ContentDigest::of_event(&event, Sent::Fields).to_string();
        let other = digits.replace(|digit| digit != '0', "0");
        for id in [
            "1~".to_owned() + &other[..16],
            "1~".to_owned() + &digits[..15],
            format!("~{digits}"),
        ] {
            assert_eq!(read(&id).id(), id);
        }
    }

    /// A row and a packed event are renamed alike, keep their content, and remember their own id.
    #[test]
    fn a_renamed_event_keeps_its_own_id() {
        let mut batch = EventBatchBuilder::new();
        let mut packed = PackedEvents::default();
        for id in ["1", "2"] {
            batch.append(&event(id));
            packed.push(&event(id));
        }
        let batch = batch.finish().unwrap();
        let new = with_ids(&batch, &[None, Some("2~a".to_owned())]).unwrap();
        let again = with_ids(&new, &[None, Some("2~ab".to_owned())]).unwrap();
        let ids = |batch: &RecordBatch| {
            [0, 1].map(|row| {
                let ids = batch[EVENT_ID].as_string::<i32>();
                format!("{} {}", ids.value(row), own_id(batch, row).unwrap())
            })
        };
        assert_eq!(ids(&new), ["1 1", "2~a 2"]);
        assert_eq!(ids(&again), ["1 1", "2~ab 2"]);
        let first = with_ids(&again, &[None, Some("2".to_owned())]).unwrap();
        assert_eq!(first, batch);
        assert_eq!(
            Content::of_row(&new, 1, None),
            Content::of_row(&batch, 1, None)
        );

        let mut renamed = PackedEvents::default();
        let events: Vec<_> = packed.iter().collect();
        renamed.push_under(events[1], "2~a");
        let mut twice = PackedEvents::default();
        twice.push_under(renamed.iter().next().unwrap(), "2~ab");
        let mut rows = PackedBatchBuilder::new();
        rows.append(events[0]);
        rows.append(twice.iter().next().unwrap());
        assert_eq!(rows.finish().unwrap(), again);
        assert_eq!(
            Content::of_packed(events[1], None),
            Content::of_row(&batch, 1, None)
        );
    }
}
