//! `vouch verify`.

use std::io::{self, Write};

use engine::Scope;
use events::WorkspaceId;
use store::{SegmentVerification, Store, StoreError, Verification};

use crate::answers::open_store;
use crate::arguments::VerifyArguments;
use crate::failure::Failure;
use crate::output::{counted, size};

/// Reads every file of the workspaces and says what is wrong.
pub(crate) async fn run(arguments: VerifyArguments) -> Result<(), Failure> {
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
    for workspace in workspaces {
        damaged_workspaces += u64::from(!verify(&store, &workspace, &mut out).await?);
    }
    if damaged_workspaces > 0 {
        damaged.push(counted(damaged_workspaces, "workspace"));
    }
    if !segments.faults.is_empty() {
        let objects = counted(segments.faults.len() as u64, "object");
        damaged.push(format!("{objects} outside of tables"));
    }
    if damaged.is_empty() {
        return Ok(());
    }
    let damaged = damaged.join(" and ");
    Err(Failure::Engine(format!(
        "{damaged} damaged: restore the files named above from a backup, or see `vouch repair`"
    )))
}

/// What is true of the events that are in no table yet; nothing when there are none.
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

/// Whether the table of a workspace is whole.
async fn verify(
    store: &Store,
    workspace: &WorkspaceId,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    match store.verify(workspace).await {
        Ok(Some(found)) => {
            tell(&found, out)?;
            Ok(found.faults.is_empty())
        }
        Ok(None) => Err(Failure::Refused(format!(
            "there is no workspace `{workspace}` in the store"
        ))),
        // The other workspaces may be whole.
        Err(
            error @ (StoreError::Corrupt { .. }
            | StoreError::NotFound { .. }
            | StoreError::Unsupported { .. }
            | StoreError::LogMissing { .. }
            | StoreError::Delta { .. }),
        ) => {
            writeln!(
                out,
                "workspace {workspace}: its log cannot be read: {error}"
            )?;
            for fault in store.verify_log(workspace).await? {
                writeln!(out, "  {}: {}", fault.path, fault.kind)?;
            }
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
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
