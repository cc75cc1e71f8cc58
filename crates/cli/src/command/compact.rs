//! `vouch compact`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use api::Scope;
use events::WorkspaceId;
use store::{Compaction, CompactionOptions, Removal, RemovalReason, Store, StoreError};

use crate::arguments::CompactArgs;
use crate::backend::open_store;
use crate::failure::Failure;
use crate::output::{counted, size};

/// Folds segments, merges small files, then deletes objects that no reader needs.
pub(crate) async fn run(arguments: CompactArgs) -> Result<(), Failure> {
    let store = open_store(&arguments.store).await?;
    let workspaces = workspaces(&store, arguments.workspace).await?;
    let mut out = io::stdout();
    if workspaces.is_empty() {
        writeln!(out, "the store at {} holds no events", store.url())?;
    }
    // A failure does not end the run: on a full disk only the deletion at the end frees space.
    let mut done = Vec::new();
    if !arguments.dry_run {
        done.push(fold(&store, &mut out).await);
        done.push(store.merge_heads().await.map(|()| 0).map_err(Failure::from));
    }
    for workspace in workspaces {
        let merged = merge(&store, &workspace, arguments.dry_run, &mut out).await;
        let cleaned = clean(&store, &workspace, arguments.dry_run, &mut out).await;
        done.extend([merged, cleaned]);
    }
    let leftovers = store.vacuum_leftovers(arguments.dry_run).await?;
    tell_removals(&leftovers, arguments.dry_run, &mut out)?;
    match done.into_iter().sum::<Result<u64, Failure>>()? {
        0 => Ok(()),
        faulty => {
            let faulty = counted(faulty, "problem");
            Err(Failure::Engine(format!(
                "not compacted in full, {faulty}: see `vouch verify`"
            )))
        }
    }
}

/// The workspaces that the arguments name, or all.
pub(super) async fn workspaces(
    store: &Store,
    scope: Option<Scope>,
) -> Result<Vec<WorkspaceId>, Failure> {
    let known = store.known_workspaces().await?;
    let Some(Scope::Workspaces(workspaces)) = scope else {
        return Ok(known);
    };
    let mut unknown = workspaces
        .iter()
        .filter(|workspace| !known.contains(workspace));
    match unknown.next() {
        None => Ok(workspaces),
        Some(unknown) => Err(Failure::Refused(format!(
            "there is no workspace `{unknown}` in the store"
        ))),
    }
}

/// Folds segments into tables. Returns the number of workspaces whose events could not be folded plus the number of
/// segments that have lost events.
async fn fold(store: &Store, out: &mut impl Write) -> Result<u64, Failure> {
    let folded = store.fold().await?;
    if folded.segments > 0 {
        let segments = counted(folded.segments as u64, "segment");
        let events = counted(folded.stored, "event");
        writeln!(out, "{segments} folded, {events} moved into tables")?;
    }
    for (workspace, error) in &folded.failed {
        writeln!(
            out,
            "workspace {workspace}: events stay in segments: {error}"
        )?;
    }
    for (path, damage) in &folded.damaged {
        writeln!(out, "{path}: {damage}; see `vouch repair segments`")?;
    }
    Ok((folded.failed.len() + folded.damaged.len()) as u64)
}

/// Merges the small files of a workspace. Returns the number of problems.
async fn merge(
    store: &Store,
    workspace: &WorkspaceId,
    dry_run: bool,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    let options = CompactionOptions {
        // An explicit run neither waits for days to become quiet nor pauses.
        settle_after: Duration::ZERO,
        rest_factor: 0,
        dry_run,
        ..CompactionOptions::default()
    };
    match store.compact(workspace, &options).await {
        Ok(Some(compaction)) => {
            tell(&compaction, dry_run, out)?;
            Ok(u64::from(!compaction.faults.is_empty()))
        }
        // All of its events are still in segments.
        Ok(None) => {
            writeln!(out, "workspace {workspace}: nothing to merge")?;
            Ok(0)
        }
        // Other workspaces may still be compacted.
        Err(error @ StoreError::Unsupported { .. }) => {
            writeln!(out, "workspace {workspace}: not compacted: {error}")?;
            Ok(1)
        }
        Err(error) => Err(error.into()),
    }
}

/// Deletes objects of a workspace that no reader needs. Returns the number of problems.
async fn clean(
    store: &Store,
    workspace: &WorkspaceId,
    dry_run: bool,
    out: &mut impl Write,
) -> Result<u64, Failure> {
    match store.vacuum(workspace, dry_run).await {
        Ok(removals) => {
            tell_removals(&removals.unwrap_or_default(), dry_run, out)?;
            Ok(0)
        }
        Err(error @ StoreError::ClockDiffers { .. }) => {
            writeln!(out, "  {error}")?;
            Ok(1)
        }
        Err(error) => Err(error.into()),
    }
}

fn tell(compaction: &Compaction, dry_run: bool, out: &mut impl Write) -> io::Result<()> {
    let workspace = &compaction.workspace;
    if compaction.replaced_files == 0 {
        writeln!(out, "workspace {workspace}: nothing to merge")?;
    } else {
        let days = counted(compaction.days.len() as u64, "day");
        let from = counted(compaction.replaced_files as u64, "file");
        let from_size = size(compaction.replaced_bytes);
        let into = counted(compaction.written_files as u64, "file");
        let merged = if dry_run {
            format!("{from} ({from_size}) would be merged into {into}")
        } else {
            let into_size = size(compaction.written_bytes);
            format!("{from} ({from_size}) merged into {into} ({into_size})")
        };
        let events = counted(compaction.events, "event");
        writeln!(out, "workspace {workspace}: {days}, {merged}, {events}")?;
    }
    for fault in &compaction.faults {
        writeln!(out, "  left as it is: {fault}")?;
    }
    Ok(())
}

/// Prints one line per reason, and in a dry run one line per object.
fn tell_removals(removals: &[Removal], dry_run: bool, out: &mut impl Write) -> io::Result<()> {
    let mut reasons: BTreeMap<RemovalReason, (u64, u64)> = BTreeMap::new();
    for removal in removals {
        let (files, bytes) = reasons.entry(removal.reason).or_default();
        *files += 1;
        *bytes += removal.size_bytes;
    }
    let deleted = if dry_run {
        "would be deleted"
    } else {
        "deleted"
    };
    for (reason, (files, bytes)) in reasons {
        let why = match reason {
            RemovalReason::Removed => "replaced or dropped more than a day ago",
            RemovalReason::Unnamed => "of writers that were killed more than a week ago",
            RemovalReason::LogEntry => "of the log, older than 30 days and summed up since",
            RemovalReason::Staging => "never completed, older than a week",
            RemovalReason::StartProbe => "of starts that were killed more than a day ago",
        };
        let files = counted(files, "file");
        writeln!(out, "  {deleted}: {files} ({}), {why}", size(bytes))?;
        let of_reason = removals.iter().filter(|removal| removal.reason == reason);
        for removal in of_reason.filter(|_| dry_run) {
            writeln!(out, "    {}", removal.path)?;
        }
    }
    Ok(())
}
