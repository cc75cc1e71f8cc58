//! Where events live.
//!
//! A store is one root in an object store. Each workspace has one Delta table in it, partitioned by
//! `workspace`, which is the same in the whole table, and `day`, the UTC date of an event:
//!
//! ```text
//! <root>/workspace=<id>/_delta_log/00000000000000000000.json
//! <root>/workspace=<id>/day=2026-11-21/<uuid>.parquet
//! ```
//!
//! Any reader of Delta tables can read it. Nodes keep nothing: whatever lasts is under the root.
//!
//! | module | is |
//! |---|---|
//! | `store` | the root, its workspaces and their newest snapshots |
//! | `location` | from an address to an object store |
//! | `durable` | local disk that survives a power cut |
//! | `paths` | every object path, built and parsed |
//! | `table` | the log of a table, read and kept up to date |
//! | `damage` | what is wrong with a log that could not be read |
//! | `snapshot` | the files of a table at one version, and which of them a time range needs |
//! | `import` | events into files, files into one commit per workspace |
//! | `day_buffer` | the events of one workspace and day, before they are a file |
//! | `row` | one event in little memory |
//! | `staging` | the files of one import until they are committed |
//! | `data_file` | writing one Parquet file |
//! | `file_reader` | reading one Parquet file |
//! | `digest` | what tells a changed file from the one that was committed |
//! | `verify` | a table read in full and compared with its log |
//! | `layout` | how rows lie in a file |
//! | `statistics` | what the log says about a file |
//! | `event_ids` | which event ids files hold |
//! | `schema` | the columns of a table, also of one that an older version has made |
//! | `log` | writing commits |
//!
//! # What is always true
//!
//! * A table holds an event id once a day: the first stored wins. New events are checked against
//!   the files of the newest version, and again against whatever others have committed meanwhile.
//! * A commit creates exactly the next version of a table. Who finds it taken reads the newest
//!   version and plans again.
//! * What was answered as stored is durable, and in every later [`Store::snapshot`].
//! * A missing or damaged object is an error, never an empty answer.
//! * The age of an event never keeps it out.
//!
//! Segments for the first minutes of events, the doors they come through, their folding into
//! tables, compaction and retention have their place here and are not built yet.

mod damage;
mod data_file;
mod day_buffer;
mod digest;
mod durable;
mod error;
mod event_ids;
mod file_reader;
mod fold;
mod import;
mod ingest;
mod layout;
mod location;
mod log;
mod numbers;
mod paths;
mod row;
mod schema;
mod segment;
mod snapshot;
mod staging;
mod statistics;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod verify;
mod view;

pub use digest::Digest;
pub use error::StoreError;
pub use fold::FoldSummary;
pub use import::{Import, ImportOptions, ImportSummary, WorkspaceSummary};
pub use ingest::{BatchNumber, Ingest, IngestOptions, Refused, WriteBatch, Written};
pub use location::StoreOptions;
pub use segment::{InvalidToken, WriteToken};
pub use snapshot::{DataFile, Snapshot};
pub use store::Store;
pub use verify::{Fault, FaultKind, Verification};
pub use view::View;
