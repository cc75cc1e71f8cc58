//! The folder with the events and with the stores of all engines, which later runs use again.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::dialect::Dialect;

/// A work folder.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    folder: PathBuf,
    /// How many events its stores have.
    pub(crate) events: u64,
}

/// How one engine took the events in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// What was done, and the seconds it took.
    pub(crate) steps: Vec<(String, f64)>,
    /// The bytes on disk afterwards.
    pub(crate) bytes: u64,
}

impl Work {
    /// The folder at this path, for so many events.
    pub(crate) fn open(folder: PathBuf, events: u64) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        let work = Self { folder, events };
        match work.read::<u64>("events")? {
            None => work.write("events", &events)?,
            Some(found) if found == events => {}
            Some(found) => {
                let folder = work.folder.display();
                let text = format!(
                    "{folder} has {found} events; ask for as many, or name another folder with --work"
                );
                return Err(text.into());
            }
        }
        Ok(work)
    }

    /// The store of Vouch.
    pub(crate) fn vouch(&self) -> PathBuf {
        self.folder.join("vouch")
    }

    /// A store of a program that is compared with another.
    pub(crate) fn against(&self, name: &str) -> PathBuf {
        self.folder.join("against").join(name)
    }

    /// What a peer opens.
    pub(crate) fn peer(&self, dialect: Dialect) -> PathBuf {
        self.folder.join(match dialect {
            Dialect::DuckDb => "duckdb",
            Dialect::ClickHouse => "clickhouse",
            Dialect::DataFusion => "datafusion",
        })
    }

    /// Where nothing is kept.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// The events as NDJSON.
    pub(crate) fn ndjson(&self) -> PathBuf {
        self.folder.join("events.ndjson.zst")
    }

    /// The events as Parquet, in the order in which they happened.
    pub(crate) fn parquet(&self) -> PathBuf {
        self.folder.join("events.parquet")
    }

    /// What was noted under a name.
    pub(crate) fn read<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<Option<T>> {
        let path = self.folder.join(format!("{name}.json"));
        match fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes something under a name.
    pub(crate) fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.folder.join(format!("{name}.json"));
        Ok(fs::write(path, serde_json::to_vec_pretty(value)?)?)
    }
}
