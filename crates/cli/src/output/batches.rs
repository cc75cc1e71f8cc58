//! Answers of any length, batch by batch.

use std::io::{self, Write};

use api::{BatchFormat, BatchWriter, EncodeError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::arguments::Format;

/// The most rows of a Parquet row group. It bounds the memory of the writer.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// A writer of `format` for batches of `schema`; `None` for formats that are not streamed.
pub(crate) fn batch_writer<W: Write + Send + 'static>(
    format: Format,
    schema: SchemaRef,
    out: W,
) -> Result<Option<Box<dyn BatchWriter<W> + Send>>, EncodeError> {
    let format = match format {
        Format::Table | Format::Json => return Ok(None),
        Format::Parquet => return Ok(Some(Box::new(ParquetWriter::new(schema, out)?))),
        Format::Csv => BatchFormat::Csv,
        Format::Ndjson => BatchFormat::Ndjson,
        Format::Arrow => BatchFormat::Arrow,
    };
    api::batch_writer(format, &schema, out).map(Some)
}

/// Writes a Parquet file.
struct ParquetWriter<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> ParquetWriter<W> {
    fn new(schema: SchemaRef, out: W) -> Result<Self, EncodeError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(out, schema, Some(properties));
        writer.map(Self).map_err(encode_error)
    }
}

impl<W: Write + Send> BatchWriter<W> for ParquetWriter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        self.0.write(batch).map_err(encode_error)
    }

    fn finish(self: Box<Self>) -> Result<W, EncodeError> {
        self.0.into_inner().map_err(encode_error)
    }
}

fn encode_error(error: ParquetError) -> EncodeError {
    let reason = match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => return EncodeError::Io(*error),
            Err(error) => error.to_string(),
        },
        other => other.to_string(),
    };
    EncodeError::Value(format!("the answer cannot be written: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn batch() -> RecordBatch {
        let times: ArrayRef = Arc::new(Int64Array::from(vec![Some(1_763_650_800_123), None]));
        let titles: ArrayRef = Arc::new(StringArray::from(vec![Some("a, \"b\"\r\nc"), None]));
        RecordBatch::try_from_iter([("time", times), ("df_title", titles)]).unwrap()
    }

    #[test]
    fn parquet_is_read_back() {
        let batches = [batch(), batch()];
        let writer = batch_writer(Format::Parquet, batch().schema(), Vec::new());
        let mut writer = writer.unwrap().unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(in_file(bytes)).unwrap();
        let read: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let schema = batch().schema();
        let whole = |batches: &[RecordBatch]| arrow::compute::concat_batches(&schema, batches);
        assert_eq!(whole(&read).unwrap(), whole(&batches).unwrap());
    }

    #[test]
    fn tables_and_json_are_not_streamed() {
        for format in [Format::Table, Format::Json] {
            let writer = batch_writer(format, batch().schema(), Vec::new());
            assert!(writer.unwrap().is_none());
        }
    }

    /// Parquet is read from a file.
    fn in_file(bytes: Vec<u8>) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }
}
