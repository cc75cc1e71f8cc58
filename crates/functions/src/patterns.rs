//! Compiled patterns, from one cache that is bounded and keyed by the patterns.
//!
//! Binding compiles a pattern first and counts what it takes; calls find it in the cache, and compile it again when so
//! many others were needed since that it is gone.

use std::sync::{Arc, LazyLock};

use datafusion::common::{Result, exec_datafusion_err};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use regex::{Error, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::resources::{PATTERN_BYTES, PATTERNS_BYTES, PatternError, PatternUse};
use crate::text_match::{Matcher, TextTest};

/// The sizes that are tried for a pattern. The smallest that suffices is what the pattern counts as, because the
/// library does not report how much it takes.
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, PATTERN_BYTES.most];
/// The same for many patterns compiled as one.
const SET_SIZES: [usize; 4] = [256 << 10, 1 << 20, 4 << 20, PATTERNS_BYTES.most];

/// The bytes of all patterns in the cache, with the automata that they build for one thread while they search.
const CACHE_BYTES: u64 = 64 << 20;

/// The largest lazy automaton of one thread, for a pattern of some bytes.
fn automaton_bytes(size_bytes: usize) -> usize {
    if size_bytes <= SIZES[1] {
        256 << 10
    } else if size_bytes <= SIZES[2] {
        1 << 20
    } else {
        2 << 20
    }
}

/// What patterns are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// A test of DQL.
    Test(TextTest),
    /// Finding one pattern anywhere in a text.
    Find,
}

/// The patterns of one test, compiled.
#[derive(Debug)]
pub(crate) struct CompiledPatterns {
    pub(crate) matcher: Matcher,
    /// How many patterns it has, words among them.
    pub(crate) count: usize,
    /// The automata that search for them: several patterns compiled as one have one.
    pub(crate) automata: usize,
    /// The bytes that they count as.
    pub(crate) bytes: usize,
}

impl CompiledPatterns {
    /// The expression of a pattern that is looked for.
    pub(crate) fn regex(&self) -> Result<&Regex> {
        match &self.matcher {
            Matcher::Regex(regex) => Ok(regex),
            other => Err(exec_datafusion_err!("{other:?} is no single pattern")),
        }
    }
}

type Key = (Purpose, Vec<String>);

#[derive(Debug, Clone)]
struct PatternWeighter;

impl Weighter<Key, Arc<CompiledPatterns>> for PatternWeighter {
    fn weight(&self, (_, patterns): &Key, compiled: &Arc<CompiledPatterns>) -> u64 {
        let texts: usize = patterns.iter().map(String::len).sum();
        // A pattern is compiled forwards and backwards.
        let automata_bytes = compiled.automata * automaton_bytes(compiled.bytes);
        let compiled_bytes = 2 * compiled.bytes + automata_bytes;
        (1 + texts + compiled_bytes) as u64
    }
}

static CACHE: LazyLock<Cache<Key, Arc<CompiledPatterns>, PatternWeighter>> =
    LazyLock::new(|| Cache::with_weighter(1_000, CACHE_BYTES, PatternWeighter));

/// Some patterns compiled, for a statement that has `used` others before.
///
/// # Errors
/// A pattern is wrong, which is named by its index, or there are more than a statement may have.
pub(crate) fn compiled(
    purpose: Purpose,
    patterns: &[&str],
    used: PatternUse,
) -> Result<Arc<CompiledPatterns>, (usize, PatternError)> {
    let key = (
        purpose,
        patterns
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .collect(),
    );
    if let Some(known) = CACHE.get(&key) {
        return Ok(known);
    }
    let mut compiler = Compiler { used, automata: 0 };
    let matcher = match (purpose, patterns) {
        (Purpose::Find, [pattern]) => compiler
            .compile(pattern, false)
            .map(Matcher::Regex)
            .map_err(|error| (0, error))?,
        (Purpose::Find, _) => return Err((0, "one pattern is needed".into())),
        (Purpose::Test(test), patterns) => Matcher::new(test, patterns, &mut compiler)?,
    };
    let compiled = Arc::new(CompiledPatterns {
        matcher,
        count: compiler.used.count - used.count,
        automata: compiler.automata,
        bytes: compiler.used.bytes - used.bytes,
    });
    CACHE.insert(key, Arc::clone(&compiled));
    Ok(compiled)
}

/// The matcher of a call whose patterns binding has accepted.
///
/// # Errors
/// A pattern is wrong, which binding has ruled out.
pub(crate) fn of_call(purpose: Purpose, patterns: &[&str]) -> Result<Arc<CompiledPatterns>> {
    compiled(purpose, patterns, PatternUse::default())
        .map_err(|(index, error)| exec_datafusion_err!("pattern {index} is refused: {error:?}"))
}

/// Compiles the patterns of a statement, and counts them.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    used: PatternUse,
    automata: usize,
}

impl Compiler {
    /// Compiles a pattern.
    pub(crate) fn compile(
        &mut self,
        pattern: &str,
        ignore_case: bool,
    ) -> Result<Regex, PatternError> {
        let compiled = |size_bytes| {
            RegexBuilder::new(pattern)
                .case_insensitive(ignore_case)
                .size_limit(size_bytes)
                .dfa_size_limit(automaton_bytes(size_bytes))
                .build()
        };
        self.smallest(1, &SIZES, compiled)
    }

    /// Compiles several patterns as one test, which a text passes that any of them matches.
    pub(crate) fn compile_set(&mut self, patterns: &[String]) -> Result<RegexSet, PatternError> {
        let compiled = |size_bytes| {
            RegexSetBuilder::new(patterns)
                .size_limit(size_bytes)
                .dfa_size_limit(automaton_bytes(size_bytes))
                .build()
        };
        self.smallest(patterns.len(), &SET_SIZES, compiled)
    }

    /// What `compiled` returns with the smallest of some sizes that suffices.
    fn smallest<T>(
        &mut self,
        count: usize,
        sizes: &[usize; 4],
        compiled: impl Fn(usize) -> Result<T, Error>,
    ) -> Result<T, PatternError> {
        self.used.add_count(count)?;
        for size_bytes in sizes {
            match compiled(*size_bytes) {
                Ok(compiled) => {
                    self.automata += 1;
                    self.used.add_bytes(*size_bytes)?;
                    return Ok(compiled);
                }
                Err(Error::CompiledTooBig(_)) => {}
                Err(error) => return Err(PatternError::Wrong(sentence(&error))),
            }
        }
        let largest = if count == 1 {
            PATTERN_BYTES
        } else {
            PATTERNS_BYTES
        };
        Err(PatternError::TooLarge(largest, 1 + largest.most))
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
