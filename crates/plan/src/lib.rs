#![doc = include_str!("../README.md")]

mod bind;
mod bound;
mod combine;
mod group_limit;
mod lower;
mod types;

pub use bind::{
    BindContext, Delivery, Position, SHOW_FUNCTIONS, bind, bind_show, limit_points, nearest_field,
};
pub use bound::{
    Attribute, BoundQuery, BoundShow, BoundSource, Column, Computed, Fill, FillMode, Key, Limit,
    Limits, Lowered, Membership, Notes, Observation, Occurrence, Page, PageUnit, Point, Reducer,
    SeriesOrder, Shape, SortKey,
};
pub use combine::all_of;
pub use group_limit::Planner;
pub use lower::{count_plan, lower, with_opaque_conditions};
pub use types::{Type, Typed};
