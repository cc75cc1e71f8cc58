//! Cursors in the order of an answer.

use serde_json::Value;

use super::{MessageError, value};
use crate::{Cursor, proto};

/// A cursor as a message. A time and two texts at its end are those of an event.
pub(super) fn cursor_to_message(cursor: Cursor) -> proto::Position {
    let mut values = cursor.values;
    let mut message = proto::Position::default();
    if let [
        ..,
        Value::Number(date),
        Value::String(event_id),
        Value::String(workspace),
    ] = values.as_slice()
        && let Some(date_ms) = date.as_i64()
        && !workspace.is_empty()
    {
        message.date_ms = date_ms;
        message.event_id = event_id.clone();
        message.workspace = workspace.clone();
        values.truncate(values.len() - 3);
    }
    message.order = values.into_iter().map(value::to_message).collect();
    message
}

/// The cursor of a message.
pub(super) fn cursor_from_message(message: proto::Position) -> Result<Cursor, MessageError> {
    let order: Result<Vec<Value>, _> = message.order.into_iter().map(value::from_message).collect();
    let mut values = order?;
    if !message.workspace.is_empty() {
        values.push(Value::from(message.date_ms));
        values.push(Value::from(message.event_id));
        values.push(Value::from(message.workspace));
    }
    Ok(Cursor { values })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_comes_back() {
        for place in [
            json!([]),
            json!([1_795_161_600_000_i64, "b09", "beta"]),
            json!(["0.1", null, true, 5, "e", "acme"]),
            json!([3, "", ""]),
            json!([null]),
            json!(["a", 5, "e", "acme", "b"]),
        ] {
            let values = place.as_array().unwrap().clone();
            let cursor = Cursor { values };
            let message = cursor_to_message(cursor.clone());
            assert_eq!(cursor_from_message(message).unwrap(), cursor);
        }
    }

    #[test]
    fn the_place_of_an_event_has_fields_of_its_own() {
        let values = vec![json!("error"), json!(5), json!("e"), json!("acme")];
        let message = cursor_to_message(Cursor { values });
        assert_eq!((message.date_ms, message.event_id.as_str()), (5, "e"));
        assert_eq!(message.order.len(), 1);
    }
}
