//! The command line.

mod admin;
mod backup;
mod limits;
mod queries;

use std::net::SocketAddr;
use std::path::PathBuf;

use api::{Cursor, Scope, Stage};
use chrono_tz::Tz;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use events::WorkspaceId;
use events::WriteToken;
use server::AdminAddress;

pub(crate) use admin::{ActorArgs, AdminArgs, HoldCommand, PlaceArgs, RetentionCommand};
pub(crate) use backup::{BackupArgs, RestoreArgs};
pub(crate) use limits::LimitArgs;
pub(crate) use queries::QueryLimitArgs;

/// Vouch answers DQL questions about audit events.
///
/// Exit status: 0 done, 1 the question or some of the input is wrong, 2 the command line is wrong,
/// 3 the engine, the store or the service failed.
#[derive(Debug, Parser)]
#[command(name = "vouch", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer four questions about sample events; nothing to set up, nothing left behind
    Demo,
    /// Make a new, empty store
    Init(InitArgs),
    /// Store the events of files
    Import(ImportArgs),
    /// Answer a DQL question
    Query(QueryArgs),
    /// Check a DQL text and print it in its canonical form; needs no store
    Check {
        /// The DQL text; `-` reads it from standard input
        query: String,
    },
    /// Show how a DQL text is understood and what it would read; --analyze runs it too
    Explain(ExplainArgs),
    /// Say how much each workspace of a store holds
    Stats(StatsArgs),
    /// Read every file of a store and compare it with what was committed
    Verify(VerifyArgs),
    /// Show, set or run how long events are kept
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Keep events from being dropped, whatever the retention is
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Move what is damaged out of the way, with a record of what is lost
    #[command(subcommand)]
    Repair(RepairCommand),
    /// Copy a store while it is used; what earlier backups have is not copied again
    Backup(BackupArgs),
    /// Make a store of a backup
    Restore(RestoreArgs),
    /// Merge small files into large ones, and delete what nobody needs any more
    Compact(CompactArgs),
    /// Write files of older versions anew, so that reading a part of one compares that part only
    Upgrade(UpgradeArgs),
    /// Take events in and answer questions over the network, until SIGINT or SIGTERM
    Serve(ServeArgs),
    /// Write made-up events as NDJSON to standard output
    Generate(GenerateArgs),
}

/// Where the events are.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// The store: a directory, or an address such as s3://bucket/path [default: the environment
    /// variable VOUCH_STORE, else ./vouch-data]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl StoreArgs {
    /// The address of the store. The environment is asked here and not by clap, which would take it for
    /// a `--store` beside `--server`.
    pub(crate) fn url(&self) -> String {
        let environment = || std::env::var("VOUCH_STORE").ok();
        let url = self.store.clone().or_else(environment);
        url.filter(|url| !url.is_empty())
            .unwrap_or_else(|| "./vouch-data".to_owned())
    }
}

/// Who answers, and whose events the question is about.
#[derive(Debug, Args)]
pub(crate) struct QueryTargetArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Ask the service at this address (`host:port`) instead of opening a store
    #[arg(long, value_name = "ADDR", conflicts_with = "store")]
    pub(crate) server: Option<String>,
    /// The workspaces, separated by commas, or '*' for all; may be left out for a store with one
    #[arg(long, value_name = "ID[,ID…]|*", value_parser = scope)]
    pub(crate) workspace: Option<Scope>,
    /// The begin of the window: RFC 3339 or Unix milliseconds; overrides the text
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub(crate) from: Option<i64>,
    /// The end of the window, itself outside; now when only --from is given
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "from", allow_negative_numbers = true)]
    pub(crate) to: Option<i64>,
    /// The time zone of dates, presets and steps, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub(crate) tz: Option<Tz>,
}

/// `vouch query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) target: QueryTargetArgs,
    /// The form of the answer
    ///
    /// table and json keep to LIMIT and SLIMIT. The others stream every row of one statement: csv
    /// (header, an empty cell for null, times in Unix milliseconds, cells exactly as stored, also
    /// those that a spreadsheet would take for a formula), ndjson, arrow (an IPC stream), parquet.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Write the answer to this file; it appears only when the answer is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Count all matching events, also where that means reading more
    #[arg(long)]
    pub(crate) exact_total_hits: bool,
    /// Go on behind a page: its `search_after` from the JSON form, such as '[0,"id","workspace"]'; the
    /// first page may have '[]'
    #[arg(long, value_name = "JSON", value_parser = position)]
    pub(crate) search_after: Option<Cursor>,
    /// Only events before this Unix time, newest first: the end of the window, then the
    /// `next_cursor_time` of the JSON form until that is -1
    #[arg(long, value_name = "TIME", conflicts_with = "search_after")]
    pub(crate) cursor_time: Option<i64>,
    /// The token of an acknowledged write, whose events the answer must have; may be repeated
    #[arg(long, value_name = "TOKEN")]
    pub(crate) after: Vec<WriteToken>,
    /// The DQL text; `-` reads it from standard input
    pub(crate) query: String,
}

/// The place that a page ended at, as the JSON form tells it.
fn position(text: &str) -> Result<Cursor, String> {
    let values = serde_json::from_str(text).map_err(|_| {
        "a place is the list that an answer gives, such as [0,\"id\",\"workspace\"]".to_owned()
    })?;
    Ok(Cursor { values })
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading
    Table,
    /// As existing DQL clients read it
    Json,
    /// Comma-separated values
    Csv,
    /// One JSON object a row
    Ndjson,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

/// `vouch explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) target: QueryTargetArgs,
    /// The stage to show; ast needs no store
    #[arg(long, value_enum, default_value_t = StageName::Physical)]
    pub(crate) stage: StageName,
    /// Run the query, and show its operators with their metrics
    #[arg(long, conflicts_with = "stage")]
    pub(crate) analyze: bool,
    /// The DQL text; `-` reads it from standard input
    pub(crate) query: String,
}

/// A stage of [`Stage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageName {
    /// What was written
    Ast,
    /// What it means
    Bound,
    /// The plan
    Logical,
    /// What would run, and the files and bytes it would read
    Physical,
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Self {
        match name {
            StageName::Ast => Self::Ast,
            StageName::Bound => Self::Bound,
            StageName::Logical => Self::Logical,
            StageName::Physical => Self::Physical,
        }
    }
}

/// `vouch init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `vouch import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// How records of another product become events: cloudtrail, kubernetes, okta, or a jq file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) mapping: Option<String>,
    /// The workspace of events that name none
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: Option<WorkspaceId>,
    /// NDJSON, CSV or Parquet, also as .gz or .zst; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// `vouch stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = StatsFormat::Table)]
    pub(crate) format: StatsFormat,
}

/// The form of `vouch stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsFormat {
    /// For reading
    Table,
    /// For programs
    Json,
}

/// `vouch verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The workspaces, separated by commas; all when left out
    #[arg(long, value_name = "ID[,ID…]|*", value_parser = scope)]
    pub(crate) workspace: Option<Scope>,
}

/// `vouch repair`.
#[derive(Debug, Subcommand)]
pub(crate) enum RepairCommand {
    /// Segments of which events are lost: show them, or move them to `set-aside`
    ///
    /// Questions about a workspace that has lost events are refused until then. What is whole of a segment
    /// is stored in its tables first, and an audit event in each workspace says what is lost.
    Segments(RepairObjectsArgs),
    /// Heads that are damaged, which are what nodes say about the store: show them, or move them to `set-aside`
    ///
    /// What a damaged head of a node that has vanished said about removed events is lost. An audit event in every
    /// workspace says so.
    Heads(RepairObjectsArgs),
    /// The table of a workspace: say what is damaged of its log and its data files, or repair it
    ///
    /// Damaged objects are moved to `set-aside`. A log that lost entries is rebuilt from what can be read of it and
    /// from data files; stop every `vouch serve` on the store before. An audit event in the workspace says what
    /// was done.
    Table(RepairTableArgs),
}

/// `vouch repair table`.
#[derive(Debug, Args)]
pub(crate) struct RepairTableArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The workspace
    #[arg(long, value_name = "ID")]
    pub(crate) workspace: WorkspaceId,
    /// Repair it; without this, nothing is changed
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) by: ActorArgs,
}

/// `vouch repair segments` and `vouch repair heads`.
#[derive(Debug, Args)]
pub(crate) struct RepairObjectsArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Move them; without it, nothing is changed
    #[arg(long)]
    pub(crate) apply: bool,
    #[command(flatten)]
    pub(crate) by: ActorArgs,
}

/// `vouch compact`.
#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The workspaces, separated by commas; all when left out
    #[arg(long, value_name = "ID[,ID…]|*", value_parser = scope)]
    pub(crate) workspace: Option<Scope>,
    /// Only say what would be merged and deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `vouch upgrade`.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The workspaces, separated by commas; all when left out
    #[arg(long, value_name = "ID[,ID…]|*", value_parser = scope)]
    pub(crate) workspace: Option<Scope>,
    /// Only say what would be written anew
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `vouch serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The address to listen on for gRPC; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub(crate) grpc: SocketAddr,
    /// The address to listen on for HTTP; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,
    /// Where settings and holds may be changed: an address or `unix:PATH`, which only this user may open;
    /// nowhere when left out
    #[arg(long, value_name = "ADDR|unix:PATH")]
    pub(crate) admin: Option<AdminAddress>,
    /// A name that HTTP requests may call the service by, such as that of a proxy in front of it: needed for browsers,
    /// and for all when the service listens on this machine only; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) allowed_host: Vec<String>,
    /// A jq file that requests may name as their mapping, by its name without `.jq`; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Vec<PathBuf>,
    /// The mapping for log records that come by OTLP: cloudtrail, kubernetes, okta, or a jq file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) otlp_mapping: Option<String>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) queries: QueryLimitArgs,
}

/// `vouch generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// What the events are for
    #[arg(long, value_enum, default_value_t = Profile::Sample)]
    pub(crate) profile: Profile,
    /// What decides every event; the same seed gives the same text
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many events
    #[arg(long, default_value_t = 4_000)]
    pub(crate) events: u64,
    /// How many workspaces a load has, the largest first [default: 20]
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) workspaces: Option<u32>,
    /// How many days a load lies in [default: 62]
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=36_500))]
    pub(crate) days: Option<u32>,
    /// The end of the days that the events lie in; a sample has 14
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "2026-11-20T15:00:00Z")]
    pub(crate) to: i64,
}

/// What generated events are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Looking at: three workspaces, and incidents that an analyst should find
    Sample,
    /// Measuring: the shape of a large installation, and as many events as wanted
    Load,
}

fn scope(text: &str) -> Result<Scope, String> {
    if text == "*" {
        return Ok(Scope::All);
    }
    let ids: Result<Vec<WorkspaceId>, _> = text.split(',').map(str::parse).collect();
    ids.map(Scope::Workspaces)
        .map_err(|error| error.to_string())
}

fn parse_time(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(unix_ms) => Ok(unix_ms),
        Err(_) => events::parse_timestamp(text).map_err(|error| format!("{error}, nor Unix ms")),
    }
}

fn time_zone(text: &str) -> Result<Tz, String> {
    api::time_zone(text).ok_or_else(|| {
        "no such time zone in the IANA database; a name such as Europe/Berlin, or an offset in whole \
         hours such as +08:00"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn query(arguments: &[&str]) -> Result<QueryArgs, clap::Error> {
        let given = ["vouch", "query"].iter().chain(arguments);
        match Cli::try_parse_from(given)?.command {
            Command::Query(arguments) => Ok(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_scope_is_all_or_a_list() {
        assert_eq!(scope("*"), Ok(Scope::All));
        let ids = vec!["a".parse().unwrap(), "b.c".parse().unwrap()];
        assert_eq!(scope("a,b.c"), Ok(Scope::Workspaces(ids)));
        assert!(scope("a,").is_err());
        assert!(scope("a,../b").is_err());
    }

    #[test]
    fn a_moment_is_rfc_3339_or_unix_milliseconds() {
        assert_eq!(
            parse_time("2026-11-21T00:00:00+01:00"),
            Ok(1_795_215_600_000)
        );
        assert_eq!(parse_time("-5"), Ok(-5));
        assert!(parse_time("yesterday").is_err());
    }

    #[test]
    fn a_query_takes_its_options() {
        let given = query(&[
            "--workspace",
            "*",
            "--from",
            "5",
            "--tz",
            "Asia/Tokyo",
            "TAE::audit:(*)",
        ]);
        let given = given.unwrap();
        assert_eq!(given.target.workspace, Some(Scope::All));
        assert_eq!((given.target.from, given.target.to), (Some(5), None));
        assert_eq!(given.target.tz, Some(Tz::Asia__Tokyo));
        assert_eq!(given.format, Format::Table);
    }

    #[test]
    fn an_end_needs_a_begin() {
        assert!(query(&["--to", "5", "x"]).is_err());
        assert!(query(&["--tz", "Mars", "x"]).is_err());
        let given = query(&["--tz=-03:00", "x"]).unwrap();
        assert_eq!(given.target.tz, Some(Tz::Etc__GMTPlus3));
        assert!(query(&["--format", "xml", "x"]).is_err());
        assert!(query(&[]).is_err());
    }
}
