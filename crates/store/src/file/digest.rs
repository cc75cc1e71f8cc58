//! Digests of data files: they show whether a file has changed since it was committed.

use std::fmt;
use std::str::FromStr;

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::error::StoreError;
use crate::root::location::Location;

/// The key under which the log holds the digest of a file, among the tags of its entry.
pub(crate) const TAG: &str = "vouch.blake3";

/// The BLAKE3 digest of a file's bytes; its text is 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(blake3::Hash);

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash)
    }
}

impl FromStr for Digest {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Reads an object in full; returns its size in bytes and its digest.
///
/// # Errors
///
/// As for [`Location::read_object`].
pub(crate) async fn of_object(
    location: &Location,
    path: &Path,
) -> Result<(u64, Digest), StoreError> {
    let read = || async {
        let mut bytes = location.objects.get(path).await?.into_stream();
        let mut hasher = blake3::Hasher::new();
        let mut size_bytes = 0;
        while let Some(part) = bytes.try_next().await? {
            size_bytes += part.len() as u64;
            hasher.update(&part);
        }
        Ok((size_bytes, hasher.finalize().into()))
    };
    location.read_object(path, read).await
}
