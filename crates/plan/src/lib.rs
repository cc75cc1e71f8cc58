#![doc = include_str!("../README.md")]

mod bind;
mod bound;
mod combine;
mod group_limit;
mod lower;
mod types;

pub use bind::{
    BindContext, Delivery, Position, SHOW_FUNCTIONS, SOURCE_TIME, bind, limit_points,
    nearest_field, source_column,
};
pub use bound::{
    Attribute, BoundQuery, BoundShow, BoundSource, BoundStatement, Column, Computed, Eval, Fill,
    FillMode, InSubquery, Key, Limit, Limits, Lowered, Notes, Observation, Occurrence, Page,
    PageUnit, Point, Reducer, SeriesCall, SeriesFunction, SeriesOrder, SeriesPlan, SeriesSchema,
    Shape, SortKey, SortTuple, Summary, number_column,
};
pub use combine::all_of;
pub use group_limit::VouchQueryPlanner;
pub use lower::{count_plan, lower, with_opaque_conditions};
pub use types::{Type, Typed};
