//! Arrow IPC streams, batch by batch.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;

use super::error::ReadError;
use super::input::Input;
use super::parquet::{Rows, check_names};

/// How many bytes are read at once. The decoder gathers the bytes of a message as they come, so a
/// length that a damaged stream claims takes no memory.
const CHUNK_BYTES: usize = 256 * 1024;

const FORMAT: &str = "an Arrow IPC stream";

/// The batches of an Arrow IPC stream.
pub(super) struct Batches {
    name: String,
    stream: Box<dyn Read + Send>,
    decoder: StreamDecoder,
    /// What was read and not decoded yet.
    chunk: Buffer,
    row: u64,
    is_done: bool,
}

impl Batches {
    pub(super) fn open(input: &Input) -> Result<Self, ReadError> {
        Ok(Self {
            name: input.name().to_owned(),
            stream: input.decompressed_counted()?,
            decoder: StreamDecoder::new(),
            chunk: Buffer::from(Vec::<u8>::new()),
            row: 0,
            is_done: false,
        })
    }

    /// The next batch; `None` at the end of the stream.
    fn batch(&mut self) -> Result<Option<RecordBatch>, ReadError> {
        loop {
            while !self.chunk.is_empty() {
                let had_schema = self.decoder.schema().is_some();
                let batch = self.decode().map_err(|error| self.failed(&error))?;
                if let (false, Some(schema)) = (had_schema, self.decoder.schema()) {
                    check_names(&self.name, &schema)?;
                }
                if batch.is_some() {
                    return Ok(batch);
                }
            }
            let mut chunk = Vec::new();
            (&mut self.stream)
                .take(CHUNK_BYTES as u64)
                .read_to_end(&mut chunk)
                .map_err(|source| ReadError::from_io(&self.name, self.row, source))?;
            if chunk.is_empty() {
                self.decoder.finish().map_err(|error| self.failed(&error))?;
                return Ok(None);
            }
            self.chunk = Buffer::from(chunk);
        }
    }

    /// Decodes the next part of the chunk. `arrow-ipc` panics on some damaged schemas, such as one with
    /// a type that it does not know; the decoder is not used again after an error.
    fn decode(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let decode = AssertUnwindSafe(|| self.decoder.decode(&mut self.chunk));
        catch_unwind(decode).unwrap_or_else(|_| {
            let reason = "its schema or one of its batches is damaged".to_owned();
            Err(ArrowError::IpcError(reason))
        })
    }

    fn failed(&self, error: &ArrowError) -> ReadError {
        ReadError::Columns {
            name: self.name.clone(),
            format: FORMAT,
            after_row: self.row,
            reason: error.to_string(),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Rows, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let batch = self.batch();
        self.is_done = !matches!(batch, Ok(Some(_)));
        let rows = batch.map(|batch| {
            let batch = batch?;
            let rows_before = self.row;
            self.row += batch.num_rows() as u64;
            Some(Rows { rows_before, batch })
        });
        rows.transpose()
    }
}
