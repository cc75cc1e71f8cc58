//! Listing directories. An entry whose metadata cannot be read is an error.
//!
//! `object_store` leaves out every entry that the system does not describe, whatever the reason. On a disk with
//! faults, or a network drive that is away for a moment, the newest commits would just not be there. What vanishes
//! while it is listed was deleted only if the store is still there.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path as FilePath;

use object_store::path::Path;
use object_store::{Error, ListResult, ObjectMeta, Result};

use super::{STORE_NAME, check_marker};

/// Reads what the system says about a file.
pub(super) type Stat = fn(&FilePath) -> io::Result<Metadata>;

/// The objects below `directory` whose paths come after `offset`, sorted.
pub(super) fn below(
    root: &FilePath,
    directory: &FilePath,
    offset: Option<&Path>,
    stat: Stat,
) -> Result<Vec<ObjectMeta>> {
    let mut objects = Vec::new();
    let mut has_vanished = false;
    let mut next = Some(directory.to_owned());
    let mut directories = Vec::new();
    while let Some(path) = next {
        let entries = entries(&path)?;
        has_vanished |= entries.is_none() && path != directory;
        for entry in entries.into_iter().flatten() {
            match describe(&entry, offset, stat)? {
                Described::Directory => directories.push(entry.path()),
                Described::Object(object) => objects.push(object),
                Described::Vanished => has_vanished = true,
                Described::Other => {}
            }
        }
        next = directories.pop();
    }
    check_vanished(root, has_vanished)?;
    objects.sort_unstable_by(|one, other| one.location.cmp(&other.location));
    Ok(objects)
}

/// The objects and directories directly in `directory`.
pub(super) fn within(root: &FilePath, directory: &FilePath, stat: Stat) -> Result<ListResult> {
    let mut objects = Vec::new();
    let mut common_prefixes = BTreeSet::new();
    let mut has_vanished = false;
    for entry in entries(directory)?.into_iter().flatten() {
        match describe(&entry, None, stat)? {
            Described::Directory => {
                common_prefixes.insert(Path::from_absolute_path(entry.path())?);
            }
            Described::Object(object) => objects.push(object),
            Described::Vanished => has_vanished = true,
            Described::Other => {}
        }
    }
    check_vanished(root, has_vanished)?;
    Ok(ListResult {
        common_prefixes: common_prefixes.into_iter().collect(),
        objects,
    })
}

enum Described {
    Directory,
    Object(ObjectMeta),
    /// It was there a moment ago.
    Vanished,
    /// What is no object, or was not asked for.
    Other,
}

/// Makes sure that what has vanished was deleted, and the store is still there.
fn check_vanished(root: &FilePath, has_vanished: bool) -> Result<()> {
    match has_vanished {
        true => check_marker(root).map_err(|error| unlisted(root, error)),
        false => Ok(()),
    }
}

/// What is in a directory; `None` when it is not there.
fn entries(directory: &FilePath) -> Result<Option<Vec<DirEntry>>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(|error| unlisted(directory, error))?,
    };
    let entries: io::Result<_> = entries.collect();
    entries
        .map(Some)
        .map_err(|error| unlisted(directory, error))
}

fn describe(entry: &DirEntry, offset: Option<&Path>, stat: Stat) -> Result<Described> {
    let path = entry.path();
    let kind = match entry.file_type() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Described::Vanished),
        kind => kind.map_err(|error| unlisted(&path, error))?,
    };
    if kind.is_dir() {
        return Ok(Described::Directory);
    }
    let location = Path::from_absolute_path(&path)?;
    if offset.is_some_and(|offset| location <= *offset) && !kind.is_symlink() {
        return Ok(Described::Other);
    }
    let metadata = match stat(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Described::Vanished),
        metadata => metadata.map_err(|error| unlisted(&path, error))?,
    };
    if metadata.is_dir() {
        return Ok(Described::Directory);
    }
    let is_after = offset.is_none_or(|offset| location > *offset);
    if !metadata.is_file() || !is_after || is_part(&location) {
        return Ok(Described::Other);
    }
    let modified = metadata.modified();
    Ok(Described::Object(ObjectMeta {
        last_modified: modified.map_err(|error| unlisted(&path, error))?.into(),
        size: metadata.len(),
        location,
        e_tag: None,
        version: None,
    }))
}

/// Whether a file is one that an upload in parts grows in, as `object_store` names it.
fn is_part(location: &Path) -> bool {
    let name = location.filename().unwrap_or_default();
    name.split_once('#').is_some_and(|(_, suffix)| {
        !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn unlisted(path: &FilePath, error: io::Error) -> Error {
    let message = format!("cannot look at {}: {error}", path.display());
    Error::Generic {
        store: STORE_NAME,
        source: Box::new(io::Error::new(error.kind(), message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(objects: &[ObjectMeta]) -> Vec<&str> {
        let names = objects.iter().map(|object| object.location.filename());
        names.map(Option::unwrap).collect()
    }

    /// A file that the system does not describe makes the listing fail, unless the file was deleted.
    #[test]
    fn what_cannot_be_looked_at_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("log")).unwrap();
        for name in ["log/1", "log/2", "log/3", "log/4#7", "other"] {
            fs::write(root.join(name), name).unwrap();
        }
        let stat: Stat = |path| fs::metadata(path);
        assert_eq!(
            names(&below(root, root, None, stat).unwrap()),
            ["1", "2", "3", "other"]
        );
        let listed = within(root, root, stat).unwrap();
        assert_eq!(names(&listed.objects), ["other"]);
        assert_eq!(listed.common_prefixes[0].filename(), Some("log"));
        assert_eq!(below(root, &root.join("gone"), None, stat).unwrap(), []);

        let gone: Stat = |path| match path.ends_with("2") {
            true => Err(ErrorKind::NotFound.into()),
            false => fs::metadata(path),
        };
        // As long as the store is not there, it may have been moved away.
        let error = below(root, root, None, gone).unwrap_err().to_string();
        assert!(error.contains(super::super::MARKER), "{error}");
        assert!(within(root, &root.join("log"), gone).is_err());
        fs::write(root.join(super::super::MARKER), "").unwrap();
        assert_eq!(
            names(&below(root, &root.join("log"), None, gone).unwrap()),
            ["1", "3"]
        );
        let failing: Stat = |path| match path.ends_with("2") {
            true => Err(ErrorKind::StaleNetworkFileHandle.into()),
            false => fs::metadata(path),
        };
        let error = below(root, root, None, failing).unwrap_err().to_string();
        assert!(error.contains("log/2"), "{error}");
        assert!(within(root, &root.join("log"), failing).is_err());
        // Not asked for, so not looked at.
        let second = Path::from_absolute_path(root.join("log/2")).unwrap();
        assert_eq!(
            names(&below(root, root, Some(&second), failing).unwrap()),
            ["3", "other", "vouch-store.json"]
        );
    }
}
