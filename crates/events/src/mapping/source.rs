//! A mapping as text, which threads can share.

use std::sync::Arc;

use super::{Mapping, MappingError};

/// A mapping that is known to compile. A compiled one stays in the thread that runs it, so each reader
/// compiles its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSource {
    name: Arc<str>,
    /// The jq program; `None` is a mapping that comes with Vouch.
    program: Option<Arc<str>>,
}

impl MappingSource {
    /// A mapping that comes with Vouch.
    ///
    /// # Errors
    /// [`MappingError::Unknown`] when none has this name.
    pub fn shipped(name: &str) -> Result<Self, MappingError> {
        Self {
            name: name.into(),
            program: None,
        }
        .checked()
    }

    /// A mapping from the text of a jq program. The name occurs in messages only.
    ///
    /// # Errors
    /// [`MappingError::Program`] with the first place where the program is wrong.
    pub fn program(name: &str, text: &str) -> Result<Self, MappingError> {
        Self {
            name: name.into(),
            program: Some(text.into()),
        }
        .checked()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The mapping, ready to run.
    ///
    /// # Errors
    /// None in practice: a source that does not compile is not made.
    pub fn compile(&self) -> Result<Mapping, MappingError> {
        match &self.program {
            None => Mapping::shipped(&self.name),
            Some(text) => Mapping::compile(&self.name, text),
        }
    }

    fn checked(self) -> Result<Self, MappingError> {
        self.compile()?;
        Ok(self)
    }
}
