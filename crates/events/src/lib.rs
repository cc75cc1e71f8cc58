//! The event model: what an audit event is, before it is stored and after it is read.
//!
//! | module | is |
//! |---|---|
//! | [`fields`] | the catalogue: every column with its type, unit, aliases and meaning |
//! | [`workspace`] | the name of a workspace |
//! | [`time`] | time ranges, days, timestamps as text |
//! | [`event`] | one validated event, made from a JSON object |
//! | [`identity`] | event ids derived from where an event came from or from what it says |
//! | [`rejection`] | why a record is not an event |
//! | [`columns`] | rows of other versions in the columns of this one |
//! | [`conflict`] | ids of events whose own is taken |
//! | [`content`] | what a producer said, as a digest |
//! | [`delivery`] | when, how and from whom Vouch got an event |
//! | [`batch`] | events into Arrow record batches |
//! | `direct` | the same without a JSON tree in between, for records that need no care |
//! | [`packed`] | events that wait to be written, in little memory |
//! | [`json`] | rows of record batches back into JSON objects |
//! | [`mapping`] | jq programs that turn records of other products into events |
//! | [`read`] | files into records, and records into events |
//!
//! The path of a file: [`read::EventReader`] gives [`DayEvents`], packed. The path of a record that needs
//! care, or comes alone: JSON → (optionally) [`mapping::Mapping::apply`] → [`event::Event::from_json`].

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
pub mod time;
pub mod workspace;

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
