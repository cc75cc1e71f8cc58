//! An object store that kills its own process at a chosen write, and sometimes takes long to list.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use serde_json::Value;

use crate::oracle::random::Random;

/// What a process says before it kills itself.
pub(super) const LAST_WORDS: &str = "killed ";

/// The kinds of writes that a store makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Write {
    /// Events of many clients, which acknowledges them.
    Segment,
    /// A file of events that no table names yet.
    DataFile,
    /// The first version of a table.
    TableCreation,
    /// A version of a table that names new files.
    Commit,
    /// A commit that is not the first one of a fold.
    LaterCommit,
    /// The summary of a log.
    Checkpoint,
    /// The deletion of a segment whose events are in their tables.
    SegmentDeletion,
    /// A version of a table with the same events in fewer files.
    Compaction,
    /// A version of a table without what is older than the retention, and with the receipt.
    Expiry,
    /// A version that announces a cleaning.
    CleaningStart,
    /// The deletion of a data file that no table names.
    DataFileDeletion,
}

/// Whether the write has happened when the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Before,
    After,
}

/// A place in the life of a process, up to how often it was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) moment: Moment,
    pub(super) write: Write,
}

/// Where a process is to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failpoint {
    pub(super) point: Point,
    /// At how many-th such write, from 1.
    pub(super) nth: usize,
}

const WRITES: [(Write, &str); 11] = [
    (Write::Segment, "segment"),
    (Write::DataFile, "data-file"),
    (Write::TableCreation, "table-creation"),
    (Write::Commit, "commit"),
    (Write::LaterCommit, "later-commit-of-a-fold"),
    (Write::Checkpoint, "checkpoint"),
    (Write::SegmentDeletion, "segment-deletion"),
    (Write::Compaction, "compaction"),
    (Write::Expiry, "expiry"),
    (Write::CleaningStart, "cleaning-start"),
    (Write::DataFileDeletion, "data-file-deletion"),
];

impl Write {
    /// Whether it happens only when there is something to clean away.
    pub(super) fn is_of_cleaning(self) -> bool {
        matches!(self, Self::CleaningStart | Self::DataFileDeletion)
    }
}

impl Point {
    /// All there are.
    pub(super) fn all() -> Vec<Self> {
        let writes = WRITES.into_iter().map(|(write, _)| write);
        let moments = [Moment::Before, Moment::After];
        writes
            .flat_map(|write| moments.map(|moment| Self { moment, write }))
            .collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = match self.moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        let known = WRITES.iter().find(|(write, _)| *write == self.write);
        write!(formatter, "{moment} {}", known.unwrap().1)
    }
}

impl fmt::Display for Failpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.point, self.nth)
    }
}

impl FromStr for Failpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [moment, name, nth] = parts.as_slice() else {
            return Err(format!("`{text}` is no failpoint"));
        };
        let moment = match *moment {
            "before" => Moment::Before,
            "after" => Moment::After,
            other => return Err(format!("`{other}` is no moment")),
        };
        let known = WRITES.iter().find(|(_, known)| known == name);
        let write = known.ok_or_else(|| format!("`{name}` is no write"))?.0;
        let nth = nth.parse().map_err(|_| format!("`{nth}` is no number"))?;
        let point = Point { moment, write };
        Ok(Self { point, nth })
    }
}

/// An object store whose process dies at a failpoint.
#[derive(Debug, Clone)]
pub(super) struct Deadly {
    objects: Arc<dyn ObjectStore>,
    watch: Arc<Watch>,
}

/// What was written so far.
#[derive(Debug)]
struct Watch {
    failpoint: Option<Failpoint>,
    counts: Mutex<Counts>,
    random: Mutex<Random>,
}

#[derive(Debug, Default)]
struct Counts {
    /// How often each point was passed.
    passed: BTreeMap<Point, usize>,
    /// How many commits were made since the last segment was deleted.
    commits: usize,
}

impl Deadly {
    /// Passes everything on to `objects`.
    pub(super) fn new(objects: Arc<dyn ObjectStore>, failpoint: Option<Failpoint>) -> Self {
        let watch = Watch {
            failpoint,
            counts: Mutex::default(),
            random: Mutex::new(Random::new(u64::from(std::process::id()))),
        };
        Self {
            objects,
            watch: Arc::new(watch),
        }
    }
}

impl Watch {
    /// Is about to write.
    async fn before(&self, writes: &[Write]) {
        self.pass(Moment::Before, writes).await;
    }

    /// Has written.
    async fn after<T>(&self, writes: &[Write], outcome: &Result<T>) {
        if outcome.is_ok() {
            self.pass(Moment::After, writes).await;
            let mut counts = self.counts.lock().unwrap();
            if writes.contains(&Write::Commit) {
                counts.commits += 1;
            }
            if writes.contains(&Write::SegmentDeletion) {
                counts.commits = 0;
            }
        }
    }

    /// A listing that takes long now and then, when it is one of segments: a reader must not miss what
    /// is folded meanwhile.
    fn listed(
        &self,
        prefix: Option<&Path>,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let is_of_segments = prefix.is_some_and(|prefix| prefix.as_ref() == "segments");
        let pause_ms = {
            let mut random = self.random.lock().unwrap();
            match is_of_segments && random.percent(10) {
                true => random.below(800),
                false => 0,
            }
        };
        let listing = async move {
            tokio::time::sleep(Duration::from_millis(pause_ms as u64)).await;
            listing
        };
        listing.flatten_stream().boxed()
    }

    async fn pass(&self, moment: Moment, writes: &[Write]) {
        let reached = {
            let mut counts = self.counts.lock().unwrap();
            let is_later = counts.commits > 0 && writes.contains(&Write::Commit);
            let later = is_later.then_some(Write::LaterCommit);
            let mut reached = None;
            for write in writes.iter().copied().chain(later) {
                let point = Point { moment, write };
                let passed = counts.passed.entry(point).or_default();
                *passed += 1;
                let here = Failpoint {
                    point,
                    nth: *passed,
                };
                if self.failpoint == Some(here) {
                    reached = Some(here);
                }
            }
            reached
        };
        if let Some(reached) = reached {
            die(reached).await;
        }
    }
}

/// Ends this process as a power cut would, apart from what the system has already taken.
async fn die(failpoint: Failpoint) {
    let words = format!("\n{LAST_WORDS}{failpoint}\n");
    std::io::stdout().write_all(words.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
    Command::new("kill")
        .args(["-KILL", &std::process::id().to_string()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    // What is being written here does not go on until the signal is there.
    std::future::pending::<()>().await;
}

/// What putting an object at `path` is.
fn put_at(path: &Path, payload: &PutPayload) -> &'static [Write] {
    let text = path.as_ref();
    let name = path.filename().unwrap_or_default();
    if text.starts_with("segments/") {
        &[Write::Segment]
    } else if text.contains("/_delta_log/") {
        match name {
            "00000000000000000000.json" => &[Write::TableCreation],
            name if name.contains("checkpoint") => &[Write::Checkpoint],
            _ => commit(payload),
        }
    } else {
        multipart_at(path)
    }
}

/// What completing an upload in parts to `path` is.
fn multipart_at(path: &Path) -> &'static [Write] {
    match path.filename() {
        Some(name) if name.ends_with(".checkpoint.parquet") => &[Write::Checkpoint],
        Some(name) if name.ends_with(".parquet") => &[Write::DataFile],
        _ => &[],
    }
}

/// What an entry of a log does.
fn commit(payload: &PutPayload) -> &'static [Write] {
    let bytes: Vec<u8> = payload.iter().flatten().copied().collect();
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap();
    let entry: Value = serde_json::from_slice(first).unwrap();
    match entry["commitInfo"]["operation"].as_str().unwrap() {
        "WRITE" => &[Write::Commit],
        "OPTIMIZE" => &[Write::Compaction],
        "DELETE" => &[Write::Expiry],
        "VACUUM START" => &[Write::CleaningStart],
        _ => &[],
    }
}

/// What deleting the object at `path` is.
fn deletion_at(path: &Path) -> &'static [Write] {
    match path.as_ref() {
        text if text.starts_with("segments/") => &[Write::SegmentDeletion],
        text if text.ends_with(".parquet") && !text.contains("/_delta_log/") => {
            &[Write::DataFileDeletion]
        }
        _ => &[],
    }
}

impl fmt::Display for Deadly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Deadly({})", self.objects)
    }
}

/// An upload in parts, which is a write when it is completed.
#[derive(Debug)]
struct DeadlyUpload {
    parts: Box<dyn MultipartUpload>,
    writes: &'static [Write],
    watch: Arc<Watch>,
}

#[async_trait]
impl MultipartUpload for DeadlyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.watch.before(self.writes).await;
        let outcome = self.parts.complete().await;
        self.watch.after(self.writes, &outcome).await;
        outcome
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.abort().await
    }
}

#[async_trait]
impl ObjectStore for Deadly {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let writes = put_at(location, &payload);
        self.watch.before(writes).await;
        let outcome = self.objects.put_opts(location, payload, options).await;
        self.watch.after(writes, &outcome).await;
        outcome
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let parts = self.objects.put_multipart_opts(location, options).await?;
        Ok(Box::new(DeadlyUpload {
            parts,
            writes: multipart_at(location),
            watch: Arc::clone(&self.watch),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.objects.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let watch = Arc::clone(&self.watch);
        let locations = locations.and_then(move |path| {
            let watch = Arc::clone(&watch);
            async move {
                watch.before(deletion_at(&path)).await;
                Ok(path)
            }
        });
        let watch = Arc::clone(&self.watch);
        let deleted = self.objects.delete_stream(locations.boxed());
        let deleted = deleted.then(move |outcome| {
            let watch = Arc::clone(&watch);
            async move {
                let writes = outcome.as_ref().map_or(&[][..], deletion_at);
                watch.after(writes, &outcome).await;
                outcome
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.watch.listed(prefix, self.objects.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.objects.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.objects.rename_opts(from, to, options).await
    }
}
