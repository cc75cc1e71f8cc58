//! Answers of any length, batch by batch.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use crate::arguments::Format;
use crate::failure::Failure;

/// The most rows of a Parquet row group. It bounds the memory of the writer.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// Writes batches in one format.
pub(crate) trait BatchWriter<W> {
    /// Writes the rows of `batch`.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure>;
    /// Finishes a complete answer and returns its destination.
    fn finish(self: Box<Self>) -> Result<W, Failure>;
}

/// A writer of `format` for batches of `schema`; `None` for formats that are not streamed.
pub(crate) fn batch_writer<W: Write + Send + 'static>(
    format: Format,
    schema: SchemaRef,
    out: W,
) -> Result<Option<Box<dyn BatchWriter<W> + Send>>, Failure> {
    Ok(match format {
        Format::Table | Format::Json => None,
        Format::Csv => Some(Box::new(CsvWriter::new(&schema, out)?)),
        Format::Ndjson => Some(Box::new(NdjsonWriter {
            out,
            json_columns: json_columns(&schema),
        })),
        Format::Arrow => Some(Box::new(StreamWriter::try_new(out, &schema)?)),
        Format::Parquet => {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                .build();
            Some(Box::new(ArrowWriter::try_new(
                out,
                schema,
                Some(properties),
            )?))
        }
    })
}

/// CSV as of RFC 4180, with line feeds: a header, an empty cell for null, quotes where needed.
struct CsvWriter<W: Write> {
    rows: csv::Writer<W>,
    /// Whether the text of a column is JSON. JSON strings are written without their quotes.
    is_json: Vec<bool>,
}

impl<W: Write> CsvWriter<W> {
    fn new(schema: &Schema, out: W) -> Result<Self, Failure> {
        let mut rows = csv::WriterBuilder::new().from_writer(out);
        rows.write_record(schema.fields().iter().map(|field| field.name()))
            .map_err(csv_failure)?;
        let json_columns = json_columns(schema);
        let fields = schema.fields().iter();
        let is_json = fields.map(|field| json_columns.contains(field.name()));
        Ok(Self {
            rows,
            is_json: is_json.collect(),
        })
    }
}

impl<W: Write> BatchWriter<W> for CsvWriter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let options = FormatOptions::default().with_null("");
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, ArrowError>>()?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (column, is_json) in columns.iter().zip(&self.is_json) {
                cell.clear();
                column.value(row).write(&mut cell)?;
                if *is_json && let Ok(text) = serde_json::from_str(&cell) {
                    cell = text;
                }
                self.rows.write_field(&cell).map_err(csv_failure)?;
            }
            self.rows.write_record(None::<&[u8]>).map_err(csv_failure)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<W, Failure> {
        self.rows
            .into_inner()
            .map_err(|error| Failure::Output(error.into_error()))
    }
}

fn csv_failure(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::Output(error),
        other => Failure::Engine(format!("the answer is no table: {other:?}")),
    }
}

/// One JSON object per row, without nulls.
struct NdjsonWriter<W> {
    out: W,
    /// Whether the text of a column is JSON.
    json_columns: Vec<String>,
}

fn json_columns(schema: &Schema) -> Vec<String> {
    let is_json = |metadata: Option<&String>| metadata.is_some_and(|kind| kind == "json");
    let fields = schema.fields().iter();
    fields
        .filter(|field| is_json(field.metadata().get("vouch.type")))
        .map(|field| field.name().clone())
        .collect()
}

impl<W: Write> BatchWriter<W> for NdjsonWriter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        for row in 0..batch.num_rows() {
            let object = events::json::row_json(batch, row);
            let mut object = object.map_err(|rejection| Failure::Engine(rejection.message))?;
            for column in &self.json_columns {
                if let Some(Value::String(text)) = object.get(column)
                    && let Ok(value) = serde_json::from_str(text)
                {
                    object.insert(column.clone(), value);
                }
            }
            serde_json::to_writer(&mut self.out, &object).map_err(io::Error::from)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<W, Failure> {
        Ok(self.out)
    }
}

impl<W: Write> BatchWriter<W> for StreamWriter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(Self::write(self, batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<W, Failure> {
        Self::finish(&mut self)?;
        Ok(self.into_inner()?)
    }
}

impl<W: Write + Send> BatchWriter<W> for ArrowWriter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        Ok(Self::write(self, batch)?)
    }

    fn finish(self: Box<Self>) -> Result<W, Failure> {
        Ok(self.into_inner()?)
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Output(error),
            other => Self::Engine(format!("the answer cannot be written: {other}")),
        }
    }
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => Self::Output(*error),
                Err(error) => Self::Engine(format!("the answer cannot be written: {error}")),
            },
            other => Self::Engine(format!("the answer cannot be written: {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};
    use arrow::ipc::reader::StreamReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn batch() -> RecordBatch {
        let json = HashMap::from([("vouch.type".to_owned(), "json".to_owned())]);
        let schema = Schema::new(vec![
            Field::new("time", DataType::Int64, true),
            Field::new("df_title", DataType::Utf8, true),
            Field::new("cost", DataType::Float64, true),
            Field::new("ok", DataType::Boolean, true),
            Field::new("detail", DataType::Utf8, true).with_metadata(json),
        ]);
        let titles = [Some("a, \"b\"\r\nc"), Some("=1+1"), None];
        RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(Int64Array::from(vec![
                    Some(1_763_650_800_123),
                    Some(0),
                    None,
                ])),
                Arc::new(StringArray::from(titles.to_vec())),
                Arc::new(Float64Array::from(vec![Some(0.1), Some(2.0), None])),
                Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
                Arc::new(StringArray::from(vec![
                    Some("{\"a\":[1]}"),
                    Some("\"a, text\""),
                    None,
                ])),
            ],
        )
        .unwrap()
    }

    fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = batch_writer(format, batch().schema(), Vec::new())
            .unwrap()
            .unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn csv_keeps_every_cell_as_it_is() {
        let text = String::from_utf8(written(Format::Csv, &[batch()])).unwrap();
        let expected = "time,df_title,cost,ok,detail\n\
            1763650800123,\"a, \"\"b\"\"\r\nc\",0.1,true,\"{\"\"a\"\":[1]}\"\n\
            0,=1+1,2.0,false,\"a, text\"\n\
            ,,,,\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn ndjson_leaves_out_nulls_and_opens_json() {
        let text = String::from_utf8(written(Format::Ndjson, &[batch()])).unwrap();
        let expected = "{\"time\":1763650800123,\"df_title\":\"a, \\\"b\\\"\\r\\nc\",\"cost\":0.1,\"ok\":true,\"detail\":{\"a\":[1]}}\n\
            {\"time\":0,\"df_title\":\"=1+1\",\"cost\":2.0,\"ok\":false,\"detail\":\"a, text\"}\n\
            {}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn arrow_and_parquet_read_back() {
        let batches = [batch(), batch()];
        let bytes = written(Format::Arrow, &batches);
        let read: Vec<RecordBatch> = StreamReader::try_new(bytes.as_slice(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read, batches);

        let bytes = written(Format::Parquet, &batches);
        let reader = ParquetRecordBatchReaderBuilder::try_new(in_file(bytes)).unwrap();
        let read: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let schema = batch().schema();
        let whole = |batches: &[RecordBatch]| arrow::compute::concat_batches(&schema, batches);
        assert_eq!(whole(&read).unwrap(), whole(&batches).unwrap());
    }

    #[test]
    fn an_answer_without_rows_still_has_its_columns() {
        assert_eq!(written(Format::Csv, &[]), b"time,df_title,cost,ok,detail\n");
        assert_eq!(written(Format::Ndjson, &[]), b"");
        let bytes = written(Format::Arrow, &[]);
        let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.schema(), batch().schema());
    }

    #[test]
    fn tables_and_json_are_not_streamed() {
        for format in [Format::Table, Format::Json] {
            assert!(
                batch_writer(format, batch().schema(), Vec::new())
                    .unwrap()
                    .is_none()
            );
        }
    }

    /// Parquet is read from a file.
    fn in_file(bytes: Vec<u8>) -> std::fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }
}
