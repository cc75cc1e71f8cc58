//! The segments that a fold took, as a commit names them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::root::segment_key::SegmentKey;

/// The key of what Vouch records of a commit under which the segments are.
const INFO_KEY: &str = "folded";

/// Segments by their nodes, as ranges of sequences: a fold mostly takes consecutive segments of few nodes, so this
/// stays small however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FoldedSegments(BTreeMap<Uuid, BTreeMap<u64, u64>>);

impl FoldedSegments {
    pub(crate) fn insert(&mut self, key: &SegmentKey) {
        if !self.contains(key) {
            self.insert_range(key.node, key.sequence, key.sequence);
        }
    }

    /// Inserts a range, which may overlap others.
    fn insert_range(&mut self, node: Uuid, first: u64, last: u64) {
        let ranges = self.0.entry(node).or_default();
        let touches = |(start, end): &(&u64, &u64)| {
            **start <= last.saturating_add(1) && end.saturating_add(1) >= first
        };
        let touched = ranges.iter().filter(touches);
        let touched: Vec<(u64, u64)> = touched.map(|(start, end)| (*start, *end)).collect();
        let (mut first, mut last) = (first, last);
        for (start, end) in touched {
            ranges.remove(&start);
            first = first.min(start);
            last = last.max(end);
        }
        ranges.insert(first, last);
    }

    /// Adds the segments of another fold.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (node, ranges) in &other.0 {
            for (first, last) in ranges {
                self.insert_range(*node, *first, *last);
            }
        }
    }

    pub(crate) fn contains(&self, key: &SegmentKey) -> bool {
        let ranges = self.0.get(&key.node);
        let range = ranges.and_then(|ranges| ranges.range(..=key.sequence).next_back());
        range.is_some_and(|(_, last)| *last >= key.sequence)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the segments to what Vouch records of a commit, when there are any.
    pub(crate) fn write_to(&self, info: &mut Map<String, Value>) {
        if self.is_empty() {
            return;
        }
        let nodes = self.0.iter().map(|(node, ranges)| {
            let ranges: Vec<[u64; 2]> =
                ranges.iter().map(|(first, last)| [*first, *last]).collect();
            (node.simple().to_string(), json!(ranges))
        });
        info.insert(INFO_KEY.to_owned(), Value::Object(nodes.collect()));
    }

    /// Reads what Vouch has recorded of a commit; what cannot be understood names no segment.
    pub(crate) fn read(info: &Value) -> Self {
        let mut folded = Self::default();
        for (node, ranges) in info[INFO_KEY].as_object().into_iter().flatten() {
            let ranges = serde_json::from_value::<Vec<[u64; 2]>>(ranges.clone());
            if let (Ok(node), Ok(ranges)) = (Uuid::try_parse(node), ranges) {
                for [first, last] in ranges {
                    folded.insert_range(node, first, last);
                }
            }
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranges come back from JSON, and hold what was inserted in any order.
    #[test]
    fn folded_segments_come_back() {
        let key = |node, sequence| SegmentKey {
            written_ms: sequence,
            node: Uuid::from_u128(node),
            sequence,
        };
        let mut folded = FoldedSegments::default();
        for sequence in [5, 3, 4, 9, 0, 4, u64::MAX] {
            folded.insert(&key(1, sequence));
        }
        folded.insert(&key(2, 7));
        let mut info = Map::new();
        folded.write_to(&mut info);
        let ranges = info["folded"][&Uuid::from_u128(1).simple().to_string()].to_string();
        assert_eq!(ranges, format!("[[0,0],[3,5],[9,9],[{0},{0}]]", u64::MAX));
        let read = FoldedSegments::read(&Value::Object(info));
        assert_eq!(read, folded);
        let found = (0..12).filter(|sequence| read.contains(&key(1, *sequence)));
        assert_eq!(found.collect::<Vec<_>>(), [0, 3, 4, 5, 9]);
        assert!(!read.contains(&key(2, 6)) && !read.contains(&key(3, 0)));
        assert!(FoldedSegments::read(&json!({"folded": {"x": 5}})).is_empty());
        let mut other = FoldedSegments::default();
        for sequence in [1, 2, 4, 7] {
            other.insert(&key(1, sequence));
        }
        other.extend(&read);
        let all = (0..12).filter(|sequence| other.contains(&key(1, *sequence)));
        assert_eq!(all.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 7, 9]);
    }
}
