//! Which event ids data files hold, and the events that have them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use events::{Content, PackedEvents, fields};
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::async_reader::ParquetRecordBatchStream;

use crate::error::StoreError;
use crate::file::footer::Footer;
use crate::file::layout;
use crate::file::reader::{FileReader, FileRef, bloom_filters};
use crate::root::location::Location;

/// The form of an event id in memory, the first half of its BLAKE3 digest; those of two different ids are never the same.
pub(crate) type ShortId = [u8; 16];

/// The short form of an event id.
pub(crate) fn short(id: &str) -> ShortId {
    let mut short = ShortId::default();
    let length = short.len();
    short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..length]);
    short
}

/// The id of an event that may be stored under another id than the one that its producer gave it.
#[derive(Debug)]
pub(crate) struct RenamedId {
    pub(crate) id: String,
    /// The one that the producer gave it.
    pub(crate) own: String,
}

impl FileRef {
    /// All event ids of the file, in its order.
    pub(crate) async fn event_ids(
        &self,
        location: &Location,
    ) -> Result<Vec<StringArray>, StoreError> {
        let footer = location.caches.footers.of(location, self).await?;
        let mut batches = self.id_batches(location, &footer, None)?;
        let mut ids = Vec::new();
        while let Some(batch) = self.next(&mut batches).await? {
            ids.push(batch);
        }
        Ok(ids)
    }

    /// The events of the file that are stored under another id than their own. Nothing is read of row groups whose
    /// footer says that they have none.
    pub(crate) async fn renamed_ids(
        &self,
        location: &Location,
    ) -> Result<Vec<RenamedId>, StoreError> {
        let failed = |error| StoreError::parquet(&self.path, error);
        let footer = location.caches.footers.of(location, self).await?;
        let Some(conflict) = footer.column_index(fields::CONFLICT) else {
            return Ok(Vec::new());
        };
        let groups = (0..footer.groups()).filter(|group| !footer.is_empty(*group, conflict));
        let groups: Vec<usize> = groups.collect();
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let columns = [self.id_column(&footer)?, conflict];
        let builder = self.builder(location, &footer);
        let mask = ProjectionMask::leaves(builder.parquet_schema(), columns);
        let builder = builder.with_projection(mask).with_row_groups(groups);
        let mut batches = builder.build().map_err(failed)?;
        let mut renamed = Vec::new();
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let texts = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
            let ids = texts(fields::EVENT_ID).ok_or_else(|| self.without_ids())?;
            let own = texts(fields::CONFLICT).ok_or_else(|| self.without_ids())?;
            renamed.extend(ids.iter().zip(own).filter_map(|(id, own)| {
                Some(RenamedId {
                    id: id?.to_owned(),
                    own: own?.to_owned(),
                })
            }));
        }
        Ok(renamed)
    }

    /// The events of the file with an id among `wanted`, by id.
    ///
    /// Exact: the bloom filters only spare row groups that certainly hold none of them. Nothing but ids is read of a
    /// file that holds none.
    pub(crate) async fn contents_among(
        &self,
        location: &Location,
        wanted: &HashSet<&str>,
    ) -> Result<HashMap<String, Content>, StoreError> {
        let mut contents = HashMap::new();
        self.for_rows_among(location, wanted, None, |batch, ids| {
            for (row, id) in ids.iter().enumerate() {
                let delivery = self.delivery.as_deref();
                let content = Content::of_row(batch, row, delivery);
                contents.insert(id.unwrap_or_default().to_owned(), content);
            }
        })
        .await?;
        Ok(contents)
    }

    /// The events of the file with an id among the keys of `new_ids`, under the ids that these have. With `groups` only
    /// these row groups are read.
    pub(crate) async fn rows_under(
        &self,
        location: &Location,
        new_ids: &HashMap<String, String>,
        groups: Option<&[usize]>,
    ) -> Result<PackedEvents, StoreError> {
        let wanted = new_ids.keys().map(String::as_str).collect();
        let mut packed = PackedEvents::default();
        let mut rows = Vec::new();
        self.for_rows_among(location, &wanted, groups, |batch, ids| {
            let new = ids.iter().map(|id| new_ids.get(id?).cloned());
            rows.push(events::with_ids(batch, &new.collect::<Vec<_>>()));
        })
        .await?;
        for batch in rows {
            let batch = batch?;
            (0..batch.num_rows()).for_each(|row| packed.push_row(&batch, row));
        }
        Ok(packed)
    }

    /// Calls `use_rows` with batches of the rows with an id among `wanted`, in the columns of [`events::schema`], and
    /// their ids. With `groups` only these row groups are read.
    async fn for_rows_among(
        &self,
        location: &Location,
        wanted: &HashSet<&str>,
        groups: Option<&[usize]>,
        mut use_rows: impl FnMut(&RecordBatch, &StringArray),
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let footer = location.caches.footers.of(location, self).await?;
        let mut row_groups = match wanted.len() {
            few if few <= layout::BLOOM_FILTER_IDS => {
                let may_hold = self.row_groups_that_may_hold(location, &footer, wanted);
                may_hold.await?
            }
            _ => (0..footer.groups()).collect(),
        };
        row_groups.retain(|group| groups.is_none_or(|groups| groups.contains(group)));
        if row_groups.is_empty() {
            return Ok(());
        }
        let mut batches = self.id_batches(location, &footer, Some(row_groups.clone()))?;
        let mut selected = Vec::new();
        while let Some(ids) = self.next(&mut batches).await? {
            let is_wanted = |id: Option<&str>| id.is_some_and(|id| wanted.contains(id));
            selected.extend(ids.iter().map(is_wanted));
        }
        if !selected.contains(&true) {
            return Ok(());
        }
        let selection = RowSelection::from_filters(&[BooleanArray::from(selected)]);
        let failed = |error| StoreError::parquet(&self.path, error);
        let columns = Needed::of(&footer, &row_groups);
        let builder = self.builder(location, &footer);
        let mask = ProjectionMask::leaves(builder.parquet_schema(), columns.read.iter().copied());
        let builder = builder.with_projection(mask).with_row_groups(row_groups);
        let rows = builder.with_row_selection(selection).build();
        let mut rows = rows.map_err(failed)?;
        while let Some(batch) = rows.try_next().await.map_err(failed)? {
            let ids = batch.column_by_name(fields::EVENT_ID);
            let ids: Option<&StringArray> = ids.and_then(|ids| ids.as_string_opt());
            use_rows(
                &events::with_all_columns(&columns.with_constants(&batch)?, None)?,
                ids.ok_or_else(|| self.without_ids())?,
            );
        }
        Ok(())
    }

    async fn row_groups_that_may_hold(
        &self,
        location: &Location,
        footer: &Footer,
        wanted: &HashSet<&str>,
    ) -> Result<Vec<usize>, StoreError> {
        let column = self.id_column(footer)?;
        let filters = bloom_filters(&mut self.builder(location, footer), column).await;
        let filters = filters.map_err(|error| StoreError::parquet(&self.path, error))?;
        let filters = filters.into_iter().enumerate();
        let may_hold = filters.filter(|(_, filter)| {
            let filter = filter.as_ref();
            filter.is_none_or(|filter| wanted.iter().any(|id| filter.check(*id)))
        });
        Ok(may_hold.map(|(row_group, _)| row_group).collect())
    }

    fn id_column(&self, footer: &Footer) -> Result<usize, StoreError> {
        let column = footer.column_index(fields::EVENT_ID);
        column.ok_or_else(|| self.without_ids())
    }

    fn id_batches(
        &self,
        location: &Location,
        footer: &Footer,
        row_groups: Option<Vec<usize>>,
    ) -> Result<ParquetRecordBatchStream<FileReader>, StoreError> {
        let column = self.id_column(footer)?;
        let builder = self.builder(location, footer);
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [column]);
        let mut builder = builder.with_projection(mask);
        if let Some(row_groups) = row_groups {
            builder = builder.with_row_groups(row_groups);
        }
        builder
            .build()
            .map_err(|error| StoreError::parquet(&self.path, error))
    }

    async fn next(
        &self,
        batches: &mut ParquetRecordBatchStream<FileReader>,
    ) -> Result<Option<StringArray>, StoreError> {
        let batch = batches
            .try_next()
            .await
            .map_err(|error| StoreError::parquet(&self.path, error))?;
        let Some(batch) = batch else {
            return Ok(None);
        };
        let ids = batch.columns().first().and_then(|column| {
            let ids: Option<&StringArray> = column.as_string_opt();
            ids.cloned()
        });
        ids.map(Some).ok_or_else(|| self.without_ids())
    }

    fn without_ids(&self) -> StoreError {
        self.corrupt(format!("it has no text column `{}`", fields::EVENT_ID))
    }
}

/// The columns that have a value in some row groups. Most events have few, and each column costs about as much as
/// reading a few rows of it.
struct Needed<'f> {
    /// The positions of those that have to be read.
    read: Vec<usize>,
    /// Those that have one text in all rows, as the footer says, by name.
    constant: Vec<(&'f str, &'f str)>,
}

impl<'f> Needed<'f> {
    fn of(footer: &'f Footer, row_groups: &[usize]) -> Self {
        let schema = footer.reader().parquet_schema();
        let mut needed = Self {
            read: Vec::new(),
            constant: Vec::new(),
        };
        for (column, described) in schema.columns().iter().enumerate() {
            let name = described.name();
            let constant = match row_groups {
                [only] if name != fields::EVENT_ID => footer.only_text(*only, column),
                _ => None,
            };
            let mut groups = row_groups.iter();
            match constant {
                Some(text) => needed.constant.push((name, text)),
                None if groups.all(|group| footer.is_empty(*group, column)) => {}
                None => needed.read.push(column),
            }
        }
        needed
    }

    /// Rows of the columns that were read with the other ones.
    fn with_constants(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let mut fields = batch.schema_ref().fields().to_vec();
        let mut columns = batch.columns().to_vec();
        for (name, text) in &self.constant {
            let texts = std::iter::repeat_n(text, batch.num_rows());
            columns.push(Arc::new(StringArray::from_iter_values(texts)));
            fields.push(Arc::new(Field::new(*name, DataType::Utf8, true)));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}
