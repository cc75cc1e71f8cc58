//! Loads the same events into every engine, and tells how long that takes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use events::{FIELDS, FieldType};
use store::{Store, StoreOptions};

use crate::Result;
use crate::dialect::Dialect;
use crate::literals::{DAYS, END, Found, LARGEST};
use crate::peer::Peer;
use crate::work::{Loaded, Work};

/// Texts with few different values, which ClickHouse keeps as `LowCardinality`.
#[rustfmt::skip]
const LOW_CARDINALITY: [&str; 23] = [
    "df_source", "df_status", "df_origin", "df_menu", "df_title", "df_user_id", "df_user_name",
    "df_user_email", "df_user_team", "df_role_scope", "df_query_typeDQL", "df_query_range", "df_workspace",
    "action", "category", "product", "result", "user_agent", "device_id", "country", "city", "token_id",
    "target_user",
];

/// How fast NDJSON is compressed, rather than how well.
const ZSTD_LEVEL: i32 = 1;

/// What loads events: the program of Vouch and Python with the peers.
#[derive(Debug)]
pub(crate) struct Loader<'a> {
    pub(crate) work: &'a Work,
    pub(crate) program: &'a Path,
    pub(crate) python: &'a Path,
}

impl Loader<'_> {
    /// Makes the events, as NDJSON and Parquet, unless they are there.
    pub(crate) fn make_events(&self) -> Result<()> {
        make_ndjson(self.work, self.program)?;
        let parquet = self.work.parquet();
        if !parquet.is_file() {
            let unfinished = parquet.with_extension("unfinished");
            let mut peer = self.scratch_peer()?;
            peer.run(&format!(
                "COPY (SELECT * REPLACE (attributes::VARCHAR AS attributes) FROM {}) TO '{}' (FORMAT parquet, COMPRESSION zstd)",
                self.duckdb_ndjson(),
                unfinished.display()
            ))?;
            peer.close()?;
            fs::rename(unfinished, parquet)?;
        }
        Ok(())
    }

    /// Imports into Vouch, from both formats, and compacts.
    pub(crate) async fn vouch(&self) -> Result<Loaded> {
        let store = self.work.vouch();
        // An import makes a store where no directory is.
        fs::remove_dir(emptied(&store)?)?;
        let parquet = vouch(self.program, "import", &store, &[&self.work.parquet()])?;
        let compact = vouch(self.program, "compact", &store, &[])?;
        let scratch = emptied(&self.work.scratch())?;
        let ndjson = vouch(
            self.program,
            "import",
            &scratch.join("vouch"),
            &[&self.work.ndjson()],
        )?;
        emptied(&scratch)?;
        self.link_for_datafusion().await?;
        let bytes = bytes_on_disk(&store).await?;
        Ok(Loaded {
            steps: vec![
                ("from NDJSON".to_owned(), ndjson.as_secs_f64()),
                ("from Parquet".to_owned(), parquet.as_secs_f64()),
                ("compact".to_owned(), compact.as_secs_f64()),
            ],
            bytes,
        })
    }

    /// Gives DataFusion the active files of Vouch's tables under other names, since the folders also hold
    /// files that are replaced.
    async fn link_for_datafusion(&self) -> Result<()> {
        let folder = self.work.vouch();
        let links = emptied(&self.work.peer(Dialect::DataFusion))?;
        let store = Store::open(&folder.to_string_lossy(), &StoreOptions::default())?;
        for workspace in store.workspaces_with_table().await? {
            let snapshot = store.snapshot(&workspace).await?;
            let snapshot = snapshot.ok_or("a table is missing")?;
            for file in snapshot.files.iter() {
                let path = file.path.as_ref();
                let link = links.join(path);
                fs::create_dir_all(link.parent().ok_or("a file lies nowhere")?)?;
                fs::hard_link(folder.join(path), link)?;
            }
        }
        Ok(())
    }

    /// Loads into DuckDB, sorted, from both formats.
    pub(crate) fn duckdb(&self) -> Result<Loaded> {
        let database = self.work.peer(Dialect::DuckDb);
        let parquet = format!("read_parquet('{}')", self.work.parquet().display());
        let scratch = emptied(&self.work.scratch())?;
        let from_ndjson = self.duckdb_table(&scratch.join("duckdb"), &self.duckdb_ndjson())?;
        emptied(&scratch)?;
        if database.exists() {
            fs::remove_file(&database)?;
        }
        let from_parquet = self.duckdb_table(&database, &parquet)?;
        Ok(Loaded {
            steps: vec![
                ("from NDJSON".to_owned(), from_ndjson.as_secs_f64()),
                ("from Parquet".to_owned(), from_parquet.as_secs_f64()),
            ],
            bytes: size(&database)?,
        })
    }

    fn duckdb_table(&self, database: &Path, source: &str) -> Result<Duration> {
        let mut peer = Peer::start(self.python, Dialect::DuckDb, database)?;
        let took = peer.run(&format!(
            r#"CREATE TABLE events AS SELECT * FROM {source} ORDER BY df_workspace, "date""#
        ))?;
        let took = took + peer.run("CHECKPOINT")?;
        peer.close()?;
        Ok(took)
    }

    /// NDJSON as DuckDB reads it, with the columns of Vouch.
    fn duckdb_ndjson(&self) -> String {
        let columns = FIELDS.iter().map(|field| {
            let name = field.name;
            match field.field_type {
                FieldType::Int => format!("'{name}': 'BIGINT'"),
                FieldType::String => format!("'{name}': 'VARCHAR'"),
                FieldType::Json => format!("'{name}': 'JSON'"),
            }
        });
        let columns: Vec<String> = columns.collect();
        format!(
            "read_json('{}', format = 'newline_delimited', columns = {{{}}})",
            self.work.ndjson().display(),
            columns.join(", ")
        )
    }

    /// Loads into ClickHouse from Parquet, and merges the parts.
    pub(crate) fn clickhouse(&self) -> Result<Loaded> {
        let folder = emptied(&self.work.peer(Dialect::ClickHouse))?;
        let mut peer = Peer::start(self.python, Dialect::ClickHouse, &folder)?;
        let columns = clickhouse_columns();
        peer.run(&format!(
            r#"CREATE TABLE events ({columns},
                INDEX event_id df_event_id TYPE bloom_filter(0.001) GRANULARITY 1,
                INDEX operation_id df_operation_id TYPE bloom_filter(0.001) GRANULARITY 1)
            ENGINE = MergeTree ORDER BY (df_workspace, "date")"#
        ))?;
        let insert = peer.run(&format!(
            "INSERT INTO events SELECT * FROM file('{}', 'Parquet', '{}')",
            self.work.parquet().display(),
            columns.replace('\'', "\\'")
        ))?;
        let merge = peer.run("OPTIMIZE TABLE events FINAL")?;
        let sizes = peer.ask(
            "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND table = 'events'",
            &["bytes"],
        )?;
        peer.close()?;
        let bytes = sizes.rows.first().and_then(|row| row.first()?.as_u64());
        Ok(Loaded {
            steps: vec![
                ("from Parquet".to_owned(), insert.as_secs_f64()),
                ("merge".to_owned(), merge.as_secs_f64()),
            ],
            bytes: bytes.ok_or("ClickHouse does not tell its size")?,
        })
    }

    /// Values for looking up, from the store of DuckDB: the same ones each time.
    pub(crate) fn find(&self) -> Result<Found> {
        let path = self.work.peer(Dialect::DuckDb);
        let mut peer = Peer::start(self.python, Dialect::DuckDb, &path)?;
        let mut list = |column: &str, order: &str, offset: usize| -> Result<Vec<String>> {
            let sql = format!(
                "SELECT {column} AS found FROM events WHERE df_workspace = '{LARGEST}' AND {column} IS NOT NULL GROUP BY {column} ORDER BY {order}, {column} LIMIT 100 OFFSET {offset}"
            );
            let rows = peer.ask(&sql, &["found"])?.rows;
            let texts = rows.iter().filter_map(|row| row.first()?.as_str());
            Ok(texts.map(str::to_owned).collect())
        };
        let found = Found {
            // Neither the busiest nor those with hardly any event.
            users: list("df_user_id", "count(*) DESC", 5)?,
            events: list("df_event_id", "md5(df_event_id)", 0)?,
            operations: list("df_operation_id", "md5(df_operation_id)", 0)?,
        };
        peer.close()?;
        Ok(found)
    }

    fn scratch_peer(&self) -> Result<Peer> {
        let scratch = emptied(&self.work.scratch())?;
        Peer::start(self.python, Dialect::DuckDb, &scratch.join("duckdb"))
    }
}

/// The columns of events as ClickHouse keeps them; nothing is null, which is faster there.
fn clickhouse_columns() -> String {
    let columns = FIELDS.iter().map(|field| {
        let data_type = match field.field_type {
            FieldType::Int => "Int64",
            FieldType::String if LOW_CARDINALITY.contains(&field.name) => "LowCardinality(String)",
            FieldType::String | FieldType::Json => "String",
        };
        format!(r#""{}" {data_type}"#, field.name)
    });
    columns.collect::<Vec<String>>().join(", ")
}

/// Makes the events as NDJSON, unless they are there.
pub(crate) fn make_ndjson(work: &Work, program: &Path) -> Result<()> {
    let ndjson = work.ndjson();
    if ndjson.is_file() {
        return Ok(());
    }
    let arguments = ["--seed", "1", "--to", END].map(str::to_owned);
    let arguments = arguments.into_iter().chain([
        "--events".to_owned(),
        work.events.to_string(),
        "--days".to_owned(),
        DAYS.to_string(),
    ]);
    generate(program, arguments, &ndjson)
}

/// The bytes of the active files and of the logs of a store of Vouch.
pub(crate) async fn bytes_on_disk(folder: &Path) -> Result<u64> {
    let store = Store::open(&folder.to_string_lossy(), &StoreOptions::default())?;
    let mut bytes = 0;
    for workspace in store.workspaces_with_table().await? {
        let snapshot = store.snapshot(&workspace).await?;
        let snapshot = snapshot.ok_or("a table is missing")?;
        bytes += snapshot
            .files
            .iter()
            .map(|file| file.size_bytes)
            .sum::<u64>();
        bytes += size(&folder.join(format!("workspace={workspace}/_delta_log")))?;
    }
    Ok(bytes)
}

/// Writes a load of events, compressed.
pub(crate) fn generate(
    program: &Path,
    arguments: impl IntoIterator<Item = String>,
    path: &Path,
) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut child = Command::new(program)
        .args(["generate", "--profile", "load"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = child.stdout.take().ok_or("the generator has no output")?;
    zstd::stream::copy_encode(&mut lines, File::create(&unfinished)?, ZSTD_LEVEL)?;
    if !child.wait()?.success() {
        return Err("the events cannot be generated".into());
    }
    Ok(fs::rename(unfinished, path)?)
}

/// Runs a command of Vouch on a store; gives the time it took.
pub(crate) fn vouch(
    program: &Path,
    command: &str,
    store: &Path,
    files: &[&Path],
) -> Result<Duration> {
    let started = Instant::now();
    let output = Command::new(program)
        .arg(command)
        .arg("--store")
        .arg(store)
        .args(files)
        .output()?;
    let took = started.elapsed();
    match output.status.success() {
        true => Ok(took),
        false => Err(format!(
            "vouch {command}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}

/// The folder, with nothing in it.
pub(crate) fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_owned())
}

/// The bytes of a file, or of all files below a folder.
fn size(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        bytes += size(&entry?.path())?;
    }
    Ok(bytes)
}
