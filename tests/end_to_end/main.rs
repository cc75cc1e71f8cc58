//! End-to-end tests: Vouch from outside, by its answers, its command line and its service.
//!
//! | module | tests |
//! |---|---|
//! | `cases` | the language: every question in `tests/cases/*.md` has the answer that stands there |
//! | `oracle` | answers against a second, naive evaluation |
//! | `mutations` | objects that are damaged at random: answers are right, or errors |
//! | `importing` | files into a store: what is taken, what is refused |
//! | `asking` | questions on the command line: answers, exit statuses, the other subcommands |
//! | `exporting` | answers in every format hold the same rows |
//! | `service` | `vouch serve`, asked by a client that knows only the interface |
//! | `editors` | the calls for editors: what is wrong with a text, what may stand in it |
//! | `requests` | options of requests to the service |
//! | `hostile` | questions that are made to hurt |
//! | `ingest` | events through every door of the service |
//! | `retention` | how long events are kept, and which are held |
//! | `s3` | a store in S3 |
//! | `absence` | stores that are not there, or not any more |
//! | `repairing` | damaged stores, and what is done about them |
//! | `backups` | a store that is backed up while it is used, and restored |
//! | `crash` | nodes that are killed at the worst moments |
//! | `delta` | the store as another reader of Delta tables finds it |
//! | `docs_commands` | what README.md and docs/*.md tell to type |
//! | `program` | the program, run in a directory of its own |
//! | `record` | how far a proof of many runs has come |

/// The allocator of the program.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(test)]
mod absence;
#[cfg(test)]
mod asking;
#[cfg(test)]
mod backups;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod delta;
#[cfg(test)]
mod docs_commands;
#[cfg(test)]
mod editors;
#[cfg(test)]
mod exporting;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod importing;
#[cfg(test)]
mod ingest;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod program;
#[cfg(test)]
mod record;
#[cfg(test)]
mod repairing;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod s3_server;
#[cfg(test)]
mod service;
