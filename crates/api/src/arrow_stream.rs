//! Encodes a streamed answer as an Arrow IPC stream, and decodes it.

use std::fmt;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use prost::bytes::Bytes;

use crate::StreamItem;

/// Batches are cut into pieces of about this many bytes, so that a message stays well below the
/// 4 MiB that many gRPC clients accept by default.
const PIECE_BYTES: usize = 2 << 20;

/// Encodes a streamed answer as the parts of one Arrow IPC stream.
#[derive(Default)]
pub struct ArrowStreamEncoder {
    writer: Option<StreamWriter<Vec<u8>>>,
}

impl fmt::Debug for ArrowStreamEncoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ArrowStreamEncoder")
            .finish_non_exhaustive()
    }
}

impl ArrowStreamEncoder {
    /// The bytes for `item`, one message each; for the end, the end-of-stream marker.
    ///
    /// # Errors
    /// When a batch does not fit the schema, or there was no schema.
    pub fn encode(&mut self, item: &StreamItem) -> Result<Vec<Bytes>, ArrowError> {
        match item {
            StreamItem::Schema(schema) => {
                let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
                let bytes = take(&mut writer);
                self.writer = Some(writer);
                Ok(vec![bytes])
            }
            StreamItem::Batch(batch) => {
                let writer = self.writer()?;
                let written = |piece: RecordBatch| {
                    writer.write(&piece)?;
                    Ok(take(writer))
                };
                pieces(batch).into_iter().map(written).collect()
            }
            StreamItem::End(_) => {
                let writer = self.writer()?;
                writer.finish()?;
                Ok(vec![take(writer)])
            }
        }
    }

    fn writer(&mut self) -> Result<&mut StreamWriter<Vec<u8>>, ArrowError> {
        let missing = || ArrowError::IpcError("a stream begins with its schema".to_owned());
        self.writer.as_mut().ok_or_else(missing)
    }
}

fn take(writer: &mut StreamWriter<Vec<u8>>) -> Bytes {
    std::mem::take(writer.get_mut()).into()
}

/// The rows of `batch` in pieces of about [`PIECE_BYTES`], but of at least one row.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    if rows == 0 {
        return Vec::new();
    }
    if rows == 1 || size_bytes(batch) <= PIECE_BYTES {
        return vec![batch.clone()];
    }
    let half = rows / 2;
    let mut found = pieces(&batch.slice(0, half));
    found.extend(pieces(&batch.slice(half, rows - half)));
    found
}

fn size_bytes(batch: &RecordBatch) -> usize {
    let size = |column: &dyn Array| {
        let data = column.to_data();
        data.get_slice_memory_size()
            .unwrap_or_else(|_| data.get_array_memory_size())
    };
    batch
        .columns()
        .iter()
        .map(|column| size(column.as_ref()))
        .sum()
}

/// Decodes the parts of an Arrow IPC stream to the schema and the batches.
#[derive(Debug, Default)]
pub struct ArrowStreamDecoder {
    decoder: StreamDecoder,
    schema_given: bool,
}

impl ArrowStreamDecoder {
    /// Decodes the next part and returns the items that it completes.
    ///
    /// # Errors
    /// When the bytes are not a part of an Arrow IPC stream.
    pub fn decode(&mut self, bytes: Bytes) -> Result<Vec<StreamItem>, ArrowError> {
        let mut buffer = Buffer::from(bytes);
        let mut items = Vec::new();
        loop {
            let batch = self.decoder.decode(&mut buffer)?;
            if let (Some(schema), false) = (self.decoder.schema(), self.schema_given) {
                self.schema_given = true;
                items.push(StreamItem::Schema(schema));
            }
            let Some(batch) = batch else { return Ok(items) };
            items.push(StreamItem::Batch(batch));
        }
    }

    /// Checks that the parts end at the end of a message.
    ///
    /// # Errors
    /// When the last message is cut off.
    pub fn finish(&mut self) -> Result<(), ArrowError> {
        self.decoder.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use arrow::ipc::reader::StreamReader;
    use events::TimeRange;

    use super::*;
    use crate::Summary;

    fn schema() -> SchemaRef {
        let role = HashMap::from([("vouch.role".to_owned(), "time".to_owned())]);
        let time = Field::new("time", DataType::Int64, true).with_metadata(role);
        Arc::new(Schema::new(vec![
            time,
            Field::new("text", DataType::Utf8, true),
        ]))
    }

    fn batch(rows: usize, text_bytes: usize) -> RecordBatch {
        let times: Int64Array = (0..rows as i64).map(Some).collect();
        let texts: StringArray = (0..rows)
            .map(|row| (row % 3 != 0).then(|| "x".repeat(text_bytes)))
            .collect();
        RecordBatch::try_new(schema(), vec![Arc::new(times), Arc::new(texts)]).unwrap()
    }

    fn end() -> StreamItem {
        StreamItem::End(Summary::new(TimeRange::new(0, 1).unwrap()))
    }

    fn encoded(batches: &[RecordBatch]) -> Vec<Bytes> {
        let mut encoder = ArrowStreamEncoder::default();
        let mut parts = encoder.encode(&StreamItem::Schema(schema())).unwrap();
        for batch in batches {
            parts.extend(encoder.encode(&StreamItem::Batch(batch.clone())).unwrap());
        }
        parts.extend(encoder.encode(&end()).unwrap());
        parts
    }

    #[test]
    fn the_joined_parts_are_an_arrow_ipc_stream() {
        let batches = [batch(3, 5), batch(100, 1)];
        let parts = encoded(&batches);
        assert_eq!(parts.len(), 4);
        let joined = parts.concat();
        let reader = StreamReader::try_new(joined.as_slice(), None).unwrap();
        assert_eq!(reader.schema(), schema());
        let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_eq!(read, batches);
    }

    #[test]
    fn a_large_batch_is_cut_and_a_large_row_goes_alone() {
        let large = batch(64, 1 << 20);
        let parts = encoded(std::slice::from_ref(&large));
        assert!(parts.iter().all(|part| part.len() < 4 << 20));
        let joined = parts.concat();
        let read: Vec<RecordBatch> = StreamReader::try_new(joined.as_slice(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            arrow::compute::concat_batches(&schema(), &read).unwrap(),
            large
        );

        let huge = batch(3, 5 << 20);
        let rows: Vec<usize> = pieces(&huge).iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows, [1, 1, 1]);
    }

    #[test]
    fn parts_decode_to_what_was_encoded() {
        let mut decoder = ArrowStreamDecoder::default();
        let mut items = Vec::new();
        for part in encoded(&[batch(2, 3), batch(0, 0)]) {
            items.extend(decoder.decode(part).unwrap());
        }
        decoder.finish().unwrap();
        let [StreamItem::Schema(found), StreamItem::Batch(rows)] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!(*found, schema());
        assert_eq!(*rows, batch(2, 3));
    }

    #[test]
    fn a_part_that_breaks_off_is_noticed() {
        let mut parts = encoded(&[batch(2, 3)]);
        parts.truncate(2);
        let cut = parts.concat();
        let mut decoder = ArrowStreamDecoder::default();
        decoder
            .decode(Bytes::from(cut[..cut.len() - 8].to_vec()))
            .unwrap();
        assert!(decoder.finish().is_err());
    }
}
