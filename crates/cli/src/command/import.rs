//! `vouch import`.

mod reading;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::read::{Input, ReadError};
use events::{MappingSource, Origin, WorkspaceId};
use indicatif::{ProgressBar, ProgressStyle};
use store::{Import, ImportOptions, Store};

use crate::arguments::{ImportArgs, StoreArgs};
use crate::backend::locate_store;
use crate::failure::Failure;
use crate::mapping;
use reading::read_in_background;
use report::{FileReport, print};

/// Stores the events of files in one session: each workspace gets one commit.
pub(crate) async fn run(arguments: ImportArgs) -> Result<(), Failure> {
    let mapping = arguments
        .mapping
        .as_deref()
        .map(mapping::find)
        .transpose()?;
    let inputs: Vec<(String, Result<Input, ReadError>)> = arguments
        .files
        .iter()
        .map(|path| (name(path), open(path)))
        .collect();
    let store = open_or_make(&arguments.store, &inputs).await?;
    let progress = Progress::new(&inputs);
    let mapping_name = mapping.as_ref().map(MappingSource::name);
    let mut session = store.import(ImportOptions::default()).from_origin(Origin {
        door: Some(Origin::door("import", mapping_name)),
        ..Origin::default()
    });
    let mut files = Vec::new();
    for (name, input) in inputs {
        let mut report = FileReport::new(name);
        match input {
            Err(error) => report.failed(&error),
            Ok(input) => {
                let reader = Reader {
                    progress: &progress,
                    mapping: mapping.clone(),
                    workspace: arguments.workspace.clone(),
                };
                if let Err(failure) = reader.read(input, &mut session, &mut report).await {
                    session.abort().await;
                    return Err(failure);
                }
            }
        }
        files.push(report);
    }
    let summary = session.finish().await?;
    progress.bar.finish_and_clear();
    print(&mut std::io::stdout(), &files, &summary)?;
    if files.iter().all(FileReport::is_clean) {
        Ok(())
    } else {
        Err(Failure::Partial)
    }
}

/// The store to import into. A directory that does not exist becomes a new store if there is a file to read.
async fn open_or_make(
    arguments: &StoreArgs,
    inputs: &[(String, Result<Input, ReadError>)],
) -> Result<Store, Failure> {
    let store = locate_store(arguments)?;
    let is_readable = inputs.iter().any(|(_, input)| input.is_ok());
    if is_readable && store.is_missing_directory() {
        store.init().await?;
    }
    // Without a file to read no store is needed.
    if is_readable {
        store.check_present().await?;
    }
    Ok(store)
}

/// The options for reading the files of an import.
struct Reader<'a> {
    progress: &'a Progress,
    mapping: Option<MappingSource>,
    workspace: Option<WorkspaceId>,
}

impl Reader<'_> {
    async fn read(
        self,
        input: Input,
        session: &mut Import,
        report: &mut FileReport,
    ) -> Result<(), Failure> {
        let (size_bytes, bytes_read) = (input.size_bytes(), input.bytes_read());
        let mut portions = read_in_background(input, self.mapping, self.workspace);
        while let Some(portion) = portions.recv().await {
            match portion {
                Ok(decoded) => {
                    for refused in &decoded.refused {
                        report.refuse(refused.line, &refused.rejection);
                    }
                    for day in decoded.days {
                        report.read += day.events.len() as u64;
                        session.extend(day).await?;
                    }
                }
                Err(error) => report.failed(&error),
            }
            self.progress.moved_to(&bytes_read);
        }
        self.progress.done(size_bytes);
        Ok(())
    }
}

fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn open(path: &PathBuf) -> Result<Input, ReadError> {
    if path == Path::new("-") {
        Input::spool("standard input", std::io::stdin())
    } else {
        Input::open(path)
    }
}

/// A progress bar of the bytes that were read from disk. It is drawn on a terminal only.
struct Progress {
    bar: ProgressBar,
    /// The bytes of the inputs before the current one.
    before: AtomicU64,
}

impl Progress {
    fn new(inputs: &[(String, Result<Input, ReadError>)]) -> Self {
        let sizes = inputs
            .iter()
            .filter_map(|(_, input)| Some(input.as_ref().ok()?.size_bytes()));
        let bar = ProgressBar::new(sizes.sum());
        let template = "{bar:40} {bytes} of {total_bytes}, {elapsed}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            before: AtomicU64::new(0),
        }
    }

    fn moved_to(&self, bytes_read: &Arc<AtomicU64>) {
        let before = self.before.load(Ordering::Relaxed);
        self.bar
            .set_position(before + bytes_read.load(Ordering::Relaxed));
    }

    fn done(&self, size_bytes: u64) {
        let before = self.before.fetch_add(size_bytes, Ordering::Relaxed);
        self.bar.set_position(before + size_bytes);
    }
}
