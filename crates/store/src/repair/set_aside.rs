//! Damaged segments out of the way: what is whole of them goes into tables, the object is kept elsewhere,
//! and an audit event says what is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use events::{Origin, WorkspaceId, identity};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde_json::{Map, Value, json};

use crate::delta::audit_event::AuditEvent;
use crate::error::StoreError;
use crate::import::ImportOptions;
use crate::ingest::fold;
use crate::root::paths;
use crate::root::segment_key::SegmentKey;
use crate::segment::{LostBatch, Segment};
use crate::store::Store;

/// The category of the audit events.
const CATEGORY: &str = "repair";

/// What is set aside instead of a segment that is gone.
const REMOVED_NOTE: &[u8] = b"this segment was removed before it was folded\n";

/// A segment of which events are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSegment {
    /// Its path under the root of the store.
    pub path: String,
    /// What can be read of it.
    pub whole: Vec<WholeEvents>,
    /// What cannot.
    pub lost: Vec<LostEvents>,
    /// Why events of workspaces that it does not name any more may be lost too; `None` when none are.
    pub unlisted: Option<String>,
}

/// Events of a damaged segment that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeEvents {
    /// Their workspace.
    pub workspace: WorkspaceId,
    /// How many there are.
    pub events: u64,
}

/// Events of a damaged segment that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEvents {
    /// Their workspace.
    pub workspace: WorkspaceId,
    /// How many there were.
    pub events: u64,
    /// What is wrong with them.
    pub reason: String,
}

/// What setting a segment aside has done.
#[derive(Debug)]
pub struct SetAside {
    /// Where the object is now, as a path under the root of the store.
    pub path: String,
    /// How many events were moved into tables.
    pub stored: u64,
    /// The workspaces that have an audit event about what is lost.
    pub recorded: Vec<WorkspaceId>,
    /// The workspaces of which events may be lost, but whose table takes no audit event, and why.
    pub unrecorded: BTreeMap<WorkspaceId, StoreError>,
}

impl Store {
    /// The segments of which events are lost, those that were removed before they were folded among them.
    ///
    /// # Errors
    ///
    /// When the segments cannot be listed or fetched.
    pub async fn damaged_segments(&self) -> Result<Vec<DamagedSegment>, StoreError> {
        let known = self.known_segments();
        let segments = known.chosen(self.location(), |_, _| true).await?;
        let damaged = segments.iter();
        let damaged = damaged.filter(|segment| segment.damage.loses_events());
        let mut damaged: Vec<DamagedSegment> = damaged.map(|segment| describe(segment)).collect();
        for (key, witness) in self.removed_segments().await? {
            damaged.push(describe(&removed(key, &witness)));
        }
        Ok(damaged)
    }

    /// Moves the damaged segment at `path` out of the way, so that questions are answered without the events
    /// that it has lost. What is whole of it is stored in its tables first; then each workspace that has
    /// lost events gets an audit event which says so, and so does every other workspace when it is unknown
    /// whose events are lost.
    ///
    /// Doing it again after it was interrupted does no harm.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotSetAside`] when it is no damaged segment, and as for writing to tables. The segment
    /// stays where it is then.
    pub async fn set_aside_segment(
        &self,
        path: &str,
        by: Option<&str>,
    ) -> Result<SetAside, StoreError> {
        let segment = self.damaged_segment(path).await?;
        let mut stored = 0;
        for batch in &segment.batches {
            let segments = [Arc::clone(&segment)];
            let folded = fold::add_to_table(self, &batch.workspace, &segments).await?;
            stored += folded.stored;
        }
        let mut done = SetAside {
            path: paths::set_aside(&segment.key).to_string(),
            stored,
            recorded: Vec::new(),
            unrecorded: BTreeMap::new(),
        };
        for lost in &segment.damage.lost {
            self.record_loss(&segment, &lost.workspace, Some(lost), by)
                .await?;
            done.recorded.push(lost.workspace.clone());
        }
        if segment.damage.unlisted.is_some() {
            for workspace in self.known_workspaces().await? {
                let is_known = segment.part(&workspace).is_some();
                if is_known || done.recorded.contains(&workspace) {
                    continue;
                }
                match self.record_loss(&segment, &workspace, None, by).await {
                    Ok(()) => done.recorded.push(workspace),
                    Err(error) => {
                        done.unrecorded.insert(workspace, error);
                    }
                }
            }
        }
        self.keep_aside(&segment.key).await?;
        self.delete_segments(&[segment.key]).await?;
        Ok(done)
    }

    async fn damaged_segment(&self, path: &str) -> Result<Arc<Segment>, StoreError> {
        let refused = |reason: &str| StoreError::NotSetAside {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let key = paths::segment_key(&Path::from(path));
        let key = key.ok_or_else(|| refused("no segment has such a path"))?;
        let known = self.known_segments();
        let found = known.chosen(self.location(), |other, _| *other == key);
        let Some(segment) = found.await?.into_iter().next() else {
            let missing = self.removed_segments().await?;
            let witness = missing.get(&key);
            let witness = witness.ok_or_else(|| refused("it is not there"))?;
            return Ok(Arc::new(removed(key, witness)));
        };
        match segment.damage.loses_events() {
            true => Ok(segment),
            false => Err(refused(
                "none of its events is lost; it is folded as others are",
            )),
        }
    }

    /// Stores an audit event about what a workspace has lost, or may have; and the numbers of the batches that
    /// are lost, so that their producers can go on.
    async fn record_loss(
        &self,
        segment: &Segment,
        workspace: &WorkspaceId,
        lost: Option<&LostBatch>,
        by: Option<&str>,
    ) -> Result<(), StoreError> {
        let now_ms = self.location().now().timestamp_millis();
        let key = segment.key.to_string();
        let id =
            identity::derived_id(&[b"set aside", key.as_bytes(), workspace.as_str().as_bytes()]);
        let record = record(segment, lost, by);
        let event = record.event_called(&id, CATEGORY, now_ms, workspace)?;
        let mut import = self
            .import(ImportOptions::default())
            .from_origin(Origin::itself());
        for number in lost.iter().flat_map(|lost| &lost.numbers) {
            import.number(number, now_ms);
        }
        import.push(event).await?;
        import.finish().await?;
        Ok(())
    }

    /// Copies the object of a segment to where nothing reads it.
    async fn keep_aside(&self, key: &SegmentKey) -> Result<(), StoreError> {
        self.check_writable().await?;
        let objects = &self.location().objects;
        let path = paths::set_aside(key);
        let bytes = match self.location().bytes_of(&paths::segment(key)).await {
            Ok(bytes) => bytes,
            // It was reported as gone before.
            Err(StoreError::NotFound { .. }) => Bytes::from_static(REMOVED_NOTE),
            Err(StoreError::Corrupt { .. }) => {
                return self
                    .location()
                    .move_unread(&paths::segment(key), &path)
                    .await;
            }
            Err(error) => return Err(error),
        };
        let sent = objects.put_opts(&path, bytes.clone().into(), PutMode::Create.into());
        match sent.await {
            Err(object_store::Error::AlreadyExists { .. }) => {
                let present = objects.get(&path).await?.bytes().await?;
                match present == bytes {
                    true => Ok(()),
                    false => Err(StoreError::NotSetAside {
                        path: paths::segment(key).to_string(),
                        reason: format!("another object is at `{path}`; move that away first"),
                    }),
                }
            }
            sent => Ok(sent.map(|_| ())?),
        }
    }
}

/// A segment that is gone, of which nothing is known.
fn removed(key: SegmentKey, witness: &str) -> Segment {
    let reason = format!("it was removed before it was folded; `{witness}` says that it was there");
    Segment::lost(key, reason)
}

fn describe(segment: &Segment) -> DamagedSegment {
    let whole = segment.batches.iter().map(|batch| WholeEvents {
        workspace: batch.workspace.clone(),
        events: batch
            .events
            .as_ref()
            .map_or(0, |events| events.num_rows() as u64),
    });
    let lost = segment.damage.lost.iter().map(|lost| LostEvents {
        workspace: lost.workspace.clone(),
        events: lost.events,
        reason: lost.reason.clone(),
    });
    DamagedSegment {
        path: paths::segment(&segment.key).to_string(),
        whole: whole.collect(),
        lost: lost.collect(),
        unlisted: segment.damage.unlisted.clone(),
    }
}

fn record(segment: &Segment, lost: Option<&LostBatch>, by: Option<&str>) -> AuditEvent {
    let path = paths::segment(&segment.key).to_string();
    let aside = paths::set_aside(&segment.key).to_string();
    let unlisted = segment.damage.unlisted.clone().unwrap_or_default();
    let (message, reason) = match lost {
        Some(lost) => {
            let events = lost.events;
            let message =
                format!("{events} acknowledged events of the damaged segment {path} are lost");
            (message, lost.reason.clone())
        }
        None => {
            let message = format!("acknowledged events of the damaged segment {path} may be lost");
            (message, unlisted)
        }
    };
    let mut attributes = Map::from_iter([
        ("segment".to_owned(), json!(path)),
        ("set_aside".to_owned(), json!(aside)),
        ("reason".to_owned(), json!(reason)),
        ("written_ms".to_owned(), json!(segment.key.written_ms)),
    ]);
    if let Some(lost) = lost {
        let batches: Vec<Value> = lost
            .numbers
            .iter()
            .map(|number| json!({"producer": number.producer, "number": number.number}))
            .collect();
        attributes.insert("events_lost".to_owned(), json!(lost.events));
        attributes.insert("batches_lost".to_owned(), json!(batches));
    }
    AuditEvent {
        action: "segment.set_aside",
        title: "Damaged segment set aside",
        message,
        by: by.map(str::to_owned),
        attributes,
    }
}
