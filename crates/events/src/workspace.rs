//! The name of a workspace.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// The longest workspace id, in bytes.
pub const MAX_WORKSPACE_ID_BYTES: usize = 128;

/// The id of a workspace: 1 to 128 of `A-Z a-z 0-9 _ . -`, and neither `.` nor `..`.
///
/// It is a directory name in the store, so nothing that a path could misread may occur in it.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct WorkspaceId(String);

/// A text that is no workspace id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkspaceIdError {
    /// The text is empty.
    #[error("a workspace id must not be empty")]
    Empty,
    /// The text is longer than [`MAX_WORKSPACE_ID_BYTES`].
    #[error("a workspace id has at most {MAX_WORKSPACE_ID_BYTES} characters, this one has {0}")]
    TooLong(usize),
    /// The text holds a character outside `[A-Za-z0-9_.-]`.
    #[error("`{text}` is no workspace id: {character:?} is not one of A-Z a-z 0-9 _ . -")]
    Character {
        /// The text.
        text: String,
        /// The first character that does not belong.
        character: char,
    },
    /// The text is `.` or `..`.
    #[error("`{0}` is no workspace id: it would name a directory")]
    Dots(String),
}

impl WorkspaceId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn check(text: &str) -> Result<(), WorkspaceIdError> {
        if text.is_empty() {
            return Err(WorkspaceIdError::Empty);
        }
        if text.len() > MAX_WORKSPACE_ID_BYTES {
            return Err(WorkspaceIdError::TooLong(text.chars().count()));
        }
        let wrong = |character: &char| {
            !(character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-'))
        };
        if let Some(character) = text.chars().find(wrong) {
            return Err(WorkspaceIdError::Character {
                text: text.to_owned(),
                character,
            });
        }
        if text == "." || text == ".." {
            return Err(WorkspaceIdError::Dots(text.to_owned()));
        }
        Ok(())
    }
}

impl FromStr for WorkspaceId {
    type Err = WorkspaceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<&str> for WorkspaceId {
    type Error = WorkspaceIdError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for WorkspaceId {
    type Error = WorkspaceIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::check(&text)?;
        Ok(Self(text))
    }
}

impl From<WorkspaceId> for String {
    fn from(id: WorkspaceId) -> Self {
        id.0
    }
}

impl Borrow<str> for WorkspaceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for WorkspaceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_real_products_are_workspace_ids() {
        for text in [
            "123837392027",
            "k8s-master-perfspec",
            "wksp_2dc431d6",
            "a",
            "...",
            ".hidden",
        ] {
            assert_eq!(text.parse::<WorkspaceId>().unwrap().as_str(), text);
        }
        assert!("a".repeat(128).parse::<WorkspaceId>().is_ok());
    }

    #[test]
    fn what_a_path_could_misread_is_refused() {
        assert_eq!("".parse::<WorkspaceId>(), Err(WorkspaceIdError::Empty));
        assert_eq!(
            "a".repeat(129).parse::<WorkspaceId>(),
            Err(WorkspaceIdError::TooLong(129))
        );
        for text in [".", ".."] {
            assert_eq!(
                text.parse::<WorkspaceId>(),
                Err(WorkspaceIdError::Dots(text.to_owned()))
            );
        }
        for (text, character) in [
            ("a/b", '/'),
            ("a b", ' '),
            ("ä", 'ä'),
            ("a\0", '\0'),
            ("a=b", '='),
        ] {
            assert_eq!(
                WorkspaceId::try_from(text.to_owned()),
                Err(WorkspaceIdError::Character {
                    text: text.to_owned(),
                    character
                })
            );
        }
    }
}
