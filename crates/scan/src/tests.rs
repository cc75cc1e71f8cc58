//! The scan against DataFusion's own scan of the same files.
//!
//! `VOUCH_SCAN_CASES` is the number of random cases, `VOUCH_SCAN_SEED` the seed of the first.

mod case;
mod files;
mod plans;
mod sessions;

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use tokio::runtime::Runtime;

use self::case::Case;
use self::sessions::{Ours, reference, rows_of};

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What the cases of a run covered.
#[derive(Default)]
struct Coverage {
    cases: AtomicUsize,
    cached_scans: AtomicUsize,
    pruned_containers: AtomicUsize,
    rows: AtomicUsize,
}

impl Coverage {
    fn add(counter: &AtomicUsize, count: usize) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// Runs a case by both scans, by this one twice: with an empty cache, and with the columns of the first run.
async fn check(case: Case, coverage: &Coverage) -> Result<(), TestCaseError> {
    let expected = rows_of(&case, &reference(&case).await).await;
    let ours = Ours::new(&case).await;
    for run in ["first run", "second run"] {
        let (found, plan) = ours.run(&case).await;
        proptest::prop_assert_eq!(&found, &expected, "{}, {}", run, plan.text);
        Coverage::add(&coverage.cached_scans, usize::from(plan.is_cached));
        Coverage::add(&coverage.pruned_containers, plan.pruned);
        Coverage::add(&coverage.rows, found.len());
    }
    Coverage::add(&coverage.cases, 1);
    Ok(())
}

/// Random files, with the columns of this version or fewer, and random queries.
#[test]
fn the_scan_agrees_with_the_scan_of_datafusion() {
    let cases = setting("VOUCH_SCAN_CASES", 200);
    let seed = setting("VOUCH_SCAN_SEED", 1);
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let runtime = Runtime::new().unwrap();
    let coverage = Coverage::default();
    let outcome = TestRunner::new_with_rng(config, random).run(&Case::any(), |case| {
        runtime.block_on(check(case, &coverage))
    });
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "seed {seed}: {} cases, {} cached scans, {} files and row groups pruned, {} rows",
        count(&coverage.cases),
        count(&coverage.cached_scans),
        count(&coverage.pruned_containers),
        count(&coverage.rows),
    );
    outcome.unwrap();
    // The cases are about what they are meant to be about.
    assert!(count(&coverage.cached_scans) > 0 && count(&coverage.pruned_containers) > 0);
}
