//! Drops and holds, as recorded by the audit events of their commits in data files.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, NaiveDate};
use events::settings::{HeldEvents, Hold};
use events::{Delivery, Origin, TimeRange, fields};
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use serde_json::Value;

use crate::delta::audit_event;
use crate::delta::snapshot::DataFile;
use crate::error::StoreError;
use crate::file::reader::FileRef;
use crate::root::location::Location;
use crate::root::paths;

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

/// The columns that an audit event about a drop or a hold is recognized by and read from.
const COLUMNS: [&str; 7] = [
    "action",
    "product",
    "df_origin",
    fields::ATTRIBUTES,
    fields::DATE,
    fields::EVENT_ID,
    fields::DOOR,
];

/// The drops and holds that audit events record.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) drops: Vec<Drop>,
    pub(super) holds: Vec<Hold>,
    /// The ids of the audit events of the table, when its id is known.
    own_ids: HashSet<String>,
}

impl Recorded {
    /// Nothing yet, of the table with the id `table` and versions up to `newest`.
    pub(super) fn of(table: Option<&str>, newest: Option<u64>) -> Self {
        let versions = 0..=newest.unwrap_or_default().saturating_add(1);
        let own_ids = table.into_iter().flat_map(|table| {
            let versions = versions.clone();
            versions.map(|version| audit_event::id_of(table, version))
        });
        Self {
            drops: Vec::new(),
            holds: Vec::new(),
            own_ids: own_ids.collect(),
        }
    }

    /// Takes the audit events of Vouch that a file has.
    pub(super) async fn add_file(
        &mut self,
        location: &Location,
        place: &FileRef,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::parquet(&place.path, error);
        let builder = place.open(location).await?;
        let columns = builder.parquet_schema().columns().iter().enumerate();
        let needed =
            columns.filter(|(_, column)| COLUMNS.contains(&column.path().string().as_str()));
        let needed: Vec<usize> = needed.map(|(index, _)| index).collect();
        let mask = ProjectionMask::leaves(builder.parquet_schema(), needed);
        let mut batches = builder.with_projection(mask).build().map_err(failed)?;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            self.add(&batch, place.delivery.as_deref());
        }
        Ok(())
    }

    /// Takes the audit events of Vouch among some rows, which came by `delivery`, if that is known.
    pub(super) fn add(&mut self, batch: &RecordBatch, delivery: Option<&Delivery>) {
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
        let ids = text(fields::EVENT_ID);
        let has_own_id = |row: usize| {
            let id = ids.as_ref().filter(|ids| ids.is_valid(row));
            id.is_some_and(|ids| self.own_ids.contains(ids.value(row)))
        };
        let is_through_own_door = |row: usize| match &doors {
            Some(doors) if doors.is_valid(row) => doors.value(row) == Origin::ITSELF,
            // The door of imported events is only in the log. Compaction adds the column to events of version 0.1.0.
            Some(_) => delivery.is_none() && has_own_id(row),
            // Version 0.1.0 has written the file.
            None => delivery.is_none(),
        };
        for row in 0..batch.num_rows() {
            let is_own = is_through_own_door(row)
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

#[cfg(test)]
mod tests {
    use events::{Defaults, Event, EventBatchBuilder};

    use super::*;

    /// An audit event without a door counts when its id is one that the table has given, and no log says how it came.
    #[test]
    fn own_ids_stand_for_a_door() {
        let own = audit_event::id_of("table", 7);
        for (id, door, counts) in [
            (own.as_str(), None, true),
            (own.as_str(), Some("import"), false),
            ("other", None, false),
        ] {
            let event = serde_json::json!({
                "df_workspace": "w",
                "date": 5,
                "df_event_id": id,
                "df_origin": "inner",
                "product": "vouch",
                "action": "retention.expired",
                "attributes": {"kept_from": "2026-01-01"},
            });
            let event = event.as_object().unwrap().clone();
            let event = Event::from_json(event, &Defaults::default(), || unreachable!());
            let mut batch = EventBatchBuilder::new();
            batch.append(&event.unwrap());
            let origin = Origin {
                door: door.map(str::to_owned),
                ..Origin::default()
            };
            let delivery = Delivery {
                received_ms: None,
                origin,
            };
            let mut recorded = Recorded::of(Some("table"), Some(9));
            recorded.add(&batch.finish().unwrap(), door.map(|_| &delivery));
            assert_eq!(recorded.drops.len(), usize::from(counts), "{id} {door:?}");
        }
    }
}
