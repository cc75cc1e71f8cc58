//! The Delta table of a workspace: its log, written and read.
//!
//! | module | is |
//! |---|---|
//! | `log` | writes commits |
//! | `table` | the log, loaded and kept up to date |
//! | `snapshot` | the files of a table at one version |
//! | `schema` | the columns of a table |
//! | `delivery` | the delivery of the events of a file, as a tag in the log |
//! | `folded_segments` | the segments that a commit took in |
//! | `audit_event` | the audit event that a commit carries |
//! | `heads` | the newest versions and segments that each node knows, so that their removal is noticed |
//! | `diagnose` | finds the damage of a log that cannot be read |

pub(crate) mod audit_event;
pub(crate) mod delivery;
pub(crate) mod diagnose;
pub(crate) mod folded_segments;
pub(crate) mod heads;
pub(crate) mod log;
pub(crate) mod schema;
pub(crate) mod snapshot;
pub(crate) mod table;
