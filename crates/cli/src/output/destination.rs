//! The destination of an answer.

use std::fs::Permissions;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

const BUFFER_BYTES: usize = 64 << 10;

/// Standard output, or a file that appears when it is complete.
#[derive(Debug)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A file under a temporary name beside `path`; removed when it is dropped before the end.
    File {
        /// The file.
        file: BufWriter<NamedTempFile>,
        /// Its final name.
        path: PathBuf,
    },
}

impl Destination {
    /// The file at `path`, or standard output.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Stdout(BufWriter::with_capacity(
                BUFFER_BYTES,
                io::stdout(),
            )));
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // The permissions of any new file (the umask narrows them), not those of a private one.
        let file = tempfile::Builder::new()
            .prefix(".vouch-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self::File {
            file,
            path: path.to_owned(),
        })
    }

    /// Whether the destination is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Self::Stdout(_)) && io::stdout().is_terminal()
    }

    /// Finishes a complete answer: the file gets its name.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush(),
            Self::File { file, path } => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.persist(path)?;
                Ok(())
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_appears_only_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("answer.csv");
        std::fs::write(&path, "old").unwrap();
        let mut out = Destination::open(Some(&path)).unwrap();
        out.write_all(b"new").unwrap();
        out.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        out.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["answer.csv"]);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut out = Destination::open(Some(&directory.path().join("answer.csv"))).unwrap();
        out.write_all(b"half").unwrap();
        drop(out);
        assert_eq!(names(directory.path()), [""; 0]);
    }
}
