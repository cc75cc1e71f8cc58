#![doc = include_str!("../README.md")]
//!
//! # Layout
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
