//! Columns of row groups in memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::Field;
use chrono::NaiveDate;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use store::{DataFile, Store, StoreOptions, writer_properties};

use super::{Column, ColumnCache, LoadedColumn, RowGroupRef, RowSelection};
use crate::metrics::{CacheMetrics, ScanMetrics};

const ROWS: usize = 25;
const GROUP_ROWS: usize = 10;
/// The store keeps the whole content of files up to this size.
const LARGEST_KEPT_BYTES: u64 = 64 * 1024;
const PATH: &str = "workspace=a/day=2026-11-21/x.parquet";

fn title(row: usize) -> Option<&'static str> {
    [Some("Login"), None, Some("Logout")][row % 3]
}

fn message(row: usize) -> Option<String> {
    (!row.is_multiple_of(4)).then(|| format!("message number {row}, longer than a view"))
}

/// A file of three row groups, without most columns.
async fn file(store: &Store) -> u64 {
    let dates: Int64Array = (0..ROWS as i64).collect();
    let ids: StringArray = (0..ROWS).map(|row| Some(format!("id {row}"))).collect();
    let titles: StringArray = (0..ROWS).map(title).collect();
    let messages: StringArray = (0..ROWS).map(message).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("date", Arc::new(dates) as ArrayRef, true),
        ("df_event_id", Arc::new(ids), true),
        ("df_title", Arc::new(titles), true),
        ("df_message", Arc::new(messages), true),
    ])
    .unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(2)
        .set_write_batch_size(2)
        .set_column_dictionary_enabled("df_message".into(), false)
        .set_column_bloom_filter_enabled("df_event_id".into(), true)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let size_bytes = bytes.len() as u64;
    let objects = store.object_store();
    objects.put(&Path::from(PATH), bytes.into()).await.unwrap();
    size_bytes
}

fn fields(names: &[&str]) -> Vec<Arc<Field>> {
    let schema = events::view_schema();
    let field = |name: &&str| Arc::new(schema.field_with_name(name).unwrap().clone());
    names.iter().map(field).collect()
}

fn new_store() -> Store {
    Store::open("memory:///audit", &StoreOptions::default()).unwrap()
}

/// The same objects for another process, which has nothing in memory.
fn reopened(store: &Store) -> Store {
    Store::with_object_store(store.object_store(), store.url().clone())
}

fn metrics() -> CacheMetrics {
    ScanMetrics::new(&ExecutionPlanMetricsSet::new(), 0).cache
}

/// The file, as a log of another writer names it.
fn data_file(size_bytes: u64) -> Arc<DataFile> {
    let day = NaiveDate::default();
    Arc::new(DataFile::unproved(
        Path::from(PATH),
        day,
        size_bytes,
        ROWS as u64,
    ))
}

async fn groups(columns: &ColumnCache, size_bytes: u64) -> Vec<RowGroupRef> {
    let file = data_file(size_bytes);
    let groups = columns.row_groups(&file).await.unwrap();
    let rows: Vec<usize> = groups.iter().map(RowGroupRef::rows).collect();
    assert_eq!(rows, [10, 10, 5]);
    groups
}

const NAMES: [&str; 4] = ["df_message", "df_title", "date", "df_user_name"];

fn expected(rows: impl Iterator<Item = usize>) -> Vec<ArrayRef> {
    let rows: Vec<usize> = rows.collect();
    let messages: StringViewArray = rows.iter().copied().map(message).collect();
    let titles: StringViewArray = rows.iter().copied().map(title).collect();
    let dates: Int64Array = rows.iter().map(|row| *row as i64).collect();
    let names = StringViewArray::new_null(rows.len());
    vec![
        Arc::new(messages),
        Arc::new(titles),
        Arc::new(dates),
        Arc::new(names),
    ]
}

/// What a column takes is known before it is read; one that is in memory takes no more.
#[tokio::test]
async fn columns_take_the_memory_that_is_said() {
    let store = new_store();
    let size_bytes = file(&store).await;
    let columns = ColumnCache::new(&store, 1 << 20);
    let groups = groups(&columns, size_bytes).await;
    let fields = fields(&NAMES);
    let mut bytes = Vec::new();
    for field in &fields {
        bytes.push(columns.bytes_to_load(&groups[0], field));
    }
    let texts: usize = (0..GROUP_ROWS)
        .filter_map(message)
        .map(|text| text.len())
        .sum();
    let views = GROUP_ROWS * size_of::<u128>();
    assert!(
        (texts + views..2 * (texts + views)).contains(&bytes[0]),
        "{bytes:?}"
    );
    assert!(bytes[1] < texts, "{bytes:?}");
    assert_eq!(bytes[2..], [GROUP_ROWS * size_of::<i64>(), 0]);
    let metrics = metrics();
    columns.load(&groups[0], &fields, &metrics).await.unwrap();
    assert_eq!((metrics.hits.value(), metrics.misses.value()), (0, 3));
    assert!(metrics.bytes_scanned.value() > 0);
    for field in &fields {
        assert_eq!(columns.bytes_to_load(&groups[0], field), 0);
        let other = columns.bytes_to_load(&groups[1], field);
        assert_eq!(other > 0, field.name() != "df_user_name");
    }
}

#[tokio::test]
async fn columns_hold_what_the_file_holds() {
    let store = new_store();
    let size_bytes = file(&store).await;
    // The second keeps nothing, so it reads all anew.
    for memory_bytes in [1 << 20, 0] {
        let columns = ColumnCache::new(&store, memory_bytes);
        for group in groups(&columns, size_bytes).await {
            let start = group.index * GROUP_ROWS;
            for rows in [RowSelection::Range(1..4), RowSelection::List(vec![0, 3, 4])] {
                for _ in 0..2 {
                    let expected = expected(rows.iter().map(|row| start + row));
                    let few = columns
                        .read_rows(&group, &fields(&NAMES), &rows, &metrics())
                        .await;
                    let values = few.unwrap().into_iter().map(|part| match part {
                        LoadedColumn::Full(column) => column.values(&rows).unwrap(),
                        LoadedColumn::Selected(values) => values,
                    });
                    let values: Vec<ArrayRef> = values.collect();
                    assert_eq!(values, expected, "{group:?}, {rows:?}");
                    let whole = columns
                        .load(&group, &fields(&NAMES), &metrics())
                        .await
                        .unwrap();
                    let whole: Vec<ArrayRef> = whole
                        .iter()
                        .map(|column| column.values(&rows).unwrap())
                        .collect();
                    assert_eq!(whole, expected, "{group:?}, {rows:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn text_with_few_values_is_a_dictionary() {
    let store = new_store();
    let size_bytes = file(&store).await;
    let columns = ColumnCache::new(&store, 1 << 20);
    let group = groups(&columns, size_bytes).await.remove(0);
    let loaded = columns
        .load(&group, &fields(&NAMES), &metrics())
        .await
        .unwrap();
    let is_dictionary = |column: &Arc<Column>| matches!(column.as_ref(), Column::Dictionary(_));
    let dictionaries: Vec<bool> = loaded.iter().map(is_dictionary).collect();
    assert_eq!(dictionaries, [false, true, false, true]);
    let Column::Dictionary(titles) = loaded[1].as_ref() else {
        unreachable!("it is a dictionary");
    };
    let keys = titles.keys(&RowSelection::Range(0..4));
    let values = StringViewArray::from(vec![Some("Login"), Some("Logout"), None]);
    assert_eq!(titles.dictionary().as_ref(), &values as &dyn Array);
    assert_eq!(keys, [0, 2, 1, 0]);
}

#[tokio::test]
async fn long_text_is_kept_when_rows_of_it_are_asked_for_again() {
    let store = new_store();
    let size_bytes = file(&store).await;
    let columns = ColumnCache::new(&store, 1 << 20);
    let group = groups(&columns, size_bytes).await.remove(1);
    for expected in [[false, true, true, true], [true; 4]] {
        let parts = columns
            .read_rows(
                &group,
                &fields(&NAMES),
                &RowSelection::Range(2..3),
                &metrics(),
            )
            .await;
        let is_whole = |part: &LoadedColumn| matches!(part, LoadedColumn::Full(_));
        let whole: Vec<bool> = parts.unwrap().iter().map(is_whole).collect();
        assert_eq!(whole, expected);
    }
}

/// A number that does not compress.
fn hash(number: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    hasher.finish()
}

/// A file of one row group with these columns.
async fn one_group(store: &Store, columns: Vec<(&str, ArrayRef)>) -> (ColumnCache, RowGroupRef) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let properties = writer_properties();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let size_bytes = bytes.len() as u64;
    let (objects, path) = (store.object_store(), Path::from(PATH));
    objects.put(&path, bytes.into()).await.unwrap();
    let columns = ColumnCache::new(store, 1 << 24);
    let mut groups = columns.row_groups(&data_file(size_bytes)).await.unwrap();
    (columns, groups.remove(0))
}

#[tokio::test]
async fn a_column_of_one_value_is_known_from_the_footer() {
    let store = new_store();
    let long = "the same beginning ".repeat(10);
    let texts = |of: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
        Arc::new((0..20).map(of).collect::<StringArray>())
    };
    let one_or_none = |row: usize| (row > 3).then(|| "CH".to_owned());
    // So much that the file is too large to be kept as a whole.
    let incompressible = |row: usize| {
        let parts = (0..600).map(|part| format!("{:016x}", hash(row * 600 + part)));
        Some(parts.collect::<String>())
    };
    let (columns, group) = one_group(
        &store,
        vec![
            ("df_source", texts(&|_| Some("audit".to_owned()))),
            ("project", texts(&|_| None)),
            ("country", texts(&one_or_none)),
            ("df_title", texts(&|row| Some(format!("{long}{}", row % 2)))),
            ("df_message", texts(&incompressible)),
        ],
    )
    .await;
    let size_bytes = group.file.size_bytes;
    let path = Path::from(PATH);
    let names = ["df_source", "project", "country", "df_title"];
    let wanted = fields(&names);
    let rows = RowSelection::List(vec![0, 5]);
    let whole = columns.load(&group, &wanted, &metrics()).await.unwrap();
    let values: Vec<ArrayRef> = whole.iter().map(|one| one.values(&rows).unwrap()).collect();
    let expected = [
        [Some("audit".to_owned()), Some("audit".to_owned())],
        [None, None],
        [None, Some("CH".to_owned())],
        [Some(format!("{long}0")), Some(format!("{long}1"))],
    ];
    for (values, expected) in values.iter().zip(expected) {
        let expected: StringViewArray = expected.into_iter().collect();
        assert_eq!(values.as_ref(), &expected as &dyn Array);
    }
    // Nothing but the footer is read for the first two: they are there without the rest of the file.
    assert!(size_bytes > LARGEST_KEPT_BYTES);
    let store = reopened(&store);
    let columns = ColumnCache::new(&store, 1 << 20);
    columns.row_groups(&data_file(size_bytes)).await.unwrap();
    store.object_store().delete(&path).await.unwrap();
    columns
        .load(&group, &wanted[..2], &metrics())
        .await
        .unwrap();
    columns
        .load(&group, &wanted[2..], &metrics())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn very_few_rows_are_read_by_page_until_that_costs_as_much_as_the_column() {
    const ROWS: usize = 40_000;
    let store = new_store();
    let titles: StringArray = (0..ROWS).map(title).collect();
    let (columns, group) = one_group(&store, vec![("df_title", Arc::new(titles))]).await;
    let wanted = fields(&["df_title"]);
    let mut is_whole = Vec::new();
    for row in (0..ROWS as u32).step_by(4_000) {
        let rows = RowSelection::List(vec![row, row + 1]);
        let parts = columns
            .read_rows(&group, &wanted, &rows, &metrics())
            .await
            .unwrap();
        is_whole.push(matches!(parts[0], LoadedColumn::Full(_)));
    }
    let by_page = [false; 8];
    assert_eq!(is_whole, [by_page.as_slice(), &[true, true]].concat());
    // Rows in every page are as much as the column.
    let columns = ColumnCache::new(&store, 1 << 24);
    let rows = RowSelection::List((0..ROWS as u32).step_by(2_000).collect());
    let parts = columns
        .read_rows(&group, &wanted, &rows, &metrics())
        .await
        .unwrap();
    assert!(matches!(parts[0], LoadedColumn::Full(_)));
}

#[tokio::test]
async fn a_long_text_is_whole_when_it_is_read_in_parts() {
    // No multiple of a page, nor of what one part holds.
    const ROWS: usize = 40_001;
    let store = new_store();
    let messages: StringArray = (0..ROWS).map(message).collect();
    let (columns, group) = one_group(&store, vec![("df_message", Arc::new(messages))]).await;
    let read = columns
        .load(&group, &fields(&["df_message"]), &metrics())
        .await
        .unwrap();
    assert!(
        matches!(read[0].as_ref(), Column::Plain(_)),
        "long texts are no dictionary"
    );
    let expected: StringViewArray = (0..ROWS).map(message).collect();
    let found = read[0].values(&RowSelection::Range(0..ROWS)).unwrap();
    assert_eq!(found.as_ref(), &expected as &dyn Array);
}

#[tokio::test]
async fn a_bloom_filter_excludes_row_groups() {
    let store = new_store();
    let size_bytes = file(&store).await;
    let columns = ColumnCache::new(&store, 1 << 20);
    let of = data_file(size_bytes);
    let may_contain = async |column: &str, text: &str| {
        let bytes = metrics().bytes_scanned;
        let groups = columns.may_contain(&of, column, text, &bytes);
        groups.await.unwrap()
    };
    for (row, group) in [(3, 0), (13, 1), (23, 2)] {
        let kept = may_contain("df_event_id", &format!("id {row}")).await;
        assert!(kept[group] && kept.contains(&false), "{kept:?}");
    }
    assert_eq!(may_contain("df_event_id", "id 25").await, [false; 3]);
    for column in ["df_title", "df_user_name"] {
        let unknown = may_contain(column, "id 25").await;
        assert_eq!(unknown, [true; 3], "{column} has no filter");
    }
}

#[test]
fn rows_are_cut_by_number_and_by_index() {
    for rows in [
        RowSelection::Range(3..8),
        RowSelection::List(vec![3, 4, 5, 6, 7]),
    ] {
        assert_eq!(rows.len(), 5);
        let counts: Vec<usize> = [0, 3, 5, 8, 9].map(|index| rows.count_before(index)).into();
        assert_eq!(counts, [0, 0, 2, 5, 5]);
        let selected: Vec<usize> = rows.slice(1, 3).iter().collect();
        assert_eq!(selected, [4, 5, 6]);
        assert!(rows.slice(5, 3).is_empty());
    }
}
