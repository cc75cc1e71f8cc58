//! Answers of any length as CSV, NDJSON and Arrow IPC, batch by batch.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

/// The formats of a streamed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFormat {
    /// Comma-separated values.
    Csv,
    /// One JSON object per row.
    Ndjson,
    /// An Arrow IPC stream.
    Arrow,
}

/// Why batches cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The destination failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The format has no form for a value.
    #[error("{0}")]
    Value(String),
}

/// Writes batches in one format.
pub trait BatchWriter<W> {
    /// Writes the rows of `batch`.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError>;
    /// Finishes a complete answer and returns its destination.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn finish(self: Box<Self>) -> Result<W, EncodeError>;
}

/// A writer of `format` for batches of `schema`.
///
/// # Errors
/// [`EncodeError`].
pub fn batch_writer<W: Write + Send + 'static>(
    format: BatchFormat,
    schema: &SchemaRef,
    out: W,
) -> Result<Box<dyn BatchWriter<W> + Send>, EncodeError> {
    Ok(match format {
        BatchFormat::Csv => Box::new(CsvWriter::new(schema, out)?),
        BatchFormat::Ndjson => Box::new(NdjsonWriter {
            out,
            json_columns: json_columns(schema),
        }),
        BatchFormat::Arrow => Box::new(StreamWriter::try_new(out, schema)?),
    })
}

/// CSV as of RFC 4180, with line feeds: a header, an empty cell for null, quotes where needed.
struct CsvWriter<W: Write> {
    rows: csv::Writer<W>,
    /// Whether the text of a column is JSON. JSON strings are written without their quotes.
    is_json: Vec<bool>,
}

impl<W: Write> CsvWriter<W> {
    fn new(schema: &Schema, out: W) -> Result<Self, EncodeError> {
        let mut rows = csv::WriterBuilder::new().from_writer(out);
        rows.write_record(schema.fields().iter().map(|field| field.name()))
            .map_err(csv_error)?;
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
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
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
                self.rows.write_field(&cell).map_err(csv_error)?;
            }
            self.rows.write_record(None::<&[u8]>).map_err(csv_error)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<W, EncodeError> {
        self.rows
            .into_inner()
            .map_err(|error| EncodeError::Io(error.into_error()))
    }
}

fn csv_error(error: csv::Error) -> EncodeError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => EncodeError::Io(error),
        other => EncodeError::Value(format!("the answer is no table: {other:?}")),
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
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        for row in 0..batch.num_rows() {
            let object = events::json::row_json(batch, row);
            let mut object = object.map_err(|rejection| EncodeError::Value(rejection.message))?;
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

    fn finish(self: Box<Self>) -> Result<W, EncodeError> {
        Ok(self.out)
    }
}

impl<W: Write> BatchWriter<W> for StreamWriter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        Ok(Self::write(self, batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<W, EncodeError> {
        Self::finish(&mut self)?;
        Ok(self.into_inner()?)
    }
}

impl From<ArrowError> for EncodeError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Io(error),
            other => Self::Value(format!("the answer cannot be written: {other}")),
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

    fn written(format: BatchFormat, batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = batch_writer(format, &batch().schema(), Vec::new()).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn csv_keeps_every_cell_as_it_is() {
        let text = String::from_utf8(written(BatchFormat::Csv, &[batch()])).unwrap();
        let expected = "time,df_title,cost,ok,detail\n\
            1763650800123,\"a, \"\"b\"\"\r\nc\",0.1,true,\"{\"\"a\"\":[1]}\"\n\
            0,=1+1,2.0,false,\"a, text\"\n\
            ,,,,\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn ndjson_leaves_out_nulls_and_opens_json() {
        let text = String::from_utf8(written(BatchFormat::Ndjson, &[batch()])).unwrap();
        let expected = "{\"time\":1763650800123,\"df_title\":\"a, \\\"b\\\"\\r\\nc\",\"cost\":0.1,\"ok\":true,\"detail\":{\"a\":[1]}}\n\
            {\"time\":0,\"df_title\":\"=1+1\",\"cost\":2.0,\"ok\":false,\"detail\":\"a, text\"}\n\
            {}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn arrow_is_read_back() {
        let batches = [batch(), batch()];
        let bytes = written(BatchFormat::Arrow, &batches);
        let read: Vec<RecordBatch> = StreamReader::try_new(bytes.as_slice(), None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read, batches);
    }

    #[test]
    fn an_answer_without_rows_still_has_its_columns() {
        assert_eq!(
            written(BatchFormat::Csv, &[]),
            b"time,df_title,cost,ok,detail\n"
        );
        assert_eq!(written(BatchFormat::Ndjson, &[]), b"");
        let bytes = written(BatchFormat::Arrow, &[]);
        let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert_eq!(reader.schema(), batch().schema());
    }
}
