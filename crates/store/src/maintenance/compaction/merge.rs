//! The rows of several files into one, in their order.
//!
//! Memory: the inputs as they are in the store, at most 192 MiB; of each some decoded rows, together
//! about 64 MiB, however large a row is, because a job with large ones is cut to fewer files; as much
//! again of rows on their way into the output; and the output's current row group and upload buffers.
//! That is less than half a gibibyte, and most days take far less.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use events::{WorkspaceId, fields};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::delta::snapshot::DataFile;
use crate::error::StoreError;
use crate::file::decoded::Decoded;
use crate::file::digest::Digest;
use crate::file::footer::reader_options;
use crate::file::layout;
use crate::file::writer::{DataFileWriter, StagedFile};
use crate::maintenance::compaction::choose::Job;
use crate::root::location::Location;

/// How many inputs are fetched at the same time.
const FETCH_CONCURRENCY: usize = 8;

/// How many bytes of decoded rows all inputs take together, about.
const DECODED_BYTES: usize = 64 * 1024 * 1024;

/// How many rows of an input are decoded at a time, at most.
const READ_ROWS: usize = 1024;

/// The files of the job that can be merged at a time: of each at least one event is in memory, so large events are
/// merged a few files at a time. At least two files stay, or what there is.
pub(crate) async fn fitting(location: &Location, mut job: Job) -> Job {
    let mut bytes = 0;
    let mut files = 0;
    for file in &job.files {
        let decoded = match file.decoded {
            Some(decoded) => decoded,
            None => match file.file_ref().open(location).await {
                Ok(opened) => Decoded::of_footer(opened.metadata()),
                // Merging meets the same error, and reports it.
                Err(_) => return job,
            },
        };
        bytes += decoded.largest_row_bytes;
        if files >= 2 && bytes > DECODED_BYTES as u64 {
            break;
        }
        files += 1;
    }
    job.files.truncate(files);
    job
}

/// Writes all events of the job's files into one new file, which no version names yet; `None` when
/// there are none.
///
/// # Errors
///
/// When an input is missing, or is not what was committed: a damaged file is never copied.
pub(crate) async fn merge(
    location: &Location,
    workspace: &WorkspaceId,
    job: &Job,
) -> Result<Option<StagedFile>, StoreError> {
    let fetches: Vec<_> = job.files.iter().map(|file| fetch(location, file)).collect();
    let contents: Vec<Bytes> = stream::iter(fetches)
        .buffered(FETCH_CONCURRENCY)
        .try_collect()
        .await?;
    let mut inputs = BinaryHeap::with_capacity(job.files.len());
    let mut rows = Rows::default();
    for (file, content) in job.files.iter().zip(contents) {
        let rows_at_a_time = DECODED_BYTES / job.files.len();
        let mut input = Input::open(file.clone(), content, rows_at_a_time)?;
        if input.next_batch(&mut rows)? {
            inputs.push(Reverse(input));
        }
    }
    rows.added_bytes = 0;
    if inputs.is_empty() {
        return Ok(None);
    }
    let mut output = DataFileWriter::create(location, workspace, job.day)?;
    while take_first(&mut inputs, &mut rows)? {
        if rows.are_many() {
            output.write(&rows.finish()?).await?;
            rows.restart(&mut inputs);
            tokio::task::yield_now().await;
        }
    }
    if !rows.taken.is_empty() {
        output.write(&rows.finish()?).await?;
    }
    let mut file = output.finish().await?;
    if file.rows != job.rows() {
        return Err(StoreError::Corrupt {
            path: file.path.to_string(),
            reason: format!("{} of {} events were copied", file.rows, job.rows()),
        });
    }
    if let Some(input) = job.files.first() {
        file.tags = input.tags.clone();
    }
    Ok(Some(file))
}

/// Takes the first row of all inputs; `false` when there is none left.
fn take_first(
    inputs: &mut BinaryHeap<Reverse<Input>>,
    rows: &mut Rows,
) -> Result<bool, StoreError> {
    let Some(mut first) = inputs.peek_mut() else {
        return Ok(false);
    };
    rows.take(&first.0);
    if !first.0.next_row(rows)? {
        PeekMut::pop(first);
    }
    Ok(true)
}

/// Reads a file in full and compares it with what was committed.
async fn fetch(location: &Location, file: &DataFile) -> Result<Bytes, StoreError> {
    let content = match location.objects.get(&file.path).await {
        Ok(content) => content.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => {
            let path = file.path.to_string();
            return Err(StoreError::NotFound { path });
        }
        Err(error) => return Err(error.into()),
    };
    let found = Digest::from(blake3::hash(&content));
    if content.len() as u64 == file.size_bytes && file.digest == Some(found) {
        Ok(content)
    } else {
        Err(corrupt(
            file,
            "its content has changed since it was committed",
        ))
    }
}

fn corrupt(file: &DataFile, reason: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        path: file.path.to_string(),
        reason: reason.into(),
    }
}

/// A file that is read row by row. Inputs are ordered by the key of their current rows.
struct Input {
    file: DataFile,
    reader: ParquetRecordBatchReader,
    /// The index of the current batch in [`Rows::batches`].
    batch: usize,
    dates: Int64Array,
    ids: StringArray,
    row: usize,
    /// How many rows were read, those of the current batch included.
    rows: u64,
}

impl Input {
    /// Opens a file of which about `decoded_bytes` are to be decoded at a time.
    fn open(file: DataFile, content: Bytes, decoded_bytes: usize) -> Result<Self, StoreError> {
        let failed = |error| StoreError::parquet(&file.path, error);
        let options = reader_options();
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(content, options)
            .map_err(failed)?;
        let decoded = file.decoded;
        let decoded = decoded.unwrap_or_else(|| Decoded::of_footer(builder.metadata()));
        let rows = decoded.rows_at_a_time(decoded_bytes as u64, READ_ROWS);
        let reader = builder.with_batch_size(rows).build().map_err(failed)?;
        Ok(Self {
            file,
            reader,
            batch: 0,
            dates: Int64Array::from(Vec::<i64>::new()),
            ids: StringArray::from(Vec::<&str>::new()),
            row: 0,
            rows: 0,
        })
    }

    fn key(&self) -> (i64, &str) {
        (self.dates.value(self.row), self.ids.value(self.row))
    }

    /// Moves to the next row; `false` at the end of the file.
    fn next_row(&mut self, rows: &mut Rows) -> Result<bool, StoreError> {
        if self.row + 1 < self.dates.len() {
            let before = (self.dates.value(self.row), self.ids.value(self.row));
            let after = (self.dates.value(self.row + 1), self.ids.value(self.row + 1));
            self.check_order(before, after)?;
            self.row += 1;
            return Ok(true);
        }
        self.next_batch(rows)
    }

    /// Decodes the next rows; `false` when there are none.
    fn next_batch(&mut self, rows: &mut Rows) -> Result<bool, StoreError> {
        let Some(batch) = self.reader.next() else {
            if self.rows == self.file.rows {
                return Ok(false);
            }
            let (found, logged) = (self.rows, self.file.rows);
            let reason = format!("it holds {found} events, and the log says {logged}");
            return Err(corrupt(&self.file, reason));
        };
        let batch = self.as_events(&batch?)?;
        let dates = column(&self.file, &batch, fields::DATE)?;
        let ids = column(&self.file, &batch, fields::EVENT_ID)?;
        let dates = dates.as_primitive::<Int64Type>().clone();
        let ids = ids.as_string::<i32>().clone();
        if let Some(last) = self.dates.len().checked_sub(1) {
            let before = (self.dates.value(last), self.ids.value(last));
            self.check_order(before, (dates.value(0), ids.value(0)))?;
        }
        self.rows += batch.num_rows() as u64;
        self.row = 0;
        self.batch = rows.add(batch);
        self.dates = dates;
        self.ids = ids;
        Ok(true)
    }

    fn check_order(&self, before: (i64, &str), after: (i64, &str)) -> Result<(), StoreError> {
        if before <= after {
            Ok(())
        } else {
            Err(corrupt(&self.file, "its events are not sorted"))
        }
    }

    /// The columns that events have, in their order, with the delivery that the log has of the file.
    fn as_events(&self, batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
        let schema = events::schema();
        for found in batch.schema_ref().fields() {
            let name = found.name();
            match schema.field_with_name(name) {
                Ok(field) if field.data_type() == found.data_type() => {}
                Ok(_) => return Err(no_column(&self.file, name)),
                Err(_) => {
                    let reason =
                        format!("it has a column `{name}`, which this version does not know");
                    return Err(corrupt(&self.file, reason));
                }
            }
        }
        let delivery = self.file.delivery.as_deref();
        Ok(events::with_all_columns(batch, delivery)?)
    }
}

fn column<'a>(
    file: &DataFile,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a Arc<dyn Array>, StoreError> {
    let column = batch.column_by_name(name);
    column.ok_or_else(|| no_column(file, name))
}

fn no_column(file: &DataFile, name: &str) -> StoreError {
    corrupt(
        file,
        format!("it has no column `{name}` of the type that events have"),
    )
}

impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Input {}

impl PartialOrd for Input {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Input {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key().cmp(&other.key());
        by_key.then_with(|| self.file.path.cmp(&other.file.path))
    }
}

/// Rows that were taken from inputs and are not written yet.
#[derive(Default)]
struct Rows {
    /// The batches that the rows are in, and those that inputs are at.
    batches: Vec<RecordBatch>,
    /// The rows: indices of batches, and of rows in these.
    taken: Vec<(usize, usize)>,
    /// The bytes of the batches that were added since rows were written last.
    added_bytes: usize,
}

impl Rows {
    /// Adds a batch and returns its index.
    fn add(&mut self, batch: RecordBatch) -> usize {
        self.added_bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        self.batches.len() - 1
    }

    /// Takes the current row of `input`.
    fn take(&mut self, input: &Input) {
        self.taken.push((input.batch, input.row));
    }

    /// Whether it is time to write them.
    fn are_many(&self) -> bool {
        self.taken.len() >= layout::WRITE_ROWS || self.added_bytes > DECODED_BYTES
    }

    fn finish(&mut self) -> Result<RecordBatch, StoreError> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = interleave_record_batch(&batches, &self.taken)?;
        self.taken.clear();
        Ok(rows)
    }

    /// Forgets all batches but those that inputs are at.
    fn restart(&mut self, inputs: &mut BinaryHeap<Reverse<Input>>) {
        let batches = std::mem::take(&mut self.batches);
        self.added_bytes = 0;
        let mut kept: Vec<Reverse<Input>> = inputs.drain().collect();
        for Reverse(input) in &mut kept {
            let batch = batches[input.batch].clone();
            input.batch = self.batches.len();
            self.batches.push(batch);
        }
        inputs.extend(kept);
    }
}
