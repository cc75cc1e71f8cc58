//! The types a DQL expression can have, and a bound expression with its type.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;

use crate::bound::Attribute;

/// The type of a DQL value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Only ever missing.
    Null,
    /// `true` or `false`.
    Bool,
    /// A 64-bit integer; times are Unix milliseconds.
    Int,
    /// A 64-bit float.
    Float,
    /// Text.
    String,
    /// Text that holds one JSON value: an attribute, whose type may differ from event to event.
    Json,
}

impl Type {
    /// Whether the value takes part in arithmetic as it is.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }

    /// The name of the type in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::String => "text",
            Self::Json => "an attribute",
        }
    }

    /// The Arrow type of a column that leaves the engine.
    pub fn exported(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Null | Self::String | Self::Json => DataType::Utf8,
        }
    }

    /// The Arrow type of a column of a plan.
    pub fn planned(self) -> DataType {
        match self {
            Self::Null => DataType::Null,
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::String | Self::Json => DataType::Utf8View,
        }
    }
}

/// A bound expression: what it computes, and the type of what comes out.
#[derive(Debug, Clone)]
pub struct Typed {
    /// The DataFusion expression.
    pub expr: Expr,
    /// Its type.
    pub value_type: Type,
    /// The attribute that the value is, if it is one.
    pub attribute: Option<Arc<Attribute>>,
}

impl Typed {
    /// An expression of a type.
    pub fn new(expr: Expr, value_type: Type) -> Self {
        Self {
            expr,
            value_type,
            attribute: None,
        }
    }
}
