//! The mapping that an argument names.

use std::path::Path;

use events::{Mapping, MappingSource};

use crate::failure::Failure;

/// The shipped mapping called `argument`, else the jq file at that path.
pub(crate) fn find(argument: &str) -> Result<MappingSource, Failure> {
    let found = if Mapping::shipped_names().any(|name| name == argument) {
        MappingSource::shipped(argument)
    } else {
        MappingSource::program(argument, &program(argument)?)
    };
    found.map_err(|error| Failure::Usage(error.to_string()))
}

/// The mapping in a jq file. Its name is that of the file, without the extension.
pub(crate) fn from_file(path: &Path) -> Result<MappingSource, Failure> {
    let wrong = |reason: String| Failure::Usage(format!("mapping `{}`: {reason}", path.display()));
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    MappingSource::program(&name, &text).map_err(|error| wrong(error.to_string()))
}

fn program(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(Path::new(path)).map_err(|error| {
        let shipped: Vec<&str> = Mapping::shipped_names().collect();
        Failure::Usage(format!(
            "no mapping is called `{path}`, and it cannot be read as a jq file ({error}); shipped are {}",
            shipped.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn usage(result: Result<MappingSource, Failure>) -> String {
        match result {
            Err(Failure::Usage(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_name_lists_the_shipped_ones() {
        let text = usage(find("cloudtrial"));
        assert!(
            text.contains("`cloudtrial`") && text.contains("cloudtrail"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_program_shows_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{date: .t,\n  df_title: }").unwrap();
        let text = usage(find(file.path().to_str().unwrap()));
        assert!(text.contains("line 2"), "{text}");
    }

    #[test]
    fn shipped_mappings_and_files_are_found() {
        for name in Mapping::shipped_names() {
            assert_eq!(find(name).unwrap().name(), name);
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{date: .t}").unwrap();
        assert!(find(file.path().to_str().unwrap()).is_ok());
    }
}
