//! The language as meaning: from a syntax tree to a DataFusion plan, in two steps.
//!
//! | step | from | to | module |
//! |---|---|---|---|
//! | [`bind()`] | what was written, and a [`BindContext`] | [`BoundQuery`]: names, types, window and limits settled | `bind`, one file a clause |
//! | [`lower()`] | a [`BoundQuery`] and the plan that reads events | [`Lowered`]: a logical plan and how to read its rows | `lower`, in the order of execution |
//!
//! When a plan is optimised, [`with_charged_texts`] has what its functions make charged to a memory pool.
//!
//! Nothing here reads files, clocks or requests, so planning is tested on plans and values alone.

mod bind;
mod bound;
mod charged;
mod combine;
mod functions;
mod group_limit;
mod lower;
mod occurrence;
mod resources;
mod types;

pub use bind::{
    BindContext, Delivery, Position, SHOW_FUNCTIONS, bind, bind_show, duration_ms, limit_points,
    nearest_field,
};
pub use bound::{
    BoundQuery, BoundShow, BoundSource, Buckets, Column, Computed, Fill, FillMode, Key, Limit,
    Limits, Lowered, Membership, Notes, Page, PageUnit, Point, Reducer, SeriesOrder, Shape,
    SortKey,
};
pub use charged::with_charged_texts;
pub use combine::all_of;
pub use functions::float_text::text_of_float;
pub use functions::json::Observation;
pub use functions::moving_average::moving_average;
pub use functions::percentile::{EXACT_VALUES, Estimate};
pub use functions::points::PointFunction;
pub use functions::step_start::step_start_ms;
pub use group_limit::Planner;
pub use lower::{count_plan, lower, with_opaque_conditions};
pub use occurrence::Occurrence;
pub use resources::{EXPRESSION_PARTS, PATTERN_BYTES, PATTERNS, PATTERNS_BYTES, Resources};
pub use types::{Type, Typed};
