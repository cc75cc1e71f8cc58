//! One validated event.

use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::conflict;
use crate::fields::{
    self, ATTRIBUTES_COLUMN, DATE_COLUMN, EVENT_ID_COLUMN, FIELDS, Field, FieldType, RECORDED,
    SetBy, WORKSPACE_COLUMN,
};
use crate::identity::{canonical_json, derived_id};
use crate::read::{NotUnique, parse_unique};
use crate::rejection::{Rejection, RejectionCode, excerpt};
use crate::time::{check_date, day_of, parse_timestamp};
use crate::workspace::WorkspaceId;

/// What the door that an event came through knows about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults<'a> {
    /// The workspace of events that name none; events that name another are refused.
    pub workspace: Option<&'a WorkspaceId>,
}

/// A value of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// Of a column of type [`FieldType::Int`].
    Int(i64),
    /// Of a column of type [`FieldType::String`] or [`FieldType::Json`].
    Text(&'a str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Int(i64),
    Text(String),
}

/// An event that may be stored: it has a date within the years 1 to 9999, an id and a workspace, and
/// every value has its column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    date_ms: i64,
    id: String,
    workspace: WorkspaceId,
    /// One a column; null where a member above holds the value.
    cells: Box<[Option<Cell>]>,
}

impl Event {
    /// The event that a JSON object in Vouch's field names describes.
    ///
    /// `derive_id` gives the id of an event that has none; it is called at most once.
    ///
    /// # Errors
    /// The [`Rejection`] of the first rule that the record breaks.
    pub fn from_json(
        record: Map<String, Value>,
        defaults: &Defaults<'_>,
        derive_id: impl FnOnce() -> Result<String, Rejection>,
    ) -> Result<Self, Rejection> {
        Draft::read(record, defaults)?.finish(|_| derive_id())
    }

    /// Like [`Event::from_json`], with the id of an event that has none derived from what the event
    /// says: the same content gives the same id, however its JSON is written.
    ///
    /// # Errors
    /// The [`Rejection`] of the first rule that the record breaks.
    pub fn from_json_identified_by_content(
        record: Map<String, Value>,
        defaults: &Defaults<'_>,
    ) -> Result<Self, Rejection> {
        Self::from_json_identified_by(record, defaults, |content_id| content_id)
    }

    /// Like [`Event::from_json`], with the id of an event that has none made from the one that
    /// [`Event::from_json_identified_by_content`] would give it.
    ///
    /// # Errors
    /// The [`Rejection`] of the first rule that the record breaks.
    pub fn from_json_identified_by(
        record: Map<String, Value>,
        defaults: &Defaults<'_>,
        derive_id: impl FnOnce(String) -> String,
    ) -> Result<Self, Rejection> {
        Draft::read(record, defaults)?.finish(|draft| Ok(derive_id(draft.content_id())))
    }

    /// When it happened, Unix ms.
    pub fn date_ms(&self) -> i64 {
        self.date_ms
    }

    /// The UTC day on which it happened.
    pub fn day(&self) -> NaiveDate {
        day_of(self.date_ms)
    }

    /// The workspace that it belongs to.
    pub fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// Its `df_event_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its value in a column, by position in [`FIELDS`]; `None` is null.
    pub fn value(&self, column: usize) -> Option<ValueRef<'_>> {
        match column {
            DATE_COLUMN => Some(ValueRef::Int(self.date_ms)),
            EVENT_ID_COLUMN => Some(ValueRef::Text(&self.id)),
            WORKSPACE_COLUMN => Some(ValueRef::Text(self.workspace.as_str())),
            _ => self.cells.get(column)?.as_ref().map(|cell| match cell {
                Cell::Int(number) => ValueRef::Int(*number),
                Cell::Text(text) => ValueRef::Text(text),
            }),
        }
    }

    /// About how many bytes of memory the event takes, with what is the same for every event.
    pub fn memory_bytes(&self) -> usize {
        const ALLOCATION_BYTES: usize = 16;
        let allocated = |text: &String| ALLOCATION_BYTES + text.capacity();
        let texts = self.cells.iter().flatten().map(|cell| match cell {
            Cell::Int(_) => 0,
            Cell::Text(text) => allocated(text),
        });
        size_of::<Self>()
            + 2 * ALLOCATION_BYTES
            + size_of_val(&*self.cells)
            + self.workspace.as_str().len()
            + allocated(&self.id)
            + texts.sum::<usize>()
    }

    /// How many bytes its values have. An event in memory takes more, see [`Self::memory_bytes`].
    pub fn size_bytes(&self) -> usize {
        let cells = self.cells.iter().flatten().map(|cell| match cell {
            Cell::Int(_) => size_of::<i64>(),
            Cell::Text(text) => text.len(),
        });
        size_of::<i64>() + self.id.len() + self.workspace.as_str().len() + cells.sum::<usize>()
    }
}

/// An event whose id is still open.
struct Draft {
    date_ms: i64,
    id: Option<String>,
    workspace: WorkspaceId,
    cells: Box<[Option<Cell>]>,
}

impl Draft {
    fn read(record: Map<String, Value>, defaults: &Defaults<'_>) -> Result<Self, Rejection> {
        let mut cells = vec![None; FIELDS.len()].into_boxed_slice();
        let mut given_attributes = None;
        let mut unlisted = Map::new();
        let mut recorded = Map::new();
        for (key, value) in record {
            match fields::column(&key) {
                _ if fields::is_of_vouch(&key) => {
                    if !value.is_null() {
                        recorded.insert(key, value);
                    }
                }
                None => {
                    unlisted.insert(key, value);
                }
                Some(_) if value.is_null() => {}
                Some(column) if FIELDS[column].field_type == FieldType::Json => {
                    given_attributes = Some(value);
                }
                Some(column) => {
                    let cell = cell(&FIELDS[column], &key, value)?;
                    set(&mut cells[column], cell, &FIELDS[column])?;
                }
            }
        }
        let mut attributes = merge_attributes(given_attributes, unlisted)?;
        record_values(&mut attributes, recorded)?;
        if !attributes.is_empty() {
            let text = Value::Object(attributes).to_string();
            cells[ATTRIBUTES_COLUMN] = Some(Cell::Text(text));
        }
        for (cell, field) in cells.iter_mut().zip(&FIELDS) {
            if let (None, fields::Absence::Default(value)) = (&cell, field.absence) {
                *cell = Some(Cell::Text(value.to_owned()));
            }
        }
        Ok(Self {
            date_ms: take_date(&mut cells)?,
            id: take_text(&mut cells[EVENT_ID_COLUMN]),
            workspace: workspace(take_text(&mut cells[WORKSPACE_COLUMN]), defaults)?,
            cells,
        })
    }

    fn finish(
        mut self,
        derive_id: impl FnOnce(&Self) -> Result<String, Rejection>,
    ) -> Result<Event, Rejection> {
        let id = match self.id.take() {
            Some(id) => id,
            None => derive_id(&self)?,
        };
        let mut event = Event {
            date_ms: self.date_ms,
            id,
            workspace: self.workspace,
            cells: self.cells,
        };
        if let Some(own) = conflict::given_own_id(&event) {
            event.id = own;
        }
        Ok(event)
    }

    /// The id from the canonical form of everything else.
    fn content_id(&self) -> String {
        let mut content = Map::new();
        content.insert(fields::DATE.to_owned(), Value::from(self.date_ms));
        content.insert(
            fields::WORKSPACE.to_owned(),
            Value::from(self.workspace.as_str()),
        );
        let cells = FIELDS.iter().zip(&self.cells);
        for (field, cell) in cells.filter(|(field, _)| field.set_by == SetBy::Producer) {
            let value = match cell {
                None => continue,
                Some(Cell::Int(number)) => Value::from(*number),
                // The attributes' own key order must not matter either.
                Some(Cell::Text(text)) if field.field_type == FieldType::Json => {
                    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
                }
                Some(Cell::Text(text)) => Value::from(text.as_str()),
            };
            content.insert(field.name.to_owned(), value);
        }
        derived_id(&[
            b"content",
            canonical_json(&Value::Object(content)).as_bytes(),
        ])
    }
}

fn take_date(cells: &mut [Option<Cell>]) -> Result<i64, Rejection> {
    match cells[DATE_COLUMN].take() {
        Some(Cell::Int(date_ms)) => Ok(date_ms),
        _ => Err(Rejection::new(
            RejectionCode::MissingDate,
            "the event has no date: give `date` as Unix milliseconds or as an RFC 3339 text",
        )),
    }
}

/// The text of a column that lives outside the cells. An empty id or workspace names nothing, so it
/// counts as missing: kept, it would make one event of all that lack an id.
fn take_text(cell: &mut Option<Cell>) -> Option<String> {
    match cell.take() {
        Some(Cell::Text(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn workspace(named: Option<String>, defaults: &Defaults<'_>) -> Result<WorkspaceId, Rejection> {
    let Some(named) = named else {
        return defaults.workspace.cloned().ok_or_else(|| {
            Rejection::new(
                RejectionCode::MissingWorkspace,
                "the event names no workspace: give `df_workspace` in the event, or a workspace with the import or request",
            )
        });
    };
    let named = WorkspaceId::try_from(named)
        .map_err(|error| Rejection::new(RejectionCode::InvalidWorkspace, error.to_string()))?;
    match defaults.workspace {
        Some(given) if *given != named => Err(Rejection::new(
            RejectionCode::WorkspaceContradiction,
            format!("the event belongs to workspace `{named}`, not to the given `{given}`"),
        )),
        _ => Ok(named),
    }
}

/// Fills a cell, unless another name of the same field filled it with something else.
fn set(slot: &mut Option<Cell>, cell: Cell, field: &Field) -> Result<(), Rejection> {
    if slot.as_ref().is_some_and(|earlier| *earlier != cell) {
        let names: Vec<&str> = std::iter::once(field.name)
            .chain(field.aliases.iter().copied())
            .collect();
        return Err(Rejection::new(
            RejectionCode::ConflictingFields,
            format!(
                "`{}` name the same field and must have the same value",
                names.join("` and `")
            ),
        ));
    }
    *slot = Some(cell);
    Ok(())
}

fn cell(field: &Field, key: &str, value: Value) -> Result<Cell, Rejection> {
    match field.field_type {
        FieldType::Int if field.name == fields::DATE => date(key, &value).map(Cell::Int),
        FieldType::Int => integer(&value).map(Cell::Int).ok_or_else(|| {
            Rejection::new(
                RejectionCode::InvalidType,
                format!(
                    "`{key}` must be a whole number, not {}",
                    excerpt(&value.to_string())
                ),
            )
        }),
        FieldType::String | FieldType::Json => Ok(Cell::Text(match value {
            Value::String(text) => text,
            other => other.to_string(),
        })),
    }
}

fn date(key: &str, value: &Value) -> Result<i64, Rejection> {
    let invalid = |message: String| {
        Rejection::new(
            RejectionCode::InvalidDate,
            format!("`{key}` cannot be used: {message}"),
        )
    };
    match (integer(value), value) {
        (Some(date_ms), _) => check_date(date_ms).map_err(|error| invalid(error.to_string())),
        (None, Value::String(text)) => {
            parse_timestamp(text).map_err(|error| invalid(error.to_string()))
        }
        (None, other) => Err(invalid(format!(
            "{} is neither Unix milliseconds nor an RFC 3339 text",
            excerpt(&other.to_string())
        ))),
    }
}

/// A whole number, as a JSON number or as its plain decimal text.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => integer_in(text),
        _ => None,
    }
}

/// The whole number that a text is the plain decimal form of.
pub(crate) fn integer_in(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A float that stands for exactly one integer.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Keeps what a producer gave under the names of fields that Vouch sets.
fn record_values(
    attributes: &mut Map<String, Value>,
    values: Map<String, Value>,
) -> Result<(), Rejection> {
    let Some(first) = values.keys().next().cloned() else {
        return Ok(());
    };
    let recorded = attributes
        .entry(RECORDED)
        .or_insert_with(|| Value::Object(Map::new()));
    let conflict = match recorded {
        Value::Object(recorded) => merge(recorded, values).err(),
        _ => Some(first),
    };
    match conflict {
        None => Ok(()),
        Some(key) => Err(Rejection::new(
            RejectionCode::AttributesConflict,
            format!(
                "Vouch sets `{key}`, so that a given one is kept in `attributes.{RECORDED}`, which has another value for it"
            ),
        )),
    }
}

fn merge_attributes(
    given: Option<Value>,
    unlisted: Map<String, Value>,
) -> Result<Map<String, Value>, Rejection> {
    let mut attributes = match given {
        None => return Ok(unlisted),
        Some(Value::Object(object)) => object,
        Some(Value::String(text)) => match parse_unique(text.as_bytes()) {
            Ok(Value::Object(object)) => object,
            Err(NotUnique::Duplicate(rejection)) => return Err(rejection),
            _ => return Err(invalid_attributes(&Value::String(text))),
        },
        Some(other) => return Err(invalid_attributes(&other)),
    };
    match merge(&mut attributes, unlisted) {
        Ok(()) => Ok(attributes),
        Err(key) => Err(Rejection::new(
            RejectionCode::AttributesConflict,
            format!("`{key}` stands in the event and in its `attributes`, with different values"),
        )),
    }
}

fn invalid_attributes(value: &Value) -> Rejection {
    let message = format!(
        "`attributes` must be a JSON object, not {}",
        excerpt(&value.to_string())
    );
    Rejection::new(RejectionCode::InvalidAttributes, message)
}

/// Adds the entries; the key of the first that is there with another value is the error.
pub(crate) fn merge(
    target: &mut Map<String, Value>,
    added: Map<String, Value>,
) -> Result<(), String> {
    for (key, value) in added {
        match target.get(&key) {
            Some(present) if *present != value => return Err(key),
            Some(_) => {}
            None => {
                target.insert(key, value);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
