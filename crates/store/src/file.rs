//! One Parquet data file: its layout, writing and reading it, and the proofs of its bytes.
//!
//! | module | is |
//! |---|---|
//! | `layout` | the order, encoding and page size of the rows of a file |
//! | `writer` | writes one data file |
//! | `reader` | reads one data file and compares its bytes with the log |
//! | `footer` | the footers of files, in memory |
//! | `blocks` | digests of parts of a file |
//! | `digest` | the digest of a whole file |
//! | `small_files` | files that one request fetches as a whole |
//! | `decoded` | the decoded size of events, which bounds memory |
//! | `statistics` | the statistics of a file in the form of the Delta protocol |
//! | `event_ids` | the event ids that files hold |
//! | `claims` | the id under which an event is stored when another event has its id |

pub(crate) mod blocks;
pub(crate) mod claims;
pub(crate) mod decoded;
pub(crate) mod digest;
pub(crate) mod event_ids;
pub(crate) mod footer;
pub(crate) mod layout;
pub(crate) mod reader;
pub(crate) mod small_files;
pub(crate) mod statistics;
pub(crate) mod writer;
