//! Why there is no answer.

use std::error::Error;
use std::time::Duration;

use api::ErrorCode;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use dql::{Code, Diagnostic, Fault};
use store::StoreError;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The question is wrong; each finding has a place in its text.
    #[error("{}", summarise(.0))]
    Query(Vec<Diagnostic>),
    /// A workspace the question names is not in the store.
    #[error("no workspace `{name}` in this store{}", near(.suggestion))]
    UnknownWorkspace {
        /// The name that was asked for.
        name: String,
        /// A workspace of the store with a similar name.
        suggestion: Option<String>,
    },
    /// The query needs more memory than it may have.
    #[error("the query needs more memory than it may use: {0}; narrow its window or its groups")]
    ResourcesExhausted(String),
    /// The answer is larger than one message may be, in bytes.
    #[error(
        "the answer takes more than {0} bytes, which is the most that is answered at once; lower LIMIT or SLIMIT, name fewer columns, or stream the answer (QueryStream)"
    )]
    AnswerTooLarge(usize),
    /// The search took longer than the request or the service allows.
    #[error("the search took longer than it may, {0:?}; narrow its window, or allow more time")]
    TimedOut(Duration),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the store is gone, also from its newest state.
    #[error(
        "the store names a file that is missing: {0}; restore it from a backup, the answer would be incomplete without it"
    )]
    MissingFile(String),
    /// DataFusion failed on a valid plan: a defect of ours or of the disk.
    #[error("the query could not be run: {0}")]
    Execution(#[source] DataFusionError),
}

impl EngineError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Query(diagnostics) => diagnostics
                .first()
                .map_or(Code::InvalidQuery, |first| first.code)
                .into(),
            Self::UnknownWorkspace { .. } => Code::UnknownWorkspace.into(),
            Self::ResourcesExhausted(_) => Code::ResourcesExhausted.into(),
            Self::AnswerTooLarge(_) => ErrorCode::AnswerTooLarge,
            Self::TimedOut(_) => ErrorCode::TimedOut,
            Self::Store(_) => ErrorCode::StoreError,
            Self::MissingFile(_) => ErrorCode::MissingFile,
            Self::Execution(_) => ErrorCode::ExecutionFailed,
        }
    }

    /// Whether the author of the question or its caller has to change something, rather than the operator.
    pub fn is_question(&self) -> bool {
        match self.code().fault() {
            Fault::Question | Fault::Request | Fault::Warning => true,
            Fault::Service => false,
        }
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        let error = match error {
            DataFusionError::External(source) => match source.downcast::<StoreError>() {
                Ok(error) if !error.is_missing_object() => return Self::Store(*error),
                Ok(error) => DataFusionError::External(error),
                Err(source) => DataFusionError::External(source),
            },
            other => other,
        };
        if let DataFusionError::ResourcesExhausted(reason) = error.find_root() {
            return Self::ResourcesExhausted(reason.clone());
        }
        let told = causes(&error).find_map(of_object);
        told.unwrap_or(Self::Execution(error))
    }
}

impl From<ArrowError> for EngineError {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

fn summarise(diagnostics: &[Diagnostic]) -> String {
    let messages: Vec<&str> = diagnostics
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    messages.join("; ")
}

fn near(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// An error and what has caused it.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The error to report when a cause is an object that is missing or damaged.
fn of_object(cause: &(dyn Error + 'static)) -> Option<EngineError> {
    match cause.downcast_ref::<StoreError>() {
        Some(StoreError::NotFound { path }) => Some(EngineError::MissingFile(path.clone())),
        Some(StoreError::Corrupt { path, reason }) => {
            Some(EngineError::Store(StoreError::Corrupt {
                path: path.clone(),
                reason: reason.clone(),
            }))
        }
        _ => match cause.downcast_ref::<object_store::Error>() {
            Some(object_store::Error::NotFound { path, .. }) => {
                Some(EngineError::MissingFile(path.clone()))
            }
            _ => None,
        },
    }
}
