//! The arguments of `vouch backup` and `vouch restore`.

use clap::Args;

use super::{ActorArgs, StoreArgs};

/// `vouch backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Where the backups of the store are: a directory, or an address such as s3://bucket/path
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Begin with the first backup there; without it, a place without backups is an error, as its volume may be
    /// missing
    #[arg(long)]
    pub(crate) new: bool,
    /// Read all copies of earlier backups again, and copy anew what is damaged; without it, one of 32 copies
    #[arg(long)]
    pub(crate) verify: bool,
}

/// `vouch restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Where the backups are: a directory, or an address such as s3://bucket/path
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Only read the backup and compare it with its digests
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take the newest backup, although objects of it are damaged or missing
    #[arg(long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) by: ActorArgs,
}
