//! The root of a store: its address, the paths of its objects, its marker, and its time.
//!
//! | module | is |
//! |---|---|
//! | `location` | an address, and the object store that it names |
//! | `paths` | every object path, built and parsed |
//! | `segment_key` | the name of a segment |
//! | `marker` | the object that says which store is at a root |
//! | `start_probe` | tries what Vouch relies on of an object store |
//! | `clock` | the time of a node, and its difference from the time of the store |
//! | `object_read` | reads one object, and separates a damaged object from a store that does not answer |
//! | `synced_fs` | a local disk whose writes survive a power cut |

pub(crate) mod clock;
pub(crate) mod location;
pub(crate) mod marker;
mod object_read;
pub(crate) mod paths;
pub(crate) mod segment_key;
mod start_probe;
pub(crate) mod synced_fs;
