#![doc = include_str!("../README.md")]

mod charged;
mod literals;
mod log_template;
mod notes;
mod options;
mod patterns;
mod query_string;
mod registry;
mod resources;
mod text_match;
mod text_result;

pub mod bucket;
pub mod concat;
pub mod drain;
pub mod finite;
pub mod float_text;
pub mod json;
pub mod json_array;
pub mod json_elements;
pub mod json_keys;
pub mod json_set;
pub mod mode;
pub mod moving_average;
pub mod number_summary;
pub mod percentile;
pub mod pinned;
pub mod points;
pub mod regexp_extract;
pub mod regexp_replace;
pub mod regression;
pub mod step_start;
pub mod whole_number;

pub use charged::with_charged_texts;
pub use notes::{NoteId, NoteMetrics, innermost_note};
pub use options::FunctionOptions;
pub use registry::register_all;
pub use resources::{
    EXPRESSION_PARTS, PATTERN_BYTES, PATTERNS, PATTERNS_BYTES, PatternError, Resources,
};
pub use text_match::TextTest;
