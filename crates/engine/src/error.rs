//! Why there is no answer.

use std::error::Error;
use std::time::Duration;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use dql::Diagnostic;
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
    pub fn code(&self) -> &'static str {
        match self {
            Self::Query(diagnostics) => diagnostics
                .first()
                .map_or("invalid_query", |first| first.code),
            Self::UnknownWorkspace { .. } => "unknown_workspace",
            Self::ResourcesExhausted(_) => "resources_exhausted",
            Self::AnswerTooLarge(_) => "answer_too_large",
            Self::TimedOut(_) => "timed_out",
            Self::Store(_) => "store_error",
            Self::MissingFile(_) => "missing_file",
            Self::Execution(_) => "execution_failed",
        }
    }

    /// Whether the one who asked is to change something, rather than the one who runs the store.
    pub fn is_question(&self) -> bool {
        matches!(self, Self::Query(_) | Self::UnknownWorkspace { .. })
    }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(reason) => Self::ResourcesExhausted(reason.clone()),
            DataFusionError::ObjectStore(source) if is_missing(source) => {
                Self::MissingFile(source.to_string())
            }
            root if missing_below(root) => Self::MissingFile(root.to_string()),
            DataFusionError::External(source)
                if let Some(path) = missing_in_store(source.as_ref()) =>
            {
                Self::MissingFile(path)
            }
            _ => Self::Execution(error),
        }
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

/// DataFusion keeps only the words of an error that it meets while it reads the footer of a file.
fn told_as_missing(words: &str) -> bool {
    words.contains("Object Store error: Object at location") && words.contains(" not found: ")
}

fn is_missing(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
}

/// The file that the store has missed.
fn missing_in_store(error: &(dyn Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<StoreError>()?;
    error.is_missing_object().then(|| match error {
        StoreError::NotFound { path } => path.clone(),
        other => other.to_string(),
    })
}

/// Whether an object that is not there is somewhere among the causes.
fn missing_below(error: &DataFusionError) -> bool {
    if let DataFusionError::ParquetError(error) = error
        && told_as_missing(&error.to_string())
    {
        return true;
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if error
            .downcast_ref::<object_store::Error>()
            .is_some_and(is_missing)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
