//! `vouch backup`.

use std::io::{self, Write};

use store::{BackupFault, BackupOptions, BackupRoot, BackupSummary, StoreOptions};

use crate::arguments::BackupArgs;
use crate::backend::open_store;
use crate::failure::Failure;
use crate::output::{counted, rfc3339, size};

/// Copies a store and reports the content of the copy.
pub(crate) async fn run(arguments: BackupArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let to = BackupRoot::open(&arguments.to, &StoreOptions::from_environment())?;
    if arguments.new {
        store.init_backup(&to).await?;
    }
    let options = BackupOptions {
        verify: arguments.verify,
    };
    let backup = store.backup(&to, &options).await?;
    let mut out = io::stdout();
    tell(&backup.summary, &mut out)?;
    writeln!(
        out,
        "copied: {} ({})",
        counted(backup.new_objects, "object"),
        size(backup.new_bytes)
    )?;
    for copy in &backup.replaced {
        writeln!(out, "damaged in the backup, so copied anew: {copy}")?;
    }
    tell_faults(&backup.summary.faults, &mut out)?;
    match backup.summary.faults.len() {
        0 => Ok(()),
        faults => {
            let faults = counted(faults as u64, "object");
            Err(Failure::Engine(format!(
                "the backup is incomplete: {faults} of the store damaged, see `vouch verify`; the newest complete backup is kept"
            )))
        }
    }
}

/// Reports the content of a backup.
pub(super) fn tell(backup: &BackupSummary, out: &mut impl Write) -> io::Result<()> {
    let verdict = if backup.is_complete() {
        "complete"
    } else {
        "incomplete"
    };
    writeln!(
        out,
        "backup {} of store {}: {verdict}; {}, {}",
        backup.number,
        backup.store,
        counted(backup.objects, "object"),
        size(backup.size_bytes)
    )?;
    for copied in &backup.workspaces {
        writeln!(
            out,
            "workspace {}: version {}, {}, {}",
            copied.workspace,
            copied.version,
            counted(copied.files, "file"),
            counted(copied.events, "event")
        )?;
    }
    if backup.segments > 0 {
        writeln!(
            out,
            "not in a table yet: {}, {}",
            counted(backup.segments, "segment"),
            counted(backup.segment_events, "event")
        )?;
    }
    let begun = rfc3339(backup.begun_ms);
    writeln!(out, "whatever was acknowledged before {begun} is in it")?;
    if let Some(newest_ms) = backup.newest_received_ms {
        writeln!(out, "the newest event in it came at {}", rfc3339(newest_ms))?;
    }
    Ok(())
}

pub(super) fn tell_faults(faults: &[BackupFault], out: &mut impl Write) -> io::Result<()> {
    for fault in faults {
        writeln!(out, "  {}: {}", fault.path, fault.reason)?;
    }
    Ok(())
}
