//! How and when Vouch got an event, in the fields that Vouch sets.

use serde::{Deserialize, Serialize};

use crate::content::Sent;
use crate::event::ValueRef;
use crate::fields::{BATCH, DOOR, RECEIVED, SENDER};

/// What separates the door from the name of a mapping in `vouch_door`.
const MAPPING_SEPARATOR: char = ':';

/// Through which door events come, and from whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Who delivers them: the address of the connection; `None` when that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The door, and the mapping that made events of records: `http`, `import:cloudtrail`; `None` when that is
    /// unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<String>,
    /// What the sender calls the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

/// When and from whom Vouch got some events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delivery {
    /// When they were made durable, Unix ms; `None` when that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_ms: Option<i64>,
    /// From whom, and how.
    #[serde(flatten)]
    pub origin: Origin,
}

impl Origin {
    /// The door of what Vouch itself records.
    pub const ITSELF: &'static str = "vouch";

    /// Where what Vouch itself records comes from.
    #[must_use]
    pub fn itself() -> Self {
        Self {
            door: Some(Self::ITSELF.to_owned()),
            ..Self::default()
        }
    }

    /// The text of `vouch_door`: a door, and the mapping that makes events of the records that come through it.
    #[must_use]
    pub fn door(door: &str, mapping: Option<&str>) -> String {
        match mapping {
            Some(mapping) => format!("{door}{MAPPING_SEPARATOR}{mapping}"),
            None => door.to_owned(),
        }
    }
}

impl Delivery {
    /// The value that a field has of these events; `None` for fields that the delivery does not set.
    #[must_use]
    pub fn value(&self, field: &str) -> Option<ValueRef<'_>> {
        let text = match field {
            RECEIVED => return self.received_ms.map(ValueRef::Int),
            SENDER => &self.origin.sender,
            DOOR => &self.origin.door,
            BATCH => &self.origin.batch,
            _ => return None,
        };
        text.as_deref().map(ValueRef::Text)
    }

    /// In which form the producer sent the events; `None` when that is unknown.
    #[must_use]
    pub fn sent(&self) -> Option<Sent> {
        self.origin.door.as_deref().map(sent_through)
    }
}

/// In which form events came through a door, as `vouch_door` has it.
pub(crate) fn sent_through(door: &str) -> Sent {
    match door {
        Origin::ITSELF => Sent::Itself,
        mapped if mapped.contains(MAPPING_SEPARATOR) => Sent::Record,
        _ => Sent::Fields,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;
    use serde_json::json;

    use super::*;
    use crate::batch::EventBatchBuilder;
    use crate::columns::with_all_columns;
    use crate::event::{Defaults, Event};
    use crate::fields::column;

    fn delivery() -> Delivery {
        Delivery {
            received_ms: Some(7),
            origin: Origin {
                sender: Some("192.0.2.1".to_owned()),
                door: Some(Origin::door("http", Some("okta"))),
                batch: None,
            },
        }
    }

    fn event() -> Event {
        let record = json!({"date": 1, "df_workspace": "w"});
        let record = record.as_object().unwrap().clone();
        Event::from_json_identified_by_content(record, &Defaults::default()).unwrap()
    }

    #[test]
    fn its_form_in_the_log_stays() {
        let text = r#"{"received_ms":7,"sender":"192.0.2.1","door":"http:okta"}"#;
        assert_eq!(serde_json::to_string(&delivery()).unwrap(), text);
        assert_eq!(serde_json::from_str::<Delivery>(text).unwrap(), delivery());
        assert_eq!(delivery().sent(), Some(Sent::Record));
        assert_eq!(sent_through(&Origin::door("grpc", None)), Sent::Fields);
        assert_eq!(Delivery::default().sent(), None);
    }

    /// A delivery sets the same values event by event and in a whole batch.
    #[test]
    fn columns_that_are_set_have_its_values() {
        let mut delivered = EventBatchBuilder::new();
        delivered.append_delivered(&event(), &delivery());
        let mut plain = EventBatchBuilder::new();
        plain.append(&event());
        let all: Vec<usize> = (0..column(RECEIVED).unwrap()).collect();
        let older = plain.finish().unwrap().project(&all).unwrap();
        let filled = with_all_columns(&older, Some(&delivery())).unwrap();
        assert_eq!(filled, delivered.finish().unwrap());
        assert_eq!(with_all_columns(&filled, None).unwrap(), filled);
        assert!(filled[BATCH].is_null(0) && filled[RECEIVED].is_valid(0));
    }
}
