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
    /// An entry of the log.
    LogEntry,
    /// A checkpoint, or the hint to it.
    Checkpoint,
    /// A segment that is not folded.
    Segment,
}

/// An object that is damaged.
pub(super) struct Mutation {
    pub(super) path: Path,
    /// What was done to it.
    pub(super) what: String,
    /// Its bytes now; `None` when it is gone.
    pub(super) bytes: Option<Bytes>,
}

impl Kind {
    fn is(self, path: &Path, sound: &Sound) -> bool {
        let path_text = path.as_ref();
        let is_log = path_text.contains("_delta_log/");
        match self {
            Self::DataFile => sound.data_files.contains(path),
            Self::LogEntry => is_log && path_text.ends_with(".json"),
            Self::Checkpoint => is_log && !path_text.ends_with(".json"),
            Self::Segment => path_text.starts_with("segments/"),
        }
    }

    /// Offsets at which an object says what its other bytes mean.
    fn sensitive(self, bytes: &Bytes) -> Vec<usize> {
        match self {
            Self::DataFile => sensitive_in_parquet(bytes),
            Self::Checkpoint if bytes.starts_with(b"PAR1") => sensitive_in_parquet(bytes),
            Self::LogEntry | Self::Checkpoint => (0..bytes.len()).collect(),
            // The header, in front of the first block.
            Self::Segment => (0..bytes.len().min(2_048)).collect(),
        }
    }

    /// How often of 8 an object of this kind is removed.
    fn removals(self) -> usize {
        match self {
            Self::DataFile => 0,
            Self::LogEntry | Self::Checkpoint | Self::Segment => 1,
        }
    }
}

/// Damages one object of a kind.
pub(super) fn mutate(random: &mut Random, kind: Kind, sound: &Sound) -> Mutation {
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
    let removals = kind.removals();
    let others: Vec<_> = objects
        .iter()
        .filter(|(_, other)| *other != bytes)
        .collect();
    let what = match random.below(8 + removals) {
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
        7 => {
            let (other, content) = random.pick(&others);
            damaged = content.to_vec();
            format!("its content is that of {other}")
        }
        _ => {
            return Mutation {
                path: path.clone(),
                what: "it is removed".to_owned(),
                bytes: None,
            };
        }
    };
    Mutation {
        path: path.clone(),
        what,
        bytes: Some(damaged.into()),
    }
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
