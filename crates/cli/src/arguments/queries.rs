//! How much `vouch serve` spends on questions.

use std::time::Duration;

use clap::Args;
use engine::EngineConfig;
use service::QueryLimits;

/// How much `vouch serve` spends on questions.
#[derive(Debug, Clone, Args)]
pub(crate) struct QueryLimitArgs {
    /// The questions that are answered at a time, and as many streams besides
    #[arg(long, value_name = "NUMBER", default_value_t = QueryLimits::default().running,
        value_parser = positive)]
    pub(crate) max_questions: usize,
    /// The questions that may wait for their turn, and as many streams besides; others are refused
    #[arg(long, value_name = "NUMBER", default_value_t = QueryLimits::default().waiting)]
    pub(crate) max_waiting_questions: usize,
    /// How long a question may take that has no `search_timeout`
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub(crate) query_timeout: Duration,
    /// The longest time that a `search_timeout` may ask for; streams have it unless they ask for less
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) max_query_timeout: Duration,
    /// The memory of all questions together; sorts and groups beyond it spill to temporary files
    #[arg(long, value_name = "BYTES", default_value_t = EngineConfig::default().memory_bytes)]
    pub(crate) max_query_bytes: usize,
    /// The temporary files of all questions together [default: a tenth of what is free in TMPDIR at the
    /// start, and no more than leaves 5 GiB free]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_spill_bytes: Option<u64>,
}

impl QueryLimitArgs {
    /// What the service lets through.
    pub(crate) fn limits(&self) -> QueryLimits {
        QueryLimits {
            running: self.max_questions,
            waiting: self.max_waiting_questions,
            default_time: self.query_timeout.min(self.max_query_timeout),
            longest_time: self.max_query_timeout,
        }
    }

    /// What the engine may use.
    pub(crate) fn engine(&self) -> EngineConfig {
        EngineConfig {
            memory_bytes: self.max_query_bytes,
            spill_bytes: self.max_spill_bytes,
            ..EngineConfig::default()
        }
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let length_ms = dql::duration_ms(text).filter(|length_ms| *length_ms > 0);
    let wrong = || "a duration such as 30s or 5m".to_owned();
    length_ms
        .map(|length_ms| Duration::from_millis(length_ms.unsigned_abs()))
        .ok_or_else(wrong)
}
