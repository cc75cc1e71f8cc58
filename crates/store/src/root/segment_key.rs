//! The name of a segment.

use std::fmt;
use std::str::FromStr;

use events::{InvalidToken, WriteToken};
use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

/// The name of a segment, which sorts by the time of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct SegmentKey {
    /// When the node began to write it, by its clock, in Unix milliseconds.
    pub(crate) written_ms: u64,
    /// The node that wrote it; a node has a new name each time it starts.
    pub(crate) node: Uuid,
    /// Counts the segments of the node.
    pub(crate) sequence: u64,
}

/// The version of the UUID that a parked segment has in place of a node; nodes have version 4.
const PARKED_VERSION: usize = 8;

impl SegmentKey {
    /// The key of a new parked segment, whose oldest event was written at `written_ms`.
    pub(crate) fn parked(written_ms: u64) -> Self {
        let random = Uuid::new_v4().into_bytes();
        Self {
            written_ms,
            node: Uuid::new_v8(random),
            sequence: 0,
        }
    }

    /// Whether the segment holds events of one workspace only, whose table could not be written.
    pub(crate) fn is_parked(&self) -> bool {
        self.node.get_version_num() == PARKED_VERSION && self.node.get_variant() == Variant::RFC4122
    }
}

impl From<SegmentKey> for String {
    fn from(key: SegmentKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for SegmentKey {
    type Error = InvalidToken;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SegmentKey> for WriteToken {
    fn from(key: SegmentKey) -> Self {
        Self {
            written_ms: key.written_ms,
            node: key.node,
            sequence: key.sequence,
        }
    }
}

impl From<WriteToken> for SegmentKey {
    fn from(token: WriteToken) -> Self {
        Self {
            written_ms: token.written_ms,
            node: token.node,
            sequence: token.sequence,
        }
    }
}

impl fmt::Display for SegmentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        WriteToken::from(*self).fmt(formatter)
    }
}

impl FromStr for SegmentKey {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<WriteToken>().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back_and_sort_by_time() {
        let key = |written_ms, sequence| SegmentKey {
            written_ms,
            node: Uuid::from_u128(7),
            sequence,
        };
        let keys = [
            key(0, 3),
            key(9, 1),
            key(1_795_219_200_000, 0),
            key(1_795_219_200_000, 12),
        ];
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].to_string() < pair[1].to_string());
        }
        // The names of clocks after 2286 have a digit more, and sort as texts before those of today.
        let (today, far) = (keys[3], key(10_000_000_000_000, 0));
        assert!(today < far);
        assert!(far.to_string() < today.to_string());
        for key in keys.into_iter().chain([far]) {
            assert_eq!(key.to_string().parse(), Ok(key));
            assert!(!key.is_parked());
        }
        let parked = SegmentKey::parked(9);
        assert_eq!(parked.to_string().parse(), Ok(parked));
        assert!(parked.is_parked());
    }
}
