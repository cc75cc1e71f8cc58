//! Holds as the JSON text in the properties of a table.

use chrono::DateTime;
use events::TimeRange;
use events::settings::{HeldEvents, Hold};
use serde_json::{Map, Value, json};

/// The members of a hold. One that is not known means something that this version would miss.
const MEMBERS: [&str; 7] = [
    "name", "reason", "placedBy", "placedAt", "from", "to", "user",
];

/// The text for `holds`.
pub(super) fn text(holds: &[Hold]) -> String {
    Value::from_iter(holds.iter().map(to_json)).to_string()
}

/// The holds of a text; the error says what is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Hold>, String> {
    let holds: Vec<Map<String, Value>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    holds.iter().map(from_json).collect()
}

fn to_json(hold: &Hold) -> Value {
    let range = &hold.events.range;
    let mut json = json!({
        "name": hold.name,
        "reason": hold.reason,
        "placedBy": hold.placed_by,
        "placedAt": hold.placed_at.timestamp_millis(),
    });
    if range.from_ms != TimeRange::ALL.from_ms {
        json["from"] = json!(range.from_ms);
    }
    if range.to_ms != TimeRange::ALL.to_ms {
        json["to"] = json!(range.to_ms);
    }
    if let Some(user) = &hold.events.user {
        json["user"] = json!(user);
    }
    json
}

fn from_json(json: &Map<String, Value>) -> Result<Hold, String> {
    if let Some(unknown) = json.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
        return Err(format!("a hold has the unknown member `{unknown}`"));
    }
    let wrong = |member: &str| format!("a hold has no valid `{member}`");
    let text = |member: &str| {
        let value = json.get(member).and_then(Value::as_str);
        value.map(str::to_owned).ok_or_else(|| wrong(member))
    };
    let number = |member: &str| match json.get(member) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong(member)),
    };
    let placed_at = number("placedAt")?.and_then(DateTime::from_timestamp_millis);
    let range = TimeRange::new(
        number("from")?.unwrap_or(TimeRange::ALL.from_ms),
        number("to")?.unwrap_or(TimeRange::ALL.to_ms),
    );
    Ok(Hold {
        name: text("name")?,
        reason: text("reason")?,
        placed_by: text("placedBy")?,
        placed_at: placed_at.ok_or_else(|| wrong("placedAt"))?,
        events: HeldEvents {
            range: range.map_err(|error| error.to_string())?,
            user: json
                .contains_key("user")
                .then(|| text("user"))
                .transpose()?,
        },
    })
}
