#![doc = include_str!("../README.md")]

mod backup;
mod delta;
mod error;
mod fault;
mod file;
mod import;
mod ingest;
mod maintenance;
mod read_view;
mod repair;
mod root;
mod segment;
mod settings;
mod store;
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests compare the clock of the store with that of the machine"
)]
mod tests;

pub use backup::{
    Backup, BackupFault, BackupOptions, BackupRoot, BackupSummary, BackupVerification,
    CopiedWorkspace, RestoreOptions, Restored,
};
pub use delta::snapshot::{DataFile, Snapshot};
pub use error::StoreError;
pub use fault::{Fault, FaultKind};
pub use file::digest::Digest;
pub use file::footer::Footer;
pub use file::layout::{PAGE_ROWS, writer_properties};
pub use file::reader::FileReader;
pub use file::statistics::Constant;
pub use import::{Import, ImportOptions, ImportSummary, WorkspaceSummary};
pub use ingest::date_admission::DateAdmission;
pub use ingest::error::IngestError;
pub use ingest::fold::FoldSummary;
pub use ingest::{BatchNumber, Ingest, IngestOptions, RejectedEvent, WriteBatch, WriteOutcome};
pub use maintenance::MaintenanceOptions;
pub use maintenance::activity::{Activity, Outcomes, Unfolded};
pub use maintenance::compaction::{Compaction, CompactionOptions};
pub use maintenance::scrub::{ScrubOptions, Scrubbing};
pub use maintenance::vacuum::{Removal, RemovalReason};
pub use maintenance::verify::{SegmentVerification, Verification};
pub use read_view::ReadView;
pub use repair::set_aside::{DamagedSegment, LostEvents, SetAside, WholeEvents};
pub use repair::{RebuiltLog, RepairStep, TableRepair};
pub use root::clock::Clock;
pub use root::location::StoreOptions;
pub use root::marker::Marker;
pub use settings::error::SettingsError;
pub use store::Store;
