//! What binding one query may use, and keeps charged as long as the query exists.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};
use dql::limits::SizeLimit;
use regex::Regex;

use crate::notes::NoteId;
use crate::patterns::{CompiledPatterns, Purpose, compiled};
use crate::text_match::TextTest;

/// The bytes that an automaton is charged for what it remembers of the texts that it saw.
const REMEMBERED_BYTES: usize = 256 << 10;

/// The bytes that one pattern may take when it is compiled.
pub const PATTERN_BYTES: SizeLimit =
    limit("pattern_bytes", "bytes of a compiled pattern", 256 << 10);
/// The bytes that all patterns of a statement may take.
pub const PATTERNS_BYTES: SizeLimit =
    limit("patterns_bytes", "bytes of compiled patterns", 8 << 20);
/// The patterns of a statement, the words of `search` and `query_string` among them.
pub const PATTERNS: SizeLimit = limit("patterns", "patterns", 1_000);
/// The parts of all expressions of a query. Those of an alias count each time that the alias occurs.
pub const EXPRESSION_PARTS: SizeLimit = limit("expression_parts", "parts of expressions", 50_000);

const fn limit(name: &'static str, what: &'static str, most: usize) -> SizeLimit {
    SizeLimit { name, what, most }
}

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
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

/// The resources of one query and the queries inside it. Cheap to clone; what was charged is released when the last
/// clone is dropped.
#[derive(Debug, Clone)]
pub struct Resources(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    patterns: Mutex<Patterns>,
    parts: AtomicUsize,
    notes: AtomicU32,
}

#[derive(Debug)]
struct Patterns {
    used: PatternUse,
    reservation: MemoryReservation,
}

/// What the patterns of a statement take.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PatternUse {
    /// How many there are, words among them.
    pub(crate) count: usize,
    /// The bytes that they count as.
    pub(crate) bytes: usize,
}

impl PatternUse {
    /// Counts more patterns.
    ///
    /// # Errors
    /// A statement may not have as many.
    pub(crate) fn add_count(&mut self, count: usize) -> Result<(), PatternError> {
        self.count += count;
        if self.count > PATTERNS.most {
            return Err(PatternError::TooLarge(PATTERNS, self.count));
        }
        Ok(())
    }

    /// Counts what patterns take.
    ///
    /// # Errors
    /// Those of a statement may not take as much.
    pub(crate) fn add_bytes(&mut self, bytes: usize) -> Result<(), PatternError> {
        self.bytes += bytes;
        if self.bytes > PATTERNS_BYTES.most {
            return Err(PatternError::TooLarge(PATTERNS_BYTES, self.bytes));
        }
        Ok(())
    }
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
        Self::charged_to(MemoryConsumer::new("regular expressions").register(&pool))
    }

    fn charged_to(reservation: MemoryReservation) -> Self {
        let patterns = Patterns {
            used: PatternUse::default(),
            reservation,
        };
        Self(Arc::new(Shared {
            patterns: Mutex::new(patterns),
            parts: AtomicUsize::new(0),
            notes: AtomicU32::new(0),
        }))
    }

    /// Those of another query of the same statement: nothing is used yet, and memory comes from the same pool.
    pub fn of_another_query(&self) -> Self {
        let patterns = self.0.patterns.lock();
        let patterns = patterns.unwrap_or_else(PoisonError::into_inner);
        Self::charged_to(patterns.reservation.new_empty())
    }

    /// Counts a part of an expression; the number of parts when there are too many.
    pub fn count_part(&self) -> Option<usize> {
        let count = 1 + self.0.parts.fetch_add(1, Ordering::Relaxed);
        (count > EXPRESSION_PARTS.most).then_some(count)
    }

    /// A new note of a query that is inside of `depth` others.
    pub fn next_note(&self, depth: u32) -> NoteId {
        NoteId::new(depth, self.0.notes.fetch_add(1, Ordering::Relaxed))
    }

    /// Compiles the patterns of a test.
    ///
    /// # Errors
    /// A pattern is wrong, which is named by its index, or there is no room for it.
    pub fn compile_test(
        &self,
        test: TextTest,
        patterns: &[&str],
    ) -> Result<(), (usize, PatternError)> {
        self.compile(Purpose::Test(test), patterns).map(|_| ())
    }

    /// Compiles a pattern that is looked for in texts, and returns how many groups it has, the whole match among them.
    ///
    /// # Errors
    /// As [`Resources::compile_test`].
    pub fn compile_pattern(&self, pattern: &str) -> Result<usize, PatternError> {
        let compiled = self.compile(Purpose::Find, &[pattern]);
        let compiled = compiled.map_err(|(_, error)| error)?;
        Ok(compiled.regex().map_or(1, Regex::captures_len))
    }

    fn compile(
        &self,
        purpose: Purpose,
        patterns: &[&str],
    ) -> Result<Arc<CompiledPatterns>, (usize, PatternError)> {
        let known = &self.0.patterns;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = compiled(purpose, patterns, known.used)?;
        known.charge(&compiled).map_err(|error| (0, error))?;
        Ok(compiled)
    }
}

impl Patterns {
    fn charge(&mut self, compiled: &CompiledPatterns) -> Result<(), PatternError> {
        self.used.add_count(compiled.count)?;
        self.used.add_bytes(compiled.bytes)?;
        // A pattern is compiled forwards and backwards.
        let bytes = 2 * compiled.bytes + compiled.automata * REMEMBERED_BYTES;
        let charged = self.reservation.try_grow(bytes);
        charged.map_err(|error| PatternError::NoMemory(error.strip_backtrace()))
    }
}
