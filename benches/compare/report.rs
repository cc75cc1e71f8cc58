//! Prints what was measured.
#![expect(clippy::print_stdout, reason = "what this module is for")]

use std::time::Duration;

use crate::ratio::Compared;
use crate::work::Loaded;

const ENGINES: [&str; 4] = ["Vouch", "DuckDB", "ClickHouse", "DataFusion"];

/// A line of a table.
#[derive(Debug)]
pub(crate) struct Line {
    name: &'static str,
    /// The median of each engine, in milliseconds.
    medians: Vec<f64>,
}

impl Line {
    /// The medians of a question's runs, each with a time for every engine.
    pub(crate) fn new(name: &'static str, runs: &[Vec<Duration>]) -> Self {
        let engines = runs.first().map_or(0, Vec::len);
        let median = |engine: usize| {
            let times = runs.iter().map(|run| run[engine].as_secs_f64() * 1000.0);
            median(times.collect())
        };
        Self {
            name,
            medians: (0..engines).map(median).collect(),
        }
    }

    /// Vouch ÷ the better of DuckDB and ClickHouse, and Vouch ÷ DataFusion.
    fn ratios(&self) -> Option<(f64, f64)> {
        let [vouch, duckdb, clickhouse, datafusion] = self.medians[..] else {
            return None;
        };
        Some((vouch / duckdb.min(clickhouse), vouch / datafusion))
    }
}

/// The middle of some numbers; 0 of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// A table of questions, as Markdown.
pub(crate) fn table(title: &str, lines: &[Line]) {
    println!("\n### {title}: median in ms\n");
    println!(
        "| question | {} | ÷ better of DuckDB, ClickHouse | ÷ DataFusion |",
        ENGINES.join(" | ")
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for line in lines {
        let medians: Vec<String> = line.medians.iter().map(|ms| format!("{ms:.1}")).collect();
        let (better, datafusion) = line.ratios().unwrap_or_default();
        println!(
            "| {} | {} | {better:.2} | {datafusion:.2} |",
            line.name,
            medians.join(" | ")
        );
    }
    let ratios = || lines.iter().filter_map(Line::ratios);
    println!(
        "| geometric mean | | | | | {:.2} | {:.2} |",
        geometric_mean(ratios().map(|ratio| ratio.0)),
        geometric_mean(ratios().map(|ratio| ratio.1))
    );
}

fn geometric_mean(ratios: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = ratios.clone().count().max(1);
    (ratios.map(f64::ln).sum::<f64>() / count as f64).exp()
}

/// A table of what a program costs beside another one, as Markdown; returns whether the bar of every line
/// holds.
pub(crate) fn compared(title: &str, unit: &str, lines: &[Compared]) -> bool {
    println!("\n### {title}: median in {unit}\n");
    println!("| | other | measured | ratio | noise | bar |");
    println!("|---|---:|---:|---:|---:|---|");
    let mean = Compared::mean(lines);
    let mut holds = true;
    for line in lines.iter().chain(&mean) {
        let verdict = match (line.holds(), line.is_near()) {
            (true, false) => "holds",
            (true, true) => "holds, within the noise",
            (false, false) => "exceeded",
            (false, true) => "exceeded, within the noise",
        };
        println!(
            "| {} | {:.2} | {:.2} | {:.3} | {:.3} | {verdict} |",
            line.name, line.medians.0, line.medians.1, line.ratio, line.noise
        );
        holds &= line.holds();
    }
    holds
}

/// The most memory that each engine had, in bytes.
pub(crate) fn memory(peaks: &[u64]) {
    let peaks = ENGINES
        .iter()
        .zip(peaks)
        .map(|(name, bytes)| format!("{name} {:.0} MiB", *bytes as f64 / f64::from(1 << 20)));
    println!("\npeak memory: {}", peaks.collect::<Vec<_>>().join(", "));
}

/// What loading took, and what it left on disk.
pub(crate) fn loads(events: u64, loads: &[(&str, Loaded)]) {
    println!("\n### loading {events} events\n");
    println!("| engine | step | s | events/s | MB on disk | bytes an event |");
    println!("|---|---|---:|---:|---:|---:|");
    for (name, loaded) in loads {
        for (step, seconds) in &loaded.steps {
            println!(
                "| {name} | {step} | {seconds:.1} | {:.0} | {:.0} | {:.1} |",
                events as f64 / seconds,
                loaded.bytes as f64 / 1e6,
                loaded.bytes as f64 / events as f64
            );
        }
    }
}

/// Says something beside the tables.
pub(crate) fn note(text: &str) {
    println!("note: {text}");
}
