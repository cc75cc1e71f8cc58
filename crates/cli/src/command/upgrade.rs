//! `vouch upgrade`.

use std::io::{self, Write};

use store::{Compaction, StoreError};

use super::compact::workspaces;
use crate::arguments::UpgradeArgs;
use crate::backend::open_store;
use crate::failure::Failure;
use crate::output::{counted, size};

/// Rewrites files of older versions, one workspace after the other.
pub(crate) async fn run(arguments: UpgradeArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    if !arguments.dry_run {
        store.check_writable().await?;
    }
    let mut out = io::stdout();
    let mut faulty = 0;
    for workspace in workspaces(&store, arguments.workspace).await? {
        match store.upgrade(&workspace, arguments.dry_run).await {
            Ok(Some(upgraded)) => {
                tell(&upgraded, arguments.dry_run, &mut out)?;
                faulty += u64::from(!upgraded.faults.is_empty());
            }
            // All of its events are still in segments.
            Ok(None) => writeln!(out, "workspace {workspace}: nothing to upgrade")?,
            // Other workspaces may still be upgraded.
            Err(error @ StoreError::Unsupported { .. }) => {
                writeln!(out, "workspace {workspace}: not upgraded: {error}")?;
                faulty += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    match faulty {
        0 => Ok(()),
        faulty => {
            let faulty = counted(faulty, "workspace");
            Err(Failure::Engine(format!(
                "{faulty} not upgraded in full: see `vouch verify`"
            )))
        }
    }
}

fn tell(upgraded: &Compaction, dry_run: bool, out: &mut impl Write) -> io::Result<()> {
    let workspace = &upgraded.workspace;
    if upgraded.replaced_files == 0 {
        writeln!(out, "workspace {workspace}: nothing to upgrade")?;
    } else {
        let files = counted(upgraded.replaced_files as u64, "file");
        let bytes = size(upgraded.replaced_bytes);
        let events = counted(upgraded.events, "event");
        let written = if dry_run {
            "would be written anew"
        } else {
            "written anew"
        };
        writeln!(
            out,
            "workspace {workspace}: {files} ({bytes}) {written}, {events}"
        )?;
    }
    for fault in &upgraded.faults {
        writeln!(out, "  left as it is: {fault}")?;
    }
    Ok(())
}
