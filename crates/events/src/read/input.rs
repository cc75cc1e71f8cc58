//! A named stream that can be read more than once, decompressed on the way.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::NamedTempFile;

use super::error::ReadError;

const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

#[derive(Debug)]
enum Source {
    Path(PathBuf),
    /// Removed when the input is dropped.
    Spooled(NamedTempFile),
}

/// Something that can be read more than once: a file, or a copy of a stream.
///
/// Compression (gzip, zstd) is told by the content, not by the name.
#[derive(Debug)]
pub struct Input {
    name: String,
    source: Source,
    compression: Compression,
    size_bytes: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Input {
    /// A file. What is no regular file (a pipe, a device) is copied to a temporary file first.
    ///
    /// # Errors
    /// [`ReadError::Open`] when it is a directory or cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let open_error = |source| ReadError::Open {
            name: name.clone(),
            source,
        };
        let file = File::open(path).map_err(open_error)?;
        let metadata = file.metadata().map_err(open_error)?;
        if metadata.is_dir() {
            return Err(open_error(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        if !metadata.is_file() {
            return Self::spool(&name, file);
        }
        Self::new(name.clone(), Source::Path(path.to_owned()), file)
    }

    /// A stream such as standard input, copied to a temporary file.
    ///
    /// # Errors
    /// [`ReadError::Open`] when the stream or the temporary file fails.
    pub fn spool(name: &str, mut stream: impl Read) -> Result<Self, ReadError> {
        let open_error = |source| ReadError::Open {
            name: name.to_owned(),
            source,
        };
        let mut spooled = NamedTempFile::new().map_err(open_error)?;
        io::copy(&mut stream, &mut spooled).map_err(open_error)?;
        let file = spooled.reopen().map_err(open_error)?;
        Self::new(name.to_owned(), Source::Spooled(spooled), file)
    }

    fn new(name: String, source: Source, mut file: File) -> Result<Self, ReadError> {
        let mut magic = Vec::new();
        let size_bytes = file.metadata().and_then(|metadata| {
            file.by_ref().take(4).read_to_end(&mut magic)?;
            Ok(metadata.len())
        });
        let size_bytes = size_bytes.map_err(|source| ReadError::Open {
            name: name.clone(),
            source,
        })?;
        let compression = match magic.as_slice() {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
            _ => Compression::None,
        };
        Ok(Self {
            name,
            source,
            compression,
            size_bytes,
            bytes_read: Arc::default(),
        })
    }

    /// The name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes it has as it is stored, thus compressed.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How many of [`Self::size_bytes`] the records read so far took; grows while they are read.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// The BLAKE3 digest of the decompressed content.
    ///
    /// # Errors
    /// A [`ReadError`] when the content cannot be read to its end.
    pub fn digest(&self) -> Result<[u8; 32], ReadError> {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(self.decompressed()?)
            .map_err(|source| ReadError::from_io(&self.name, 0, source))?;
        Ok(*hasher.finalize().as_bytes())
    }

    /// The decompressed content from its begin.
    pub(super) fn decompressed(&self) -> Result<Box<dyn Read + Send>, ReadError> {
        self.decompress(self.file()?)
    }

    /// The same, counted in [`Self::bytes_read`].
    pub(super) fn decompressed_counted(&self) -> Result<Box<dyn Read + Send>, ReadError> {
        self.bytes_read.store(0, Ordering::Relaxed);
        self.decompress(Counted {
            stream: self.file()?,
            bytes_read: self.bytes_read(),
        })
    }

    /// The decompressed content as a file, for formats that are not read from begin to end.
    pub(super) fn decompressed_file(&self) -> Result<File, ReadError> {
        if self.compression == Compression::None {
            return self.file();
        }
        let failed = |source| ReadError::from_io(&self.name, 0, source);
        let mut file = tempfile::tempfile().map_err(failed)?;
        io::copy(&mut self.decompressed()?, &mut file).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(file)
    }

    fn file(&self) -> Result<File, ReadError> {
        let file = match &self.source {
            Source::Path(path) => File::open(path),
            Source::Spooled(spooled) => spooled.reopen(),
        };
        file.map_err(|source| ReadError::Open {
            name: self.name.clone(),
            source,
        })
    }

    fn decompress(
        &self,
        stream: impl Read + Send + 'static,
    ) -> Result<Box<dyn Read + Send>, ReadError> {
        let buffered = BufReader::with_capacity(BUFFER_BYTES, stream);
        Ok(match self.compression {
            Compression::None => Box::new(buffered),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(buffered);
                Box::new(decoder.map_err(|source| ReadError::from_io(&self.name, 0, source))?)
            }
        })
    }
}

/// Counts what is read from a stream.
struct Counted<R> {
    stream: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
