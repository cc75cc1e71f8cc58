//! Drops and holds, as the audit events tell them that their commits have left in data files.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, NaiveDate};
use events::{Origin, TimeRange, fields};
use serde_json::Value;

use crate::hold::{HeldEvents, Hold};
use crate::paths;
use crate::snapshot::DataFile;

/// A retention run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drop {
    /// The first day that it has not dropped.
    pub(super) kept_from: NaiveDate,
    /// When it was, Unix milliseconds.
    pub(super) at_ms: i64,
}

impl Drop {
    /// Whether the run has dropped what a file of `day` had, that was begun at `begun_ms`, unless a hold kept it.
    pub(super) fn covers(&self, day: NaiveDate, begun_ms: i64) -> bool {
        day < self.kept_from && begun_ms <= self.at_ms
    }

    pub(super) fn covers_file(&self, file: &DataFile) -> bool {
        self.covers(file.day, file.modified.timestamp_millis())
    }
}

/// What audit events tell.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) drops: Vec<Drop>,
    pub(super) holds: Vec<Hold>,
}

impl Recorded {
    /// Takes the audit events of Vouch among some rows.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        let text = |name: &str| {
            let column = batch.column_by_name(name)?;
            column.as_string_opt::<i32>().cloned()
        };
        let (Some(actions), Some(products), Some(origins), Some(attributes)) = (
            text("action"),
            text("product"),
            text("df_origin"),
            text(fields::ATTRIBUTES),
        ) else {
            return;
        };
        let dates = batch.column_by_name(fields::DATE);
        let Some(dates) = dates.and_then(|dates| dates.as_primitive_opt::<Int64Type>()) else {
            return;
        };
        let doors = text(fields::DOOR);
        for row in 0..batch.num_rows() {
            // Events of version 0.1.0 do not have one.
            let door = doors.as_ref().filter(|doors| doors.is_valid(row));
            let is_own = door.is_none_or(|doors| doors.value(row) == Origin::ITSELF)
                && products.is_valid(row)
                && products.value(row) == "vouch"
                && origins.is_valid(row)
                && origins.value(row) == "inner";
            if !is_own || !actions.is_valid(row) || !attributes.is_valid(row) {
                continue;
            }
            let Ok(attributes) = serde_json::from_str::<Value>(attributes.value(row)) else {
                continue;
            };
            match actions.value(row) {
                "retention.expired" => {
                    let kept_from = attributes["kept_from"].as_str();
                    self.drops
                        .extend(kept_from.and_then(paths::parse_day).map(|kept_from| Drop {
                            kept_from,
                            at_ms: dates.value(row),
                        }));
                }
                "hold.placed" => self.holds.extend(hold(&attributes["hold"])),
                _ => {}
            }
        }
    }
}

/// A hold as its audit event has it.
fn hold(told: &Value) -> Option<Hold> {
    let text = |name: &str| told[name].as_str().map(str::to_owned);
    let bound = |name: &str, open: i64| told[name].as_i64().unwrap_or(open);
    let range = TimeRange::new(
        bound("from_ms", TimeRange::ALL.from_ms),
        bound("to_ms", TimeRange::ALL.to_ms),
    );
    Some(Hold {
        name: text("name")?,
        reason: text("reason")?,
        placed_by: text("placed_by")?,
        placed_at: DateTime::from_timestamp_millis(told["placed_at"].as_i64()?)?,
        events: HeldEvents {
            range: range.ok()?,
            user: text("user"),
        },
    })
}
