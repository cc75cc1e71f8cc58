//! Writing the log of a table.
//!
//! The entries are those of the Delta protocol ("Actions"), reader version 1 and writer version 2,
//! which every reader of Delta tables understands. Each commit creates exactly the next version,
//! so two writers never both make the same one.
//!
//! | module | is |
//! |---|---|
//! | `commit` | the loop in which a change is planned, committed, and planned anew after a conflict |
//! | `entry` | one entry: putting it, and making sure that it counts |
//! | `actions` | what an entry consists of |
//! | `metadata` | the identity, columns and properties of a table |
//! | `state` | what an entry states about the whole log, so that damage is noticed |

mod actions;
mod commit;
mod entry;
mod metadata;
mod state;

use chrono::{DateTime, Utc};
use deltalake_core::kernel::Action;
use events::WorkspaceId;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use serde_json::{Map, Value};

use actions::INFO_KEY;
pub(crate) use actions::{Operation, add};
pub(crate) use commit::{Changes, CommitPlan, CommitPlanner};
pub(crate) use entry::{bytes as entry_at, digest as entry_digest_of};
pub(crate) use metadata::{READER_VERSION, TableMetadata, WRITER_VERSION};
pub(crate) use state::{FileTotals, LogState, entry_digest};

use crate::delta::folded_segments::FoldedSegments;
use crate::delta::snapshot::Snapshot;
use crate::delta::table;
use crate::error::StoreError;
use crate::root::location::Location;
use crate::root::paths;

/// Makes version 0 of the table of `workspace`, which has columns but no events.
///
/// It does not matter which of several writers makes it: all versions 0 say the same.
///
/// # Errors
///
/// [`StoreError::LogMissing`] when data files are there: the log of the table was lost, and a new one
/// would hide their events.
pub(crate) async fn create_table(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<(), StoreError> {
    let marker = location.check_writable().await?;
    refuse_beside_data(location, workspace).await?;
    let invalid = |error: serde_json::Error| StoreError::Unsupported {
        workspace: workspace.clone(),
        reason: format!("cannot be made: {error}"),
    };
    let now_ms = location.store_ms().await;
    let now = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    let mut metadata = TableMetadata::new(now_ms);
    metadata.name_store(marker.as_ref());
    let state = LogState::new(0, None, &FileTotals::default(), &metadata);
    state.write_to(&mut metadata).map_err(invalid)?;
    let actions = [
        actions::commit_info(now, Operation::CreateTable, Map::new()),
        Action::Protocol(metadata::protocol().map_err(invalid)?),
        Action::Metadata(metadata.to_action().map_err(invalid)?),
    ];
    entry::put(location, workspace, 0, &actions).await?;
    Ok(())
}

/// Fails when data files are there, and still no log.
pub(crate) async fn refuse_beside_data(
    location: &Location,
    workspace: &WorkspaceId,
) -> Result<(), StoreError> {
    let mut objects = location.objects.list(Some(&paths::table(workspace)));
    while let Some(object) = objects.try_next().await? {
        let relative_path = paths::relative_path(workspace, &object.location);
        if relative_path
            .is_some_and(|relative_path| paths::day_of_data_file(&relative_path).is_some())
        {
            // Another writer may have made the table and staged the file since the table was missed.
            if table::exists(location, workspace).await? {
                return Ok(());
            }
            return Err(StoreError::LogMissing {
                workspace: workspace.clone(),
                file: object.location.to_string(),
            });
        }
    }
    Ok(())
}

/// The actions of an entry that needs nothing before it: a table with these metadata and files. `info` is what Vouch
/// records of the commit.
pub(crate) fn restored(
    now: DateTime<Utc>,
    metadata: &TableMetadata,
    adds: &[Action],
    info: Map<String, Value>,
) -> Result<Vec<Action>, StoreError> {
    let invalid = |error: serde_json::Error| StoreError::Corrupt {
        path: metadata.id.clone(),
        reason: format!("the metadata of the table cannot be written again: {error}"),
    };
    let mut actions = vec![
        actions::commit_info(now, Operation::Restore, info),
        Action::Protocol(metadata::protocol().map_err(invalid)?),
        Action::Metadata(metadata.to_action().map_err(invalid)?),
    ];
    actions.extend(adds.iter().cloned());
    Ok(actions)
}

/// The metadata with the state of the log in which the files of `snapshot` are all there are at `version`.
pub(crate) fn stated(
    version: u64,
    snapshot: &Snapshot,
    mut metadata: TableMetadata,
) -> Result<TableMetadata, StoreError> {
    let state = LogState::new(version, None, &snapshot.totals, &metadata);
    state
        .write_to(&mut metadata)
        .map_err(|error| StoreError::Unsupported {
            workspace: snapshot.workspace.clone(),
            reason: format!("has metadata that cannot be written again: {error}"),
        })?;
    Ok(metadata)
}

/// Whether what an entry says about its table contradicts what it states about it: it was changed.
pub(crate) fn contradicts_itself(version: u64, metadata: &TableMetadata) -> bool {
    match LogState::read(metadata) {
        Ok(Some(state)) => state.version == version && !state.has(metadata),
        // Other software or an earlier version of Vouch states nothing.
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Whether the metadata of `snapshot` state just the files that it has.
pub(crate) fn is_stated(snapshot: &Snapshot) -> bool {
    let state = LogState::read(&snapshot.metadata);
    let verified = state.map(|state| {
        state.is_some_and(|state| state.verify(&snapshot.totals, &snapshot.metadata).is_ok())
    });
    verified == Ok(true)
}

/// Puts the entry that makes exactly `version`; `false` when there is another one.
pub(crate) async fn put_entry(
    location: &Location,
    workspace: &WorkspaceId,
    version: u64,
    actions: &[Action],
) -> Result<bool, StoreError> {
    let put = entry::put(location, workspace, version, actions).await?;
    Ok(put == entry::PutEntry::Created)
}

/// Whether the entry at `path` was written by a version of Vouch that states `vouch.log`.
pub(crate) async fn states_itself(location: &Location, path: &Path) -> Result<bool, StoreError> {
    let Some(entry) = entry::bytes(location, path).await? else {
        return Ok(false);
    };
    Ok(is_of_vouch(&entry))
}

fn is_of_vouch(entry: &[u8]) -> bool {
    actions_in(entry).any(|action| action["commitInfo"].get(INFO_KEY).is_some())
}

/// The segments that the fold which made an entry took; none of any other entry.
pub(crate) fn folded_in(entry: &[u8]) -> FoldedSegments {
    let info = actions_in(entry).find_map(|mut action| {
        let info = action.get_mut("commitInfo")?.get_mut(INFO_KEY)?;
        Some(info.take())
    });
    FoldedSegments::read(&info.unwrap_or_default())
}

/// What an entry states about the log; `None` when other software wrote it, which leaves what it finds there.
pub(crate) fn stated_by(entry: &[u8]) -> Option<LogState> {
    let mut metadata = actions_in(entry).filter_map(|mut action| {
        let metadata = action.get_mut("metaData")?.take();
        serde_json::from_value::<TableMetadata>(metadata).ok()
    });
    let stated = LogState::read(&metadata.next()?).ok()?;
    stated.filter(|_| is_of_vouch(entry))
}

pub(crate) fn actions_in(entry: &[u8]) -> impl Iterator<Item = Value> {
    let lines = entry.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok())
}
