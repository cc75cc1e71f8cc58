//! Simulates a local disk after a power cut: it holds only synced writes.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The roots that are watched, and what was synced below each.
static WATCHED: Mutex<BTreeMap<PathBuf, Synced>> = Mutex::new(BTreeMap::new());

/// The synced content below a root.
#[derive(Debug, Clone, Default)]
pub(crate) struct Synced {
    /// The content of files when they were synced, by inode: a file may get other names later.
    contents: HashMap<u64, Vec<u8>>,
    /// The names in directories when those were synced.
    directories: HashMap<PathBuf, BTreeMap<OsString, Entry>>,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Directory,
    File { inode: u64 },
}

/// Which names a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Those of synced directories.
    Synced,
    /// All, as when the disk wrote them by itself; the content of files is still only what was synced.
    All,
}

/// Remembers what is synced below `root` from now on.
pub(crate) fn watch(root: &Path) {
    let mut watched = WATCHED.lock().unwrap();
    watched.insert(root.to_owned(), Synced::default());
}

/// The synced content below `root` so far.
pub(crate) fn synced(root: &Path) -> Synced {
    WATCHED.lock().unwrap()[root].clone()
}

pub(super) fn file_is_synced(path: &Path) -> io::Result<()> {
    on_watched(path, |synced| {
        let inode = fs::metadata(path)?.ino();
        synced.contents.insert(inode, fs::read(path)?);
        Ok(())
    })
}

pub(super) fn directory_is_synced(directory: &Path) -> io::Result<()> {
    on_watched(directory, |synced| {
        let entries = entries(directory)?;
        synced.directories.insert(directory.to_owned(), entries);
        Ok(())
    })
}

fn on_watched(path: &Path, note: impl FnOnce(&mut Synced) -> io::Result<()>) -> io::Result<()> {
    let mut watched = WATCHED.lock().unwrap();
    let found = watched.iter_mut().find(|(root, _)| path.starts_with(root));
    found.map_or(Ok(()), |(_, synced)| note(synced))
}

fn entries(directory: &Path) -> io::Result<BTreeMap<OsString, Entry>> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // It went between the two looks.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        let kind = match metadata.is_dir() {
            true => Entry::Directory,
            false => Entry::File {
                inode: metadata.ino(),
            },
        };
        entries.insert(entry.file_name(), kind);
    }
    Ok(entries)
}

impl Synced {
    /// Writes what is left of `root` into `target`.
    pub(crate) fn restore(&self, root: &Path, target: &Path, names: Names) -> io::Result<()> {
        fs::create_dir_all(target)?;
        let kept = match names {
            Names::Synced => self.directories.get(root).cloned().unwrap_or_default(),
            Names::All => entries(root)?,
        };
        for (name, entry) in kept {
            let (from, to) = (root.join(&name), target.join(&name));
            match entry {
                Entry::Directory => self.restore(&from, &to, names)?,
                Entry::File { inode } => {
                    let content = self.contents.get(&inode).map_or(&[][..], Vec::as_slice);
                    fs::write(to, content)?;
                }
            }
        }
        Ok(())
    }
}
