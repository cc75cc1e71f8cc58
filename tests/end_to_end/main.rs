#![doc = include_str!("../README.md")]

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
mod plans;
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
#[cfg(test)]
mod tidy;
