//! Small data files, each of which is fetched once and as a whole.
//!
//! Readers fetch the end of a file first, which of a small file is all of it; what they want of it afterwards is here
//! already. Data files never change.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, Result};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::root::location::Location;

/// The size up to which a file is kept.
pub(crate) const LARGEST_BYTES: u64 = 64 * 1024;

/// What all kept files may take together.
const MEMORY_BYTES: u64 = 64 * 1024 * 1024;

/// About how large a small file is, for the size of the table of files.
const USUAL_BYTES: u64 = 16 * 1024;

/// Which bytes of a file are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Those that were fetched before, or else those that are in the object store.
    Kept,
    /// Those that are in the object store: what is kept was damaged in its transfer.
    Anew,
}

#[derive(Debug, Clone)]
struct BySize;

impl Weighter<Path, Bytes> for BySize {
    fn weight(&self, _: &Path, file: &Bytes) -> u64 {
        file.len() as u64 + 256
    }
}

/// The small data files that were read last.
#[derive(Debug, Clone)]
pub(crate) struct SmallFiles(Arc<Cache<Path, Bytes, BySize>>);

impl Default for SmallFiles {
    fn default() -> Self {
        let files = usize::try_from(MEMORY_BYTES / USUAL_BYTES).unwrap_or(1);
        Self(Arc::new(Cache::with_weighter(files, MEMORY_BYTES, BySize)))
    }
}

impl SmallFiles {
    /// The first `size_bytes` of a file, which are all of it.
    ///
    /// # Errors
    /// Those of the object store, also when it has fewer.
    pub(crate) async fn get(
        &self,
        location: &Location,
        path: &Path,
        size_bytes: u64,
        freshness: Freshness,
    ) -> Result<Bytes> {
        if freshness == Freshness::Kept
            && let Some(file) = self.0.get(path)
            && file.len() as u64 == size_bytes
        {
            return Ok(file);
        }
        // One call of the system's file functions on a local disk, where `get_range` takes two.
        let whole = 0..size_bytes;
        let range = std::slice::from_ref(&whole);
        let parts = location.objects.get_ranges(path, range).await?;
        let file = parts.into_iter().next().unwrap_or_default();
        if file.len() as u64 == size_bytes {
            self.0.insert(path.clone(), file.clone());
        }
        Ok(file)
    }
}
