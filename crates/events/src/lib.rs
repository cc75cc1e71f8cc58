#![doc = include_str!("../README.md")]

pub mod batch;
pub mod columns;
pub mod conflict;
pub mod content;
pub mod delivery;
mod direct;
pub mod event;
pub mod fields;
pub mod identity;
pub mod json;
pub mod mapping;
pub mod packed;
pub mod read;
pub mod rejection;
pub mod settings;
pub mod time;
pub mod workspace;
mod write_token;

pub use batch::EventBatchBuilder;
pub use columns::with_all_columns;
pub use conflict::{conflict_id, own_id, with_ids};
pub use content::{Content, ContentDigest, Contents, Sent};
pub use delivery::{Delivery, Origin};
pub use direct::DayEvents;
pub use event::{Defaults, Event, ValueRef};
pub use fields::{FIELDS, Field, FieldType, SetBy, field, schema, view_schema};
pub use json::row_json;
pub use mapping::{Mapping, MappingError, MappingSource};
pub use packed::{PackedBatchBuilder, PackedEvent, PackedEvents};
pub use read::{Decoded, EventReader, Format, Input, ReadError, Refused};
pub use rejection::{Rejection, RejectionCode};
pub use time::{TimeRange, day_of, parse_timestamp};
pub use workspace::WorkspaceId;
pub use write_token::{InvalidToken, WriteToken};
