//! Which event ids data files hold.

use std::collections::HashSet;

use arrow::array::{AsArray, StringArray};
use events::fields;
use futures::TryStreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};

use crate::error::StoreError;
use crate::file_reader::{FilePlace, FileReader, bloom_filters};
use crate::layout;
use crate::location::Location;

type Builder = ParquetRecordBatchStreamBuilder<FileReader>;

impl FilePlace {
    /// All event ids of the file, in its order.
    pub(crate) async fn event_ids(
        &self,
        location: &Location,
    ) -> Result<Vec<StringArray>, StoreError> {
        let builder = self.open(location).await?;
        let mut batches = self.id_batches(builder, None)?;
        let mut ids = Vec::new();
        while let Some(batch) = self.next(&mut batches).await? {
            ids.push(batch);
        }
        Ok(ids)
    }

    /// Those of `wanted` that the file holds.
    ///
    /// Exact: the bloom filters only spare row groups that certainly hold none of them.
    pub(crate) async fn ids_among<'a>(
        &self,
        location: &Location,
        wanted: &HashSet<&'a str>,
    ) -> Result<HashSet<&'a str>, StoreError> {
        let mut found = HashSet::new();
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut builder = self.open(location).await?;
        let row_groups = if wanted.len() <= layout::BLOOM_FILTER_IDS {
            Some(self.row_groups_that_may_hold(&mut builder, wanted).await?)
        } else {
            None
        };
        if row_groups.as_ref().is_some_and(Vec::is_empty) {
            return Ok(found);
        }
        let mut batches = self.id_batches(builder, row_groups)?;
        while let Some(batch) = self.next(&mut batches).await? {
            found.extend(
                batch
                    .iter()
                    .flatten()
                    .filter_map(|id| wanted.get(id).copied()),
            );
        }
        Ok(found)
    }

    async fn row_groups_that_may_hold(
        &self,
        builder: &mut Builder,
        wanted: &HashSet<&str>,
    ) -> Result<Vec<usize>, StoreError> {
        let column = self.id_column(builder)?;
        let filters = bloom_filters(builder, column).await;
        let filters = filters.map_err(|error| StoreError::parquet(&self.path, error))?;
        let filters = filters.into_iter().enumerate();
        let may_hold = filters.filter(|(_, filter)| {
            let filter = filter.as_ref();
            filter.is_none_or(|filter| wanted.iter().any(|id| filter.check(*id)))
        });
        Ok(may_hold.map(|(row_group, _)| row_group).collect())
    }

    fn id_column(&self, builder: &Builder) -> Result<usize, StoreError> {
        builder
            .parquet_schema()
            .columns()
            .iter()
            .position(|column| column.path().string() == fields::EVENT_ID)
            .ok_or_else(|| self.without_ids())
    }

    fn id_batches(
        &self,
        builder: Builder,
        row_groups: Option<Vec<usize>>,
    ) -> Result<ParquetRecordBatchStream<FileReader>, StoreError> {
        let column = self.id_column(&builder)?;
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
