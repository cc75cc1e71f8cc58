//! What is left to clean away: files of dead processes, made to look old.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Longer than an object that no table names is kept.
const AGE: Duration = Duration::from_hours(8 * 24);

/// Lets everything in the tables and in the staging directory look as if it was written long ago. No
/// process may live meanwhile: a living one would not name files that old.
pub(super) fn age(store: &Path) {
    let then = SystemTime::now() - AGE;
    let tables = files(store);
    let logs = tables
        .iter()
        .flat_map(|table| files(&table.join("_delta_log")));
    let staged = files(&store.join("_staging"));
    for file in data_files(store).into_iter().chain(logs).chain(staged) {
        let file = File::options().write(true).open(file).unwrap();
        file.set_modified(then).unwrap();
    }
}

/// Leaves a data file in each table that the table does not name, as a process would that dies before
/// its commit.
pub(super) fn leave_data_files(store: &Path, name: usize) {
    for table in files(store) {
        if let Some(file) = data_files_of(&table).first() {
            let name = format!("00000000-0000-0000-0000-{name:012}.parquet");
            fs::copy(file, file.with_file_name(name)).unwrap();
        }
    }
}

/// The data files of all tables.
fn data_files(store: &Path) -> Vec<PathBuf> {
    let tables = files(store);
    tables
        .iter()
        .flat_map(|table| data_files_of(table))
        .collect()
}

/// The data files of a table.
fn data_files_of(table: &Path) -> Vec<PathBuf> {
    let days = files(table).into_iter();
    let days = days.filter(|path| !path.ends_with("_delta_log"));
    let objects = days.flat_map(|day| files(&day));
    objects
        .filter(|path| path.extension().is_some_and(|kind| kind == "parquet"))
        .collect()
}

/// What a directory holds; nothing when it is not there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
