//! The name of a segment.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

const MILLISECONDS_DIGITS: usize = 13;
const SEQUENCE_DIGITS: usize = 10;

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

impl fmt::Display for SegmentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:0MILLISECONDS_DIGITS$}-{}-{:0SEQUENCE_DIGITS$}",
            self.written_ms,
            self.node.simple(),
            self.sequence
        )
    }
}

impl FromStr for SegmentKey {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidToken(text.to_owned());
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or_else(invalid);
        let key = Self {
            written_ms: next()?.parse().map_err(|_| invalid())?,
            node: Uuid::try_parse(next()?).map_err(|_| invalid())?,
            sequence: next()?.parse().map_err(|_| invalid())?,
        };
        // One text for one key, or a listing could show the same segment under two names.
        match key.to_string() == text {
            true => Ok(key),
            false => Err(invalid()),
        }
    }
}

/// Proof of an acknowledged write: a question that carries it sees the write on any node.
///
/// Its text is short and has letters, digits and dashes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriteToken(pub(crate) SegmentKey);

impl fmt::Display for WriteToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for WriteToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A text that no write was acknowledged with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no token of a write; give the token of an acknowledgement as it came")]
pub struct InvalidToken(String);

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
        for wrong in [
            "",
            "1-2-3",
            "x",
            "0000000000000-00000000000000000000000000000007-1",
        ] {
            assert!(wrong.parse::<WriteToken>().is_err(), "{wrong}");
        }
    }
}
