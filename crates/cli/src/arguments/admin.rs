//! The arguments of `vouch retention` and `vouch hold`.

use api::Scope;
use clap::{Args, Subcommand};
use events::WorkspaceId;
use events::settings::Retention;

use super::{StoreArgs, parse_time, scope};
use crate::failure::Failure;

/// Who knows what is set for workspaces.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Ask the service at this address instead of opening a store: `host:port`, or `unix:PATH`; changes need
    /// the address that `vouch serve --admin` has
    #[arg(long, value_name = "ADDR", conflicts_with = "store")]
    pub(crate) server: Option<String>,
}

/// On whose behalf something is set.
#[derive(Debug, Args)]
pub(crate) struct ActorArgs {
    /// Who does this, for the record [default: the environment variable USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl ActorArgs {
    /// The name of the one who does this.
    pub(crate) fn name(self) -> Result<String, Failure> {
        let environment = || std::env::var("USER").ok();
        let name = self.by.or_else(environment).filter(|name| !name.is_empty());
        name.ok_or_else(|| Failure::Usage("say who does this with --by".to_owned()))
    }
}

/// Whether something may be set for a workspace that is not in the store.
#[derive(Debug, Args)]
pub(crate) struct NewWorkspaceArgs {
    /// Make the workspace when it is not in the store yet; without this its name is taken for a mistake
    #[arg(long)]
    pub(crate) create: bool,
}

/// `vouch retention`.
#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Say how long events are kept, and what is held
    Show {
        #[command(flatten)]
        admin: AdminArgs,
        /// The workspaces, separated by commas; all when left out
        #[arg(long, value_name = "ID[,ID…]|*", value_parser = scope)]
        workspace: Option<Scope>,
    },
    /// Set how long events are kept; drops nothing, and says what the next run would drop
    Set {
        #[command(flatten)]
        admin: AdminArgs,
        /// The workspace
        #[arg(long, value_name = "ID")]
        workspace: WorkspaceId,
        #[command(flatten)]
        by: ActorArgs,
        #[command(flatten)]
        new: NewWorkspaceArgs,
        /// 30 days to 100 years, such as 90d, 1y, 2y or 7y
        retention: Retention,
    },
    /// Drop the days that are older than the retention, but for what is held
    Run {
        #[command(flatten)]
        admin: AdminArgs,
        /// The workspaces, separated by commas; all when left out
        #[arg(long, value_name = "ID[,ID…]|*", value_parser = scope)]
        workspace: Option<Scope>,
        /// Only say what would be dropped
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// Drop also a large share of the events at once
        #[arg(long)]
        confirm: bool,
    },
    /// Bring back what a run has dropped, as long as its files are there: for a day
    Undo {
        #[command(flatten)]
        admin: AdminArgs,
        /// The workspace
        #[arg(long, value_name = "ID")]
        workspace: WorkspaceId,
        #[command(flatten)]
        by: ActorArgs,
        /// The version of the table that the run made [default: the newest run of the last day that is not undone]
        #[arg(long, value_name = "NUMBER")]
        version: Option<u64>,
        /// Only say what would come back
        #[arg(long)]
        dry_run: bool,
    },
}

/// `vouch hold`.
#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Keep events of a time range, of a user, or all of a workspace
    Place(PlaceArgs),
    /// End a hold; what it covered goes with the next retention run
    Release {
        #[command(flatten)]
        admin: AdminArgs,
        /// The workspace
        #[arg(long, value_name = "ID")]
        workspace: WorkspaceId,
        #[command(flatten)]
        by: ActorArgs,
        /// The name of the hold
        name: String,
    },
    /// List the holds of a workspace
    List {
        #[command(flatten)]
        admin: AdminArgs,
        /// The workspace
        #[arg(long, value_name = "ID")]
        workspace: WorkspaceId,
    },
}

/// `vouch hold place`.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
    /// The workspace
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: WorkspaceId,
    /// Why the events are held
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Hold events from this time on: RFC 3339 or Unix milliseconds
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub(crate) from: Option<i64>,
    /// Hold events before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub(crate) to: Option<i64>,
    /// Hold events of this user: an id, a name or an e-mail address
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Hold every event of the workspace
    #[arg(long, conflicts_with_all = ["from", "to", "user"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) by: ActorArgs,
    #[command(flatten)]
    pub(crate) new: NewWorkspaceArgs,
    /// A name for the hold, unique in the workspace
    pub(crate) name: String,
}
