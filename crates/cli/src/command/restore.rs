//! `vouch restore`.

use std::io::{self, Write};

use store::{BackupFault, BackupRoot, BackupSummary, RestoreOptions, StoreOptions};

use super::backup::{tell, tell_faults};
use crate::arguments::RestoreArgs;
use crate::backend::locate_store;
use crate::failure::Failure;
use crate::output::{counted, rfc3339};

/// Restores a store from a backup, or only reads the backup.
pub(crate) async fn run(arguments: RestoreArgs) -> Result<(), Failure> {
    let from = BackupRoot::open(&arguments.from, &StoreOptions::from_environment())?;
    let mut out = io::stdout();
    if arguments.dry_run {
        let found = from.verify(arguments.incomplete).await?;
        tell(&found.summary, &mut out)?;
        tell_newer(found.newer.as_ref(), &mut out)?;
        tell_damaged(&found.damaged, &mut out)?;
        return tell_verdict(&found.faults, "nothing was restored", &mut out);
    }
    let store = locate_store(&arguments.store)?;
    let options = RestoreOptions {
        incomplete: arguments.incomplete,
        by: Some(arguments.by.name()?),
    };
    let restored = store.restore(&from, &options).await?;
    tell(&restored.summary, &mut out)?;
    tell_newer(restored.newer.as_ref(), &mut out)?;
    tell_damaged(&restored.damaged, &mut out)?;
    let workspaces = counted(restored.recorded.len() as u64, "workspace");
    writeln!(
        out,
        "restored to {}; an audit event in {workspaces} says so",
        store.url()
    )?;
    for (workspace, error) in &restored.unrecorded {
        writeln!(out, "  no audit event in workspace {workspace}: {error}")?;
    }
    tell_verdict(
        &restored.faults,
        "restored without what is damaged",
        &mut out,
    )
}

fn tell_newer(newer: Option<&BackupSummary>, out: &mut impl Write) -> io::Result<()> {
    if let Some(newer) = newer {
        writeln!(
            out,
            "not taken: backup {} of {}, which is incomplete ({}); --incomplete takes it",
            newer.number,
            rfc3339(newer.begun_ms),
            counted(newer.faults.len() as u64, "fault")
        )?;
    }
    Ok(())
}

fn tell_damaged(manifests: &[BackupFault], out: &mut impl Write) -> io::Result<()> {
    for fault in manifests {
        let (path, reason) = (&fault.path, &fault.reason);
        writeln!(
            out,
            "not taken: a newer backup, as `{path}` is damaged: {reason}"
        )?;
    }
    Ok(())
}

fn tell_verdict(
    faults: &[BackupFault],
    consequence: &str,
    out: &mut impl Write,
) -> Result<(), Failure> {
    tell_faults(faults, out)?;
    if faults.is_empty() {
        writeln!(out, "every object is what was copied")?;
        return Ok(());
    }
    let faults = counted(faults.len() as u64, "object");
    Err(Failure::Engine(format!(
        "{faults} of the backup damaged or missing: {consequence}"
    )))
}
