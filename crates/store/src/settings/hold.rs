//! Legal holds: which events must not be dropped, and why.

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use events::fields;
use events::settings::{HeldEvents, NewHold};

use crate::settings::error::SettingsError;

mod user;

use user::User;

/// The columns that may name the user whom a hold is about.
pub(crate) const USER_COLUMNS: [&str; 3] = ["df_user_id", "df_user_name", "df_user_email"];

const MAX_NAME_CHARACTERS: usize = 128;
const MAX_REASON_CHARACTERS: usize = 4_096;
const MAX_USER_CHARACTERS: usize = 1_024;

/// Which rows of `batch` are held. A row without a date counts as within any range.
///
/// The batch has `date` and [`USER_COLUMNS`], as far as its file has them; the error is the name of
/// a column of another type than events have.
pub(crate) fn rows_of(
    held: &HeldEvents,
    batch: &RecordBatch,
) -> Result<BooleanArray, &'static str> {
    let dates: Option<&Int64Array> = match batch.column_by_name(fields::DATE) {
        Some(column) => Some(column.as_primitive_opt::<Int64Type>().ok_or(fields::DATE)?),
        None => None,
    };
    let users = users(batch)?;
    let wanted = held.user.as_deref().map(User::new);
    let row = |row: usize| {
        let date = dates.filter(|dates| dates.is_valid(row));
        let in_range = date.is_none_or(|dates| held.range.contains(dates.value(row)));
        let is_user = |wanted: &User| {
            users
                .iter()
                .any(|column| column.is_valid(row) && wanted.is(column.value(row)))
        };
        Some(in_range && wanted.as_ref().is_none_or(is_user))
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

fn users(batch: &RecordBatch) -> Result<Vec<&StringArray>, &'static str> {
    let mut columns = Vec::new();
    for name in USER_COLUMNS {
        if let Some(column) = batch.column_by_name(name) {
            columns.push(column.as_string_opt::<i32>().ok_or(name)?);
        }
    }
    Ok(columns)
}

/// Checks that a hold may be placed at all.
pub(crate) fn check_new(hold: &NewHold) -> Result<(), SettingsError> {
    check_text("name", &hold.name, MAX_NAME_CHARACTERS)?;
    check_text("reason", &hold.reason, MAX_REASON_CHARACTERS)?;
    check_text("placed_by", &hold.placed_by, MAX_NAME_CHARACTERS)?;
    if let Some(user) = &hold.events.user {
        check_text("user", user, MAX_USER_CHARACTERS)?;
    }
    if hold.events.range.is_empty() {
        return Err(SettingsError::Invalid {
            setting: "range",
            reason: "no time lies within the range; let it end after it begins".to_owned(),
        });
    }
    Ok(())
}

/// Refuses a text that says nothing, is too long, or has characters that cannot be seen.
pub(crate) fn check_text(
    setting: &'static str,
    text: &str,
    most: usize,
) -> Result<(), SettingsError> {
    let reason = if text.trim().is_empty() {
        "it is empty; give one".to_owned()
    } else if text.chars().nth(most).is_some() {
        format!("it is too long; give at most {most} characters")
    } else if text.chars().any(char::is_control) {
        "it holds control characters; leave them out".to_owned()
    } else {
        return Ok(());
    };
    Err(SettingsError::Invalid { setting, reason })
}

/// Checks the name of an actor.
pub(crate) fn check_actor(by: &str) -> Result<(), SettingsError> {
    check_text("by", by, MAX_NAME_CHARACTERS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use events::TimeRange;

    use super::*;

    fn held(from_ms: i64, to_ms: i64, user: Option<&str>) -> HeldEvents {
        HeldEvents {
            range: TimeRange::new(from_ms, to_ms).unwrap(),
            user: user.map(str::to_owned),
        }
    }

    fn batch() -> RecordBatch {
        let dates: Int64Array = [Some(0), Some(5), None, Some(9)].into_iter().collect();
        let names: StringArray = [Some("Zoë"), None, Some("zoË"), Some("Amara")]
            .into_iter()
            .collect();
        let emails: StringArray = [None, Some("ZOË"), None, Some("a@acme.example")]
            .into_iter()
            .collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("date", Arc::new(dates)),
            ("df_user_name", Arc::new(names)),
            ("df_user_email", Arc::new(emails)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn rows(held: &HeldEvents) -> Vec<usize> {
        let rows = rows_of(held, &batch()).unwrap();
        (0..4).filter(|row| rows.value(*row)).collect()
    }

    #[test]
    fn rows_are_held_by_date_and_user() {
        assert_eq!(rows(&HeldEvents::all()), [0, 1, 2, 3]);
        assert_eq!(rows(&held(5, 9, None)), [1, 2]);
        assert_eq!(rows(&held(5, 10, Some("zoë"))), [1, 2]);
        assert_eq!(rows(&held(0, 10, Some("A@ACME.example"))), [3]);
        assert_eq!(rows(&held(0, 10, Some("Zo"))), [0; 0]);
    }

    #[test]
    fn a_column_of_another_type_is_told() {
        let columns: [(&str, ArrayRef); 1] = [("df_user_id", Arc::new(Int64Array::from(vec![1])))];
        let other = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(rows_of(&HeldEvents::all(), &other), Err("df_user_id"));
    }

    #[test]
    fn a_hold_says_who_and_why() {
        let good = NewHold {
            name: "case 4711".to_owned(),
            reason: "court order".to_owned(),
            placed_by: "legal".to_owned(),
            events: HeldEvents::all(),
        };
        check_new(&good).unwrap();
        let wrong = [
            NewHold {
                name: " ".to_owned(),
                ..good.clone()
            },
            NewHold {
                name: "x".repeat(129),
                ..good.clone()
            },
            NewHold {
                reason: String::new(),
                ..good.clone()
            },
            NewHold {
                placed_by: "a\nb".to_owned(),
                ..good.clone()
            },
            NewHold {
                events: held(5, 5, None),
                ..good.clone()
            },
            NewHold {
                events: held(5, 6, Some("")),
                ..good.clone()
            },
        ];
        for hold in wrong {
            let error = check_new(&hold).unwrap_err();
            assert!(matches!(error, SettingsError::Invalid { .. }), "{error}");
        }
    }
}
