//! The engine against an evaluator that shares nothing with it but the syntax tree: random queries over
//! random events, and laws that answers have to keep.
//!
//! `VOUCH_ORACLE_SEED` and `VOUCH_ORACLE_PAIRS` choose which queries are asked, and how many;
//! `VOUCH_ORACLE_EVENTS` names a file whose events they are asked of.
//!
//! | module | is |
//! |---|---|
//! | `population`, `real` | random events, events of a file |
//! | `questions` | random queries |
//! | `evaluate` | what a query means, row by row |
//! | `world` | a store with events, and how it is asked |
//! | `compare` | two answers, and how they differ |
//! | `options` | options of a request in the place of clauses |
//! | `relations` | laws between answers |
//! | `paging` | pages against whole answers |
//! | `remembered` | questions that once went wrong |

mod compare;
mod evaluate;
mod options;
mod paging;
mod population;
mod questions;
pub(crate) mod random;
mod real;
mod relations;
mod remembered;
mod tree;
mod world;

use random::Random;
use world::{Circumstances, World, parsed};

use crate::record::from_environment;

/// How many queries are asked of the events of one seed.
const QUERIES_PER_WORLD: u64 = 30;

/// The seeds of about so many queries, unless the environment says otherwise.
fn seeds(pairs: u64) -> std::ops::Range<u64> {
    let seed = from_environment("VOUCH_ORACLE_SEED", 1);
    let pairs = from_environment("VOUCH_ORACLE_PAIRS", pairs);
    seed..seed + pairs.div_ceil(QUERIES_PER_WORLD)
}

/// The events of a seed: in one of ten more than a default limit lets through.
async fn world(seed: u64, random: &mut Random) -> World {
    let most = match seed % 10 {
        0 => 1500,
        _ => random.choose(&[4, 12, 60, 250]),
    };
    World::new(random, most).await
}

/// Asks one query; how the answers differ.
async fn difference(world: &World, text: &str, around: &Circumstances) -> Result<(), String> {
    let statement = parsed(text)?;
    if statement.to_string() != text {
        return Err(format!("it parses to another query: {statement}"));
    }
    let answer = world.ask(text, around).await?;
    let output = world.evaluate(&statement, around, answer.summary.step_ms)?;
    compare::difference(&answer, &output).map_or(Ok(()), Err)
}

fn assert_none(found: &[String]) {
    assert!(
        found.is_empty(),
        "{} differences\n{}",
        found.len(),
        found.join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_agrees_with_the_evaluator() {
    let mut found = Vec::new();
    for seed in seeds(300) {
        let mut random = Random::new(seed);
        let world = world(seed, &mut random).await;
        for number in 0..QUERIES_PER_WORLD {
            let around = world.circumstances(&mut random);
            let mut questioner = world.questioner(&mut random);
            let text = questioner.statement().to_string();
            if let Err(difference) = difference(&world, &text, &around).await {
                found.push(format!(
                    "seed {seed}, query {number}: {text}\n  {around:?}\n  {difference}"
                ));
            }
        }
    }
    assert_none(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_wrong_once_is_right_now() {
    let mut found = Vec::new();
    for most in [8, 120, 250] {
        let mut random = Random::new(most);
        let world = World::new(&mut random, usize::try_from(most).unwrap()).await;
        let around = world.plain_circumstances();
        for (what, text) in remembered::ANSWERED {
            if let Err(difference) = difference(&world, text, &around).await {
                found.push(format!("{what}, of {most}: {text}\n  {difference}"));
            }
        }
        for (code, text) in remembered::REFUSED {
            let refusal = world.refusal(text, &around).await;
            if refusal != Some(code) {
                found.push(format!("{text}\n  {refusal:?} instead of {code}"));
            }
        }
    }
    assert_none(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn laws_hold() {
    let mut found = Vec::new();
    for seed in seeds(90) {
        let mut random = Random::new(seed);
        let world = world(seed + 1, &mut random).await;
        for _ in 0..2 {
            let broken = relations::broken_laws(&world, &mut random).await;
            found.extend(broken.into_iter().map(|law| format!("seed {seed}: {law}")));
        }
    }
    assert_none(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_gives_the_rows_of_the_series() {
    let mut found = Vec::new();
    for seed in seeds(90) {
        let mut random = Random::new(seed);
        let world = World::new(&mut random, 60).await;
        for number in 0..QUERIES_PER_WORLD / 3 {
            let around = world.circumstances(&mut random);
            let text = world.questioner(&mut random).question().to_string();
            if let Err(difference) = relations::stream_difference(&world, &text, &around).await {
                found.push(format!(
                    "seed {seed}, query {number}: {text}\n  {around:?}\n  {difference}"
                ));
            }
        }
    }
    assert_none(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_the_whole() {
    let mut found = Vec::new();
    for seed in seeds(60) {
        let mut random = Random::new(seed);
        let world = World::new(&mut random, 40).await;
        for number in 0..QUERIES_PER_WORLD / 3 {
            let around = world.circumstances(&mut random);
            let query = world.questioner(&mut random).page_question();
            let rows = random.choose(&[1, 2, 3, 7]);
            if let Err(difference) = relations::page_difference(&world, &query, rows, &around).await
            {
                found.push(format!(
                    "seed {seed}, query {number}: {query}\n  {around:?}\n  {difference}"
                ));
            }
        }
    }
    assert_none(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_are_the_clauses_they_stand_for() {
    let mut found = Vec::new();
    for seed in seeds(90) {
        let mut random = Random::new(seed);
        let world = World::new(&mut random, 60).await;
        for number in 0..QUERIES_PER_WORLD / 3 {
            let around = world.circumstances(&mut random);
            let query = world.questioner(&mut random).question();
            if let Err(difference) = options::difference(&world, &query, &around, &mut random).await
            {
                found.push(format!(
                    "seed {seed}, query {number}: {query}\n  {around:?}\n  {difference}"
                ));
            }
        }
    }
    assert_none(&found);
}

/// Parts that are put in the place of others, so that most queries become wrong in some way.
const PARTS: [&str; 24] = [
    "df_title",
    "df_date_range",
    "date",
    "time",
    "code",
    "nowhere",
    "count(*)",
    "last(df_title)",
    "distinct(code)",
    "top(date, 2)",
    "sum(",
    "max(",
    "lower(",
    "length(",
    "first(",
    "*",
    "6d",
    " AND ",
    "OR",
    " = ",
    " < ",
    "BY ",
    "'ana'",
    "60",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_question_is_told_so() {
    let mut found = Vec::new();
    for seed in seeds(120) {
        let mut random = Random::new(seed);
        let world = World::new(&mut random, 12).await;
        for _ in 0..QUERIES_PER_WORLD {
            let around = world.circumstances(&mut random);
            let mut text = world.questioner(&mut random).question().to_string();
            for _ in 0..4 {
                let (part, other) = (random.choose(&PARTS), random.choose(&PARTS));
                text = text.replacen(part, other, 1);
            }
            if let Err(failure) = world.ask_anything(&text, &around).await {
                found.push(format!("seed {seed}: {text}\n  {failure}"));
            }
        }
    }
    assert_none(&found);
}
