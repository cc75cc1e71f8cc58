//! Mappings: jq programs that turn the records of another product into events.
//!
//! A program gets one record and gives one object an event, under Vouch's field names. It sees that
//! record and nothing else: no files, no environment, no clock, no further input, so that the same
//! record always makes the same events.

use std::fmt;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, compile, data, load};
use jaq_json::Val;
use serde_json::{Map, Value};

use crate::event::merge;
use crate::fields;
use crate::rejection::{Rejection, RejectionCode, excerpt};

mod convert;
mod source;

pub use source::MappingSource;

/// Name and program of every mapping that comes with Vouch.
const SHIPPED: [(&str, &str); 3] = [
    ("cloudtrail", include_str!("../mappings/cloudtrail.jq")),
    ("kubernetes", include_str!("../mappings/kubernetes.jq")),
    ("okta", include_str!("../mappings/okta.jq")),
];

/// Functions of jq that reach beyond the record.
const FORBIDDEN_FUNCTIONS: [&str; 5] = ["env", "now", "halt", "debug_empty", "stderr_empty"];
/// Definitions of jq's library that use them.
const FORBIDDEN_DEFINITIONS: [&str; 4] = ["debug", "stderr", "halt", "halt_error"];

type Program = jaq_core::Filter<data::JustLut<Val>>;

/// A compiled mapping.
pub struct Mapping {
    name: String,
    program: Program,
}

/// A mapping that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// No shipped mapping has this name.
    #[error("no mapping is called `{name}`; there are {}", Mapping::shipped_names().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The jq program does not compile.
    #[error("mapping `{name}`, line {line}, column {column}: {message}")]
    Program {
        /// The mapping's name.
        name: String,
        /// Line of the place, from 1.
        line: usize,
        /// Column of the place in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl Mapping {
    /// The names of the mappings that come with Vouch.
    pub fn shipped_names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// A mapping that comes with Vouch.
    ///
    /// # Errors
    /// [`MappingError::Unknown`] when none has this name.
    pub fn shipped(name: &str) -> Result<Self, MappingError> {
        match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((name, source)) => Self::compile(name, source),
            None => Err(MappingError::Unknown {
                name: name.to_owned(),
            }),
        }
    }

    /// A mapping from the text of a jq program. The name occurs in messages only.
    ///
    /// # Errors
    /// [`MappingError::Program`] with the first place where the program is wrong.
    pub fn compile(name: &str, source: &str) -> Result<Self, MappingError> {
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .filter(|definition| !FORBIDDEN_DEFINITIONS.contains(&definition.name));
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .filter(|(function, _, _)| !FORBIDDEN_FUNCTIONS.contains(function));
        let arena = Arena::default();
        let file = File {
            code: source,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, file)
            .map_err(|errors| program_error(name, source, load_problem(&errors)))?;
        let program = Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map_err(|errors| program_error(name, source, compile_problem(&errors)))?;
        Ok(Self {
            name: name.to_owned(),
            program,
        })
    }

    /// The mapping's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The events that one record makes, as objects in Vouch's field names.
    ///
    /// The `attributes` of each are those that the program gives, else the whole record; other keys
    /// it gives that are no fields are added to them.
    ///
    /// # Errors
    /// A [`Rejection`] when the program fails, gives nothing, gives something else than objects, or
    /// gives a key that the attributes have with another value.
    pub fn apply(&self, record: Value) -> Result<Vec<Map<String, Value>>, Rejection> {
        let context = Ctx::<data::JustLut<Val>>::new(&self.program.lut, Vars::new([]));
        let input = convert::to_jq(&record);
        let mut events = Vec::new();
        for output in self.program.id.run((context, input)) {
            let output = output.map_err(|exception| match exception.get_err() {
                Ok(error) => self.failed(&excerpt_long(&error.to_string())),
                Err(_) => self.failed("it stopped"),
            })?;
            match convert::from_jq(output).map_err(|problem| self.failed(problem))? {
                Value::Object(event) => events.push(event),
                other => {
                    let other = excerpt(&other.to_string());
                    return Err(self.failed(&format!("it gave {other}, not an object")));
                }
            }
        }
        let last = events.len().checked_sub(1).ok_or_else(|| {
            let message = format!("mapping `{}` gave no event for this record", self.name);
            Rejection::new(RejectionCode::MappingEmpty, message)
        })?;
        let mut record = Some(record);
        for (index, event) in events.iter_mut().enumerate() {
            self.settle_attributes(event, &mut record, index == last)?;
        }
        Ok(events)
    }

    /// Gives the event its attributes; the last event to need the record takes it.
    fn settle_attributes(
        &self,
        event: &mut Map<String, Value>,
        record: &mut Option<Value>,
        is_last: bool,
    ) -> Result<(), Rejection> {
        let given = event.shift_remove(fields::ATTRIBUTES);
        let original = match given.filter(|value| !value.is_null()) {
            Some(given) => Some(given),
            None if is_last => record.take(),
            None => record.clone(),
        };
        let Some(Value::Object(mut attributes)) = original else {
            return Err(self.failed(
                "the record or the `attributes` that it gave is not an object; give `attributes` as an object",
            ));
        };
        let (named, unlisted): (Map<_, _>, Map<_, _>) = std::mem::take(event)
            .into_iter()
            .partition(|(key, _)| fields::column(key).is_some());
        merge(&mut attributes, unlisted).map_err(|key| {
            let message = format!(
                "mapping `{}` gave `{key}`, which is no field and which the record has with another value",
                self.name
            );
            Rejection::new(RejectionCode::MappingConflict, message)
        })?;
        *event = named;
        event.insert(fields::ATTRIBUTES.to_owned(), Value::Object(attributes));
        Ok(())
    }

    fn failed(&self, reason: &str) -> Rejection {
        let message = format!("mapping `{}` failed on this record: {reason}", self.name);
        Rejection::new(RejectionCode::MappingFailed, message)
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mapping")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An error of jq shows the whole value it is about, which may be the whole record.
fn excerpt_long(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Where in the program something is wrong (as a part of its text), and what.
type Problem<'s> = Option<(&'s str, String)>;

fn load_problem<'s>(errors: &load::Errors<&'s str, ()>) -> Problem<'s> {
    let (_, error) = errors.first()?;
    match error {
        load::Error::Io(errors) => errors
            .first()
            .map(|(place, _)| (*place, "a mapping cannot include other files".to_owned())),
        load::Error::Lex(errors) => errors
            .first()
            .map(|(expected, found)| (*found, format!("expected {}", expected.as_str()))),
        load::Error::Parse(errors) => errors
            .first()
            .map(|(expected, found)| (*found, format!("expected {}", expected.as_str()))),
    }
}

fn compile_problem<'s>(errors: &compile::Errors<&'s str, ()>) -> Problem<'s> {
    let (_, errors) = errors.first()?;
    let (place, undefined) = errors.first()?;
    let message = match undefined {
        compile::Undefined::Filter(arity) => {
            format!("no function `{place}` with {arity} arguments is known here")
        }
        other => format!("no {} `{place}` is known here", other.as_str()),
    };
    Some((*place, message))
}

fn program_error(name: &str, source: &str, problem: Problem<'_>) -> MappingError {
    let (offset, message) = match problem {
        // An end of the program that comes too early has no place in the text.
        Some(("", message)) => (
            source.len(),
            format!("{message}, found the end of the program"),
        ),
        Some((place, message)) => (load::span(source, place).start, message),
        None => (0, "the program cannot be used".to_owned()),
    };
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    MappingError::Program {
        name: name.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message,
    }
}

#[cfg(test)]
mod tests;
