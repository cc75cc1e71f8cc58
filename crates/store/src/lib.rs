//! Where events live.
//!
//! A store is one root in an object store. Each workspace has one Delta table in it, partitioned by
//! `workspace`, which is the same in the whole table, and `day`, the UTC date of an event:
//!
//! ```text
//! <root>/vouch-store.json
//! <root>/workspace=<id>/_delta_log/00000000000000000000.json
//! <root>/workspace=<id>/day=2026-11-21/<uuid>.parquet
//! <root>/segments/<milliseconds>-<node>-<sequence>
//! <root>/parked/<milliseconds>-<random>-<sequence>
//! <root>/set-aside/<milliseconds>-<node>-<sequence>
//! ```
//!
//! Any reader of Delta tables can read it. Nodes keep nothing: whatever lasts is under the root. Events
//! that come one by one are in segments first, and are folded into tables; `docs/store.md` tells how, and
//! what always holds.
//!
//! | module | is |
//! |---|---|
//! | `store` | the root, its workspaces and their newest snapshots |
//! | `location` | from an address to an object store |
//! | `marker` | which store is at the root, and whether it is there |
//! | `start_probe` | what is relied on of an object store, tried |
//! | `small_files` | data files that one request fetches whole |
//! | `durable` | local disk that survives a power cut |
//! | `paths` | every object path, built and parsed |
//! | `table` | the log of a table, read and kept up to date |
//! | `reading` | one object that cannot be read, told from a store that does not answer |
//! | `damage` | what is wrong with a log that could not be read |
//! | `snapshot` | the files of a table at one version, and which of them a time range needs |
//! | `ingest` | events of many clients into segments, and folding beside it |
//! | `segment` | one segment, those that are known, and their events that no table has |
//! | `heads` | what nodes say about the store, so that what was removed is noticed |
//! | `fold` | segments into tables; the events of a table that cannot be written into segments of their own |
//! | `set_aside` | damaged segments out of the way |
//! | `repair` | damaged logs and data files of a table |
//! | `backup` | copies of a store, and stores of copies |
//! | `activity` | whether what a store is used for works |
//! | `view` | all events of a workspace at one moment |
//! | `numbers` | the numbers of batches, in the properties of a table |
//! | `import` | events into files, files into one commit per workspace |
//! | `day_buffer` | the events of one workspace and day, before they are a file |
//! | `staging` | the files of one import until they are committed |
//! | `claims` | under which id an event is stored whose id another one has |
//! | `delivery` | how the events of a file came, in the log |
//! | `data_file` | writing one Parquet file |
//! | `file_reader` | reading one Parquet file |
//! | `footer` | the footers of files, in memory |
//! | `blocks` | digests of parts of a file, with which whatever is read is compared |
//! | `columns` | columns of data files in memory |
//! | `decoded` | how many bytes events take in memory |
//! | `upgrade` | files of older versions written anew |
//! | `settings` | what is set for a workspace, in the properties of its table |
//! | `retention`, `hold` | how long events are kept, and which are held |
//! | `expiry` | dropping what is older than the retention and not held |
//! | `record` | audit events about what was done to a workspace |
//! | `admission` | which events the doors refuse because of their date |
//! | `digest` | what tells a changed file from the one that was committed |
//! | `compaction` | few large files from many small ones: what to merge, merging, one commit |
//! | `cleaning` | deleting what nobody can need any more |
//! | `clock` | the time of a node, and how far it is from the store's |
//! | `upkeep` | retention, compaction and cleaning of all workspaces, in the background |
//! | `verify` | tables and segments read in full, and compared with logs and digests |
//! | `scrub` | everything read again in the background |
//! | `layout` | how rows lie in a file |
//! | `statistics` | what the log says about a file |
//! | `event_ids` | which event ids files hold, and the events that have them |
//! | `schema` | the columns of a table, also of one that an older version has made |
//! | `log` | writing commits |
//!
//! # What is always true
//!
//! * A table holds an event id once a day, and each event once: another event with the same id gets one of its
//!   own. New events are compared with the files of the newest version, and again with whatever others have
//!   committed meanwhile.
//! * A commit creates exactly the next version of a table. Who finds it taken reads the newest
//!   version and plans again.
//! * What was answered as stored is durable, and in every later [`Store::view`].
//! * A missing or damaged object is an error, never an empty answer: bytes of a data file are compared with
//!   what was written before anything decodes them.
//! * The age of an event never keeps it out of an import.
//! * Events are dropped by a retention run only, and no event that a hold covers: holds, retention and
//!   drops are commits to the same log, so one of two that meet is planned again.
//! * Compaction moves events and changes none. What it replaces stays for readers for a day.
//! * Only what no reader and no writer can need is deleted, and nothing that Vouch did not write.

mod activity;
mod admission;
mod backup;
mod blocks;
mod claims;
mod cleaning;
mod clock;
mod columns;
mod compaction;
mod damage;
mod data_file;
mod day_buffer;
mod decoded;
mod delivery;
mod digest;
mod durable;
mod error;
mod event_ids;
mod expiry;
mod file_reader;
mod fold;
mod footer;
mod heads;
mod hold;
mod import;
mod ingest;
mod layout;
mod location;
mod log;
mod marker;
mod numbers;
mod paths;
mod reading;
mod record;
mod repair;
mod retention;
mod schema;
mod scrub;
mod segment;
mod set_aside;
mod settings;
mod small_files;
mod snapshot;
mod staging;
mod start_probe;
mod statistics;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod upgrade;
mod upkeep;
mod verify;
mod view;

pub use activity::{Activity, Outcomes, Unfolded};
pub use admission::Admission;
pub use backup::{
    Backup, BackupFault, BackupOptions, BackupRoot, BackupSummary, BackupVerification,
    CopiedWorkspace, RestoreOptions, Restored,
};
pub use cleaning::{Removal, RemovalReason};
pub use clock::Clock;
pub use columns::{CodedColumn, Column, Columns, Part, PlainColumn, RowGroup, Rows};
pub use compaction::{Compaction, CompactionOptions};
pub use digest::Digest;
pub use error::StoreError;
pub use expiry::{Dropped, Expiry, ExpiryMode, ExpiryOutcome, Undone};
pub use file_reader::FileReader;
pub use fold::FoldSummary;
pub use hold::{HeldEvents, Hold, NewHold};
pub use import::{Import, ImportOptions, ImportSummary, WorkspaceSummary};
pub use ingest::{BatchNumber, Ingest, IngestOptions, Refused, WriteBatch, Written};
pub use location::StoreOptions;
pub use marker::Marker;
pub use repair::{RebuiltLog, RepairStep, TableRepair};
pub use retention::Retention;
pub use scrub::{ScrubOptions, Scrubbing};
pub use segment::{InvalidToken, WriteToken};
pub use set_aside::{DamagedSegment, LostEvents, SetAside, WholeEvents};
pub use settings::{PlacedHold, Settings};
pub use snapshot::{DataFile, Snapshot};
pub use statistics::Constant;
pub use store::Store;
pub use upkeep::UpkeepOptions;
pub use verify::{Fault, FaultKind, SegmentVerification, Verification};
pub use view::View;
