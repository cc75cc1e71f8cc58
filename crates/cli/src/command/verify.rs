//! `vouch verify`.

use std::io::{self, Write};

use api::Scope;
use events::WorkspaceId;
use store::{SegmentVerification, Store, Verification};

use crate::arguments::VerifyArgs;
use crate::backend::open_store;
use crate::failure::Failure;
use crate::output::{counted, size};

/// Reads every file of the workspaces and reports faults.
pub(crate) async fn run(arguments: VerifyArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let mut out = io::stdout();
    let segments = store.verify_segments().await?;
    tell_segments(&segments, &mut out)?;
    let mut tables = store.workspaces_with_table().await?;
    tables.sort_unstable();
    let workspaces = match arguments.workspace {
        Some(Scope::Workspaces(workspaces)) => workspaces,
        Some(Scope::All) | None => tables,
    };
    if workspaces.is_empty() && segments.segments == 0 {
        writeln!(out, "the store at {} holds no events", store.url())?;
    }
    let mut damaged = Vec::new();
    let mut damaged_workspaces = 0;
    let mut unknown = Vec::new();
    for workspace in workspaces {
        match verify(&store, &workspace, &mut out).await? {
            Verdict::Whole => {}
            Verdict::Damaged => damaged_workspaces += 1,
            Verdict::Unknown => unknown.push(format!("`{workspace}`")),
        }
    }
    if damaged_workspaces > 0 {
        damaged.push(counted(damaged_workspaces, "workspace"));
    }
    if !segments.faults.is_empty() {
        let objects = counted(segments.faults.len() as u64, "object");
        damaged.push(format!("{objects} outside of tables"));
    }
    let unknown = if unknown.is_empty() {
        None
    } else {
        let names = unknown.join(", ");
        Some(format!("there is no workspace {names} in the store"))
    };
    if damaged.is_empty() {
        return unknown.map_or(Ok(()), |unknown| Err(Failure::Refused(unknown)));
    }
    if let Some(unknown) = unknown {
        writeln!(out, "{unknown}")?;
    }
    let damaged = damaged.join(" and ");
    Err(Failure::Engine(format!(
        "{damaged} damaged: restore the files named above from a backup, or see `vouch repair`"
    )))
}

/// The result of verifying a workspace.
enum Verdict {
    Whole,
    Damaged,
    /// The workspace is not in the store.
    Unknown,
}

/// The result of verifying the segments; `None` when there are none.
fn tell_segments(found: &SegmentVerification, out: &mut impl Write) -> io::Result<()> {
    if found.segments == 0 && found.faults.is_empty() {
        return Ok(());
    }
    let verdict = match found.faults.len() {
        0 => "whole".to_owned(),
        faults => counted(faults as u64, "fault"),
    };
    writeln!(
        out,
        "not in a table yet: {verdict}; {}, {}, {}",
        counted(found.segments as u64, "segment"),
        counted(found.events, "event"),
        size(found.size_bytes)
    )?;
    for fault in &found.faults {
        writeln!(out, "  {}: {}", fault.path, fault.kind)?;
    }
    Ok(())
}

/// Verifies the table of a workspace. An error is reported and does not end the run, as other tables may be whole.
async fn verify(
    store: &Store,
    workspace: &WorkspaceId,
    out: &mut impl Write,
) -> Result<Verdict, Failure> {
    let error = match store.verify(workspace).await {
        Ok(Some(found)) => {
            tell(&found, out)?;
            return Ok(if found.faults.is_empty() {
                Verdict::Whole
            } else {
                Verdict::Damaged
            });
        }
        Ok(None) => {
            let is_known = store.known_workspaces().await?.contains(workspace);
            if !is_known {
                return Ok(Verdict::Unknown);
            }
            writeln!(out, "workspace {workspace}: it has no table yet")?;
            return Ok(Verdict::Whole);
        }
        Err(error) => error,
    };
    // A store that is gone has no other result.
    store.check_present().await?;
    writeln!(
        out,
        "workspace {workspace}: its log cannot be read: {error}"
    )?;
    match store.verify_log(workspace).await {
        Ok(faults) => {
            for fault in faults {
                writeln!(out, "  {}: {}", fault.path, fault.kind)?;
            }
        }
        Err(error) => writeln!(out, "  its objects cannot be read: {error}")?,
    }
    Ok(Verdict::Damaged)
}

fn tell(found: &Verification, out: &mut impl Write) -> io::Result<()> {
    let verdict = match found.faults.len() {
        0 => "whole".to_owned(),
        faults => counted(faults as u64, "fault"),
    };
    writeln!(
        out,
        "workspace {}: {verdict}; version {}, {}, {} events, {}",
        found.workspace,
        found.version,
        counted(found.files as u64, "file"),
        found.rows,
        size(found.size_bytes)
    )?;
    for fault in &found.faults {
        writeln!(out, "  {}: {}", fault.path, fault.kind)?;
    }
    if found.files_without_digest > 0 {
        let without = counted(found.files_without_digest as u64, "file");
        writeln!(out, "  without a digest, so only read: {without}")?;
    }
    if found.unnamed_files > 0 {
        let unnamed = counted(found.unnamed_files as u64, "file");
        let bytes = size(found.unnamed_bytes);
        writeln!(out, "  read by nobody: {unnamed}, {bytes}")?;
    }
    Ok(())
}
