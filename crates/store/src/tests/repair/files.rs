//! Data files that are damaged, or of which the log says something wrong.

use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};

use super::*;

/// A file of which the log says wrong dates is replaced by one with the same events.
#[tokio::test]
async fn wrong_dates_in_the_log_are_corrected() {
    let root = table_of(2).await;
    strip_log_state(&root).await;
    let text = text_of(&root, &entry(2)).await;
    let minimum = format!(r#"\"date\":{}"#, DAY_START_MS + 2);
    let wrong = text.replacen(&minimum, r#"\"date\":1795219200009"#, 1);
    assert_ne!(text, wrong);
    let tagged = wrong.replacen(r#""tags":{"#, r#""tags":{"other.tag":"kept","#, 1);
    assert_ne!(wrong, tagged);
    put(&root, &entry(2), tagged).await;
    let done = repair(&root).await;
    let [RepairStep::File { lost, kept, .. }] = &done.steps[..] else {
        panic!("{done:?}");
    };
    assert_eq!((*lost, *kept), (0, 1));
    let files = newest(&root).await.files;
    let tags = files.iter().filter_map(|file| file.tags.get("other.tag"));
    assert_eq!(tags.collect::<Vec<_>>(), ["kept"]);
    assert_eq!(ids(&root).await, numbers(1..=2));
}

/// The file with another footer, whose first column chunk begins before the file does.
fn with_negative_offset(content: &[u8]) -> Vec<u8> {
    let content = bytes::Bytes::copy_from_slice(content);
    let found = ParquetMetaDataReader::new().parse_and_finish(&content);
    let metadata = found.unwrap();
    let groups = metadata
        .row_groups()
        .iter()
        .enumerate()
        .map(|(index, group)| {
            let mut columns = group.columns().to_vec();
            if index == 0 {
                let first = columns[0].clone().into_builder();
                let first = first.set_data_page_offset(-9);
                columns[0] = first.set_dictionary_page_offset(None).build().unwrap();
            }
            let group = group.clone().into_builder();
            group.set_column_metadata(columns).build().unwrap()
        });
    let wrong = ParquetMetaData::new(metadata.file_metadata().clone(), groups.collect());
    let length = content.len();
    let footer = u32::from_le_bytes(content[length - 8..length - 4].try_into().unwrap());
    let mut written = content[..length - 8 - footer as usize].to_vec();
    let mut end = Vec::new();
    ParquetMetaDataWriter::new(&mut end, &wrong)
        .finish()
        .unwrap();
    written.extend(end);
    written
}

/// Files that nothing names and that cannot be decoded stop no repair, and are kept in `set-aside`.
#[tokio::test]
async fn undecodable_unnamed_files_are_set_aside() {
    let root = table_of(2).await;
    let file = newest(&root).await.files[0].path.clone();
    let wrong = with_negative_offset(&bytes_of(&root, &file).await);
    let contents = [b"no parquet at all".to_vec(), wrong];
    let paths = [unnamed(), unnamed()];
    for (path, content) in paths.iter().zip(&contents) {
        put(&root, path, content.clone()).await;
    }
    delete_log(&root).await;
    let done = repair(&root).await;
    assert_eq!(rebuilt(&done).unreadable.len(), 2, "{done:?}");
    assert_eq!(ids(&root).await, numbers(1..=2));
    let aside = set_aside(&root).await;
    assert!(contents.iter().all(|content| aside.contains(content)));
    let left = objects(&root.open()).await;
    assert!(paths.iter().all(|path| !left.contains(&path.to_string())));
}

/// The events of a damaged file that a file which nothing names has too are kept once.
#[tokio::test]
async fn whole_row_groups_and_found_copies_are_kept_once() {
    let text = |seed: u64| {
        let noise = (0..2_048_u64).map(|index| blake3::hash(&(seed << 32 | index).to_le_bytes()));
        let noise: String = noise.map(|hash| hash.to_string()).collect();
        noise + &"a".repeat(65 * 1024 * 1024)
    };
    let root = Root::in_memory();
    let memory_bytes = 1024 * 1024 * 1024;
    let mut large = root.open().import(ImportOptions { memory_bytes });
    for number in 1..=2 {
        let text = text(number as u64);
        let event = titled("w", DAY_START_MS + number, &number.to_string(), &text);
        large.push(event).await.unwrap();
    }
    large.finish().await.unwrap();
    import(&root.open(), [event("w", DAY_START_MS, "3")]).await;
    import(&root.open(), [event("w", DAY_START_MS, "4")]).await;
    let files = newest(&root).await.files;
    let file = files.iter().find(|file| file.rows == 2).unwrap();
    let mut content = bytes_of(&root, &file.path).await;
    put(&root, &unnamed(), content.clone()).await;
    let footer = ParquetMetaDataReader::new();
    let footer = footer.parse_and_finish(&bytes::Bytes::from(content.clone()));
    let footer = footer.unwrap();
    assert_eq!(footer.num_row_groups(), 2);
    let columns = footer.row_group(0).columns().iter();
    let mut columns = columns.filter(|column| column.column_path().string() == "df_event_id");
    let (start, _) = columns.next().unwrap().byte_range();
    content[usize::try_from(start).unwrap() + 1] ^= 1;
    put(&root, &file.path, content).await;
    delete(&root, &entry(2)).await;
    let done = root.open().repair_table(&workspace("w"), Some("ada")).await;
    let done = done.unwrap().unwrap();
    let [RepairStep::Rebuild(_), RepairStep::File { kept: 1, .. }] = &done.steps[..] else {
        panic!("{done:?}");
    };
    assert_eq!(ids(&root).await, numbers(1..=4));
}
