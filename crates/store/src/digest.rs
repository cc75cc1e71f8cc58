//! Digests of data files: what tells a changed file from the one that was committed.

use std::fmt;
use std::str::FromStr;

/// The key under which the log holds the digest of a file, among the tags of its entry.
pub(crate) const TAG: &str = "vouch.blake3";

/// The BLAKE3 digest of a file's bytes; its text is 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
