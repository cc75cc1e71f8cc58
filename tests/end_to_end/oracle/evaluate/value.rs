//! The values of DQL, how they convert, and how they sort.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

/// What a value is known to be before any row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Int,
    Float,
    Text,
    Json,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Missing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A value of an attribute, never a JSON null.
    Json(Json),
}

impl Value {
    /// A number that has a place in an answer.
    pub(crate) fn finite(number: f64) -> Self {
        if number.is_finite() {
            // There is one zero.
            Self::Float(number + 0.0)
        } else {
            Self::Missing
        }
    }

    pub(crate) fn of_json(value: Json) -> Self {
        match value {
            Json::Null => Self::Missing,
            other => Self::Json(other),
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        *self == Self::Missing
    }

    /// The value as text; an attribute's text has no quotes.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Missing => None,
            Self::Json(Json::String(text)) | Self::Text(text) => Some(text.clone()),
            other => Some(other.raw()),
        }
    }

    /// The value as a number; text has to be converted in the query.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Json(Json::Number(number)) => number.as_f64(),
            _ => None,
        }
    }

    /// What tells values of one kind apart: for attributes their JSON, so that `1` is not `"1"`.
    pub(crate) fn raw(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => {
                Number::from_f64(*value).map_or_else(String::new, |number| number.to_string())
            }
            Self::Text(text) => text.clone(),
            Self::Json(json) => json.to_string(),
        }
    }

    /// The value as a cell of an answer.
    pub(crate) fn cell(&self) -> Json {
        match self {
            Self::Missing => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::Text(text) => Json::from(text.as_str()),
            Self::Json(json) => json.clone(),
        }
    }

    /// The value as a tag of an answer, which is text.
    pub(crate) fn tag(&self) -> Json {
        self.text().map_or(Json::Null, Json::from)
    }

    /// The ascending order: missing, then what is no number by its text, then numbers.
    pub(crate) fn ascending(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::Missing => 0,
            Self::Json(Json::Number(_)) => 2,
            Self::Json(_) => 1,
            _ => 1,
        };
        rank(self)
            .cmp(&rank(other))
            .then_with(|| self.among_present(other))
    }

    /// The order of groups: numbers, then text, then missing.
    pub(crate) fn as_keys(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::Missing => 2,
            Self::Json(Json::Number(_)) => 0,
            _ => 1,
        };
        rank(self)
            .cmp(&rank(other))
            .then_with(|| self.among_present(other))
    }

    /// The order that settles ties between rows of a sub-query: missing, then by the JSON.
    pub(crate) fn as_tie_break(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Json(left), Self::Json(right)) => left.to_string().cmp(&right.to_string()),
            _ => self.ascending(other),
        }
    }

    fn among_present(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => Ordering::Equal,
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            _ => {
                let numbers = self.number().zip(other.number());
                numbers
                    .map_or(Ordering::Equal, |(left, right)| left.total_cmp(&right))
                    .then_with(|| match numbers {
                        Some(_) if !matches!(self, Self::Json(_)) => Ordering::Equal,
                        _ => self.text().cmp(&other.text()),
                    })
                    .then_with(|| self.raw().cmp(&other.raw()))
            }
        }
    }
}
