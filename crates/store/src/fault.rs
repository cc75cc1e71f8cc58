//! What verification finds wrong with the objects of a store.

/// Something that is wrong with a file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file's path under the root of the store.
    pub path: String,
    /// What is wrong with it.
    pub kind: FaultKind,
}

impl Fault {
    /// Something that cannot be read.
    pub(crate) fn unreadable(path: String, reason: String) -> Self {
        let kind = FaultKind::Unreadable(reason);
        Self { path, kind }
    }
}

/// What can be wrong with a file of a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The log names it, but it is not there.
    #[error("it is missing")]
    Missing,
    /// It has another size than the log says.
    #[error("it has {found} bytes, and the log says {logged} bytes")]
    Size {
        /// The bytes that it has.
        found: u64,
        /// The bytes that the log says.
        logged: u64,
    },
    /// Its bytes are not those that were committed.
    #[error("its content has changed since it was committed")]
    Changed,
    /// It cannot be read to its end.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It holds another number of events than the log says.
    #[error("it holds {found} events, and the log says {logged}")]
    Rows {
        /// The events that it holds.
        found: u64,
        /// The events that the log says.
        logged: u64,
    },
    /// Its dates are others than the log says, so that questions would leave it out.
    #[error(
        "its dates are {} to {} ms, and the log says {} to {} ms",
        found.0, found.1, logged.0, logged.1
    )]
    Dates {
        /// The smallest and the largest date that it holds, Unix milliseconds.
        found: (i64, i64),
        /// The same as the log says.
        logged: (i64, i64),
    },
    /// It holds events that belong elsewhere or lack what every event has.
    #[error("{count} of its events {problem}")]
    Misplaced {
        /// How many.
        count: u64,
        /// What is wrong with them, as the end of a sentence about them.
        problem: &'static str,
    },
    /// A segment is gone whose events no table has.
    #[error("it was removed before it was folded; `{witness}` says that it was there")]
    RemovedSegment {
        /// The path under the root of the store of what names it.
        witness: String,
    },
    /// An entry of the log is another one than a node has read or written.
    #[error("it is not the entry that was committed; `{witness}` has the digest of that one")]
    Replaced {
        /// The path under the root of the store of what has the digest.
        witness: String,
    },
    /// A version of the log is gone that a segment or a node says was committed.
    #[error(
        "{}, and `{witness}` says that version {committed} was committed; the newest entries of the log are lost",
        match .found {
            Some(found) => format!("its newest version is {found}"),
            None => "it is gone".to_owned(),
        }
    )]
    LostVersion {
        /// The newest version that is there.
        found: Option<u64>,
        /// The version that was committed.
        committed: u64,
        /// The path under the root of the store of what says so.
        witness: String,
    },
    /// An event id is in the table more than once on that day.
    #[error(
        "{count} of its event ids are stored twice on that day, such as `{id}`, also in `{other}`"
    )]
    Repeated {
        /// How many ids.
        count: u64,
        /// The first of them.
        id: String,
        /// The path of the file that has it too, which may be the same one.
        other: String,
    },
}
