//! What happens to an object, and where.

use bytes::Bytes;
use object_store::path::Path;
use parquet::file::metadata::ParquetMetaDataReader;

use super::super::oracle::random::Random;
use super::store::Sound;

/// The objects that are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Parquet file that the newest version of a table names.
    DataFile,
}

impl Kind {
    fn is(self, path: &Path, sound: &Sound) -> bool {
        match self {
            Self::DataFile => sound.data_files.contains(path),
        }
    }

    /// Offsets at which an object says what its other bytes mean.
    fn sensitive(self, bytes: &Bytes) -> Vec<usize> {
        match self {
            Self::DataFile => sensitive_in_parquet(bytes),
        }
    }
}

/// Damages one object of a kind: its path, what was done, and its bytes now.
pub(super) fn mutate(random: &mut Random, kind: Kind, sound: &Sound) -> (Path, String, Bytes) {
    let objects: Vec<_> = sound
        .objects
        .iter()
        .filter(|(path, _)| kind.is(path, sound))
        .collect();
    let (path, bytes) = random.choose(&objects);
    let mut damaged = bytes.to_vec();
    let sensitive = kind.sensitive(bytes);
    let offset = match random.percent(60) {
        true => random.choose(&sensitive),
        false => random.below(bytes.len()),
    };
    let what = match random.below(8) {
        0..5 => {
            let bit = random.below(8);
            damaged[offset] ^= 1 << bit;
            format!("bit {bit} of byte {offset} is flipped")
        }
        5 => {
            let end = (offset + 1 + random.below(16)).min(damaged.len());
            damaged.drain(offset..end);
            format!("the bytes {offset} to {end} are gone")
        }
        6 => {
            damaged.truncate(offset);
            format!("the file ends after {offset} bytes")
        }
        _ => {
            let others: Vec<_> = objects
                .iter()
                .filter(|(_, other)| *other != bytes)
                .collect();
            let (other, content) = random.pick(&others);
            damaged = content.to_vec();
            format!("its content is that of {other}")
        }
    };
    (path.clone(), what, damaged.into())
}

/// Bytes of the footer, of the page index, of page headers and of dictionaries.
fn sensitive_in_parquet(bytes: &Bytes) -> Vec<usize> {
    let length = bytes.len();
    let footer = u32::from_le_bytes(bytes[length - 8..length - 4].try_into().unwrap());
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(bytes)
        .unwrap();
    let mut offsets: Vec<usize> = (length - 8 - footer as usize..length).collect();
    for column in metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
        let starts = [
            Some(column.data_page_offset()),
            column.dictionary_page_offset(),
        ];
        for start in starts.into_iter().flatten() {
            let start = usize::try_from(start).unwrap();
            // Header and beginning of a page weigh as much as the footer.
            offsets.extend(start..start + 48);
        }
        let index = column
            .offset_index_offset()
            .zip(column.offset_index_length());
        if let Some((start, bytes)) = index {
            let start = usize::try_from(start).unwrap();
            offsets.extend(start..start + usize::try_from(bytes).unwrap());
        }
    }
    offsets
}
