//! Which mapping is meant.

use std::path::Path;

use events::mapping::{Mapping, MappingError};

use super::reading::Problem;
use crate::failure::Failure;

/// A mapping that is known to compile.
#[derive(Debug, Clone)]
pub(super) enum MappingSource {
    /// One that comes with Vouch.
    Shipped(String),
    /// A jq program of the user.
    Program {
        /// The file's name.
        name: String,
        /// The program.
        text: String,
    },
}

impl MappingSource {
    /// The shipped mapping called `argument`, else the jq file at that path.
    pub(super) fn find(argument: &str) -> Result<Self, Failure> {
        let found = if Mapping::shipped_names().any(|name| name == argument) {
            Self::Shipped(argument.to_owned())
        } else {
            Self::Program {
                name: argument.to_owned(),
                text: program(argument)?,
            }
        };
        found
            .mapping()
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(found)
    }

    /// The mapping, for one reader: compiled programs stay in the thread that runs them.
    pub(super) fn compile(&self) -> Result<Mapping, Problem> {
        self.mapping()
            .map_err(|error| Problem::Usage(error.to_string()))
    }

    fn mapping(&self) -> Result<Mapping, MappingError> {
        match self {
            Self::Shipped(name) => Mapping::shipped(name),
            Self::Program { name, text } => Mapping::compile(name, text),
        }
    }
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
        let text = usage(MappingSource::find("cloudtrial"));
        assert!(
            text.contains("`cloudtrial`") && text.contains("cloudtrail"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_program_shows_its_place() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{date: .t,\n  df_title: }").unwrap();
        let text = usage(MappingSource::find(file.path().to_str().unwrap()));
        assert!(text.contains("line 2"), "{text}");
    }

    #[test]
    fn shipped_mappings_and_files_are_found() {
        for name in Mapping::shipped_names() {
            assert!(matches!(
                MappingSource::find(name),
                Ok(MappingSource::Shipped(_))
            ));
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{date: .t}").unwrap();
        assert!(MappingSource::find(file.path().to_str().unwrap()).is_ok());
    }
}
