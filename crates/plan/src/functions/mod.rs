//! The functions DataFusion does not have: JSON paths, text search, exact percentiles, time steps, functions
//! of points.

pub(crate) mod bucket;
pub(crate) mod concat;
pub(crate) mod drain;
pub(crate) mod finite;
pub(crate) mod float_text;
pub(crate) mod json;
pub(crate) mod json_array;
pub(crate) mod json_elements;
pub(crate) mod json_keys;
pub(crate) mod json_set;
pub(crate) mod log_template;
pub(crate) mod mode;
pub(crate) mod moving_average;
pub(crate) mod number_summary;
pub(crate) mod percentile;
pub(crate) mod pinned;
pub(crate) mod points;
pub(crate) mod query_string;
pub(crate) mod regexp_extract;
pub(crate) mod regexp_replace;
pub(crate) mod regression;
pub(crate) mod step_start;
pub(crate) mod text_match;
pub(crate) mod text_result;
pub(crate) mod whole_number;
