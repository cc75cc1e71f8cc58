//! What binding and running one query may use besides what its operators charge themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};
use dql::limits::SizeLimit;
use regex::{Error, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// The bytes that one pattern may take when it is compiled.
pub const PATTERN_BYTES: SizeLimit =
    limit("pattern_bytes", "bytes of a compiled pattern", 256 << 10);
/// The bytes that all patterns of a statement may take.
pub const PATTERNS_BYTES: SizeLimit =
    limit("patterns_bytes", "bytes of compiled patterns", 8 << 20);
/// The patterns of a statement, the words of `search` and `query_string` among them.
pub const PATTERNS: SizeLimit = limit("patterns", "patterns", 1_000);
/// The parts of all expressions of a query, those that an alias stands for counted each time.
pub const EXPRESSION_PARTS: SizeLimit = limit("expression_parts", "parts of expressions", 50_000);

const fn limit(name: &'static str, what: &'static str, most: usize) -> SizeLimit {
    SizeLimit { name, what, most }
}

/// The sizes that are tried for a pattern. The smallest that suffices is what the pattern counts as,
/// because the library does not tell how much it takes.
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, PATTERN_BYTES.most];
/// The same for many patterns compiled as one.
const SET_SIZES: [usize; 4] = [256 << 10, 1 << 20, 4 << 20, PATTERNS_BYTES.most];
/// So many patterns of a statement may remember this much of what they saw, in bytes for each thread.
const FIRST_PATTERNS: usize = 16;
const FIRST_CACHE_BYTES: usize = 2 << 20;
/// The others.
const CACHE_BYTES: usize = 256 << 10;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// It is wrong; the text is a sentence for the author of the query.
    Wrong(String),
    /// There are too many, or it is too large: how many, of how many allowed.
    TooLarge(SizeLimit, usize),
    /// The memory pool has no room for it.
    NoMemory(String),
}

impl From<String> for PatternError {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

impl From<&str> for PatternError {
    fn from(reason: &str) -> Self {
        Self::Wrong(reason.to_owned())
    }
}

/// The resources of one query and the queries inside it. Cheap to clone; what was charged is given back
/// when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Resources(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: Arc<dyn MemoryPool>,
    patterns: Mutex<Patterns>,
    parts: AtomicUsize,
}

#[derive(Debug)]
struct Patterns {
    count: usize,
    bytes: usize,
    reservation: MemoryReservation,
}

impl Default for Resources {
    /// Without a bound on memory.
    fn default() -> Self {
        Self::new(Arc::new(UnboundedMemoryPool::default()))
    }
}

impl Resources {
    /// Resources whose memory comes from a pool.
    pub fn new(pool: Arc<dyn MemoryPool>) -> Self {
        let reservation = MemoryConsumer::new("regular expressions").register(&pool);
        let patterns = Patterns {
            count: 0,
            bytes: 0,
            reservation,
        };
        Self(Arc::new(Shared {
            pool,
            patterns: Mutex::new(patterns),
            parts: AtomicUsize::new(0),
        }))
    }

    /// A reservation of nothing yet.
    pub(crate) fn reservation(&self, consumer: &str) -> MemoryReservation {
        MemoryConsumer::new(consumer).register(&self.0.pool)
    }

    /// Counts a part of an expression; the number of parts when there are too many.
    pub(crate) fn count_part(&self) -> Option<usize> {
        let count = 1 + self.0.parts.fetch_add(1, Ordering::Relaxed);
        (count > EXPRESSION_PARTS.most).then_some(count)
    }

    /// Compiles a pattern.
    pub(crate) fn compile(&self, pattern: &str, ignore_case: bool) -> Result<Regex, PatternError> {
        let compiled = |size_bytes, cache_bytes| {
            RegexBuilder::new(pattern)
                .case_insensitive(ignore_case)
                .size_limit(size_bytes)
                .dfa_size_limit(cache_bytes)
                .build()
        };
        self.smallest(1, &SIZES, PATTERN_BYTES, compiled)
    }

    /// Compiles several patterns as one test, which a text passes that any of them matches.
    pub(crate) fn compile_set(&self, patterns: &[String]) -> Result<RegexSet, PatternError> {
        let compiled = |size_bytes, cache_bytes| {
            RegexSetBuilder::new(patterns)
                .size_limit(size_bytes)
                .dfa_size_limit(cache_bytes)
                .build()
        };
        self.smallest(patterns.len(), &SET_SIZES, PATTERNS_BYTES, compiled)
    }

    /// What `compiled` gives with the smallest of some sizes that suffices, which is charged.
    fn smallest<T>(
        &self,
        count: usize,
        sizes: &[usize],
        largest: SizeLimit,
        compiled: impl Fn(usize, usize) -> Result<T, Error>,
    ) -> Result<T, PatternError> {
        let patterns = &self.0.patterns;
        let mut patterns = patterns.lock().unwrap_or_else(PoisonError::into_inner);
        patterns.count += count;
        if patterns.count > PATTERNS.most {
            return Err(PatternError::TooLarge(PATTERNS, patterns.count));
        }
        let cache_bytes = match patterns.count {
            ..=FIRST_PATTERNS => FIRST_CACHE_BYTES,
            _ => CACHE_BYTES,
        };
        for size_bytes in sizes {
            match compiled(*size_bytes, cache_bytes) {
                Ok(compiled) => {
                    patterns.charge(*size_bytes)?;
                    return Ok(compiled);
                }
                Err(Error::CompiledTooBig(_)) => {}
                Err(error) => return Err(PatternError::Wrong(sentence(&error))),
            }
        }
        Err(PatternError::TooLarge(largest, 1 + largest.most))
    }
}

impl Patterns {
    fn charge(&mut self, size_bytes: usize) -> Result<(), PatternError> {
        self.bytes += size_bytes;
        if self.bytes > PATTERNS_BYTES.most {
            return Err(PatternError::TooLarge(PATTERNS_BYTES, self.bytes));
        }
        // A pattern is compiled forwards and backwards, and remembers what it saw.
        let charged = self.reservation.try_grow(2 * size_bytes + CACHE_BYTES);
        charged.map_err(|error| PatternError::NoMemory(error.strip_backtrace()))
    }
}

/// What is wrong with a pattern, for the author of the query.
fn sentence(error: &Error) -> String {
    match error {
        Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
        other => other.to_string(),
    }
}
