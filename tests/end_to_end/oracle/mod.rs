//! The engine against an evaluator that shares nothing with it but the syntax tree: random queries over
//! random events, and laws that answers have to keep.
//!
//! `VOUCH_ORACLE_SEED` and `VOUCH_ORACLE_PAIRS` choose which queries are asked, and how many.

mod compare;
mod evaluate;
mod population;
mod questions;
mod random;
mod tree;
mod world;

use questions::Questioner;
use random::Random;
use world::{World, parsed};

/// How many queries are asked of the events of one seed.
const QUERIES_PER_WORLD: usize = 30;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Asks the questions of one seed; the differences between the answers.
async fn differences(seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let most = random.choose(&[4, 12, 60, 250]);
    let world = World::new(&mut random, most).await;
    let mut found = Vec::new();
    for number in 0..QUERIES_PER_WORLD {
        let circumstances = world.circumstances(&mut random);
        let question = Questioner::new(&mut random).question();
        let text = question.to_string();
        let difference = async {
            let select = parsed(&text)?;
            if select.to_string() != text {
                return Err(format!("it parses to another query: {select}"));
            }
            let answer = world.ask(&text, &circumstances).await?;
            let step_ms = answer.summary.step_ms;
            let output = world.evaluate(&select, &circumstances, step_ms, true)?;
            compare::difference(&answer, &output).map_or(Ok(()), Err)
        };
        if let Err(difference) = difference.await {
            found.push(format!(
                "seed {seed}, query {number}: {text}\n  {circumstances:?}\n  {difference}"
            ));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_agrees_with_the_evaluator() {
    let seed = from_environment("VOUCH_ORACLE_SEED", 1);
    let pairs = from_environment("VOUCH_ORACLE_PAIRS", 300);
    let mut found = Vec::new();
    for world in 0..pairs.div_ceil(QUERIES_PER_WORLD as u64) {
        found.extend(differences(seed + world).await);
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n\n"));
}
