//! One object of a store is damaged at random: every answer is right, or an error that names the object.
//!
//! `VOUCH_MUTATION_SEED` chooses the damage, `VOUCH_MUTATIONS` how often there is some.
//!
//! | module | is |
//! |---|---|
//! | `mutate` | what happens to an object, and where |
//! | `questions` | what is asked of the store afterwards |
//! | `store` | a store with events, and copies of it |

mod mutate;
mod questions;
mod store;

use mutate::Kind;
use store::Sound;

use super::oracle::random::Random;

/// How many objects are damaged unless the environment says otherwise.
const MUTATIONS: u64 = 60;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Damages objects of a kind, one at a time, and asks the store everything after each.
async fn damage(kind: Kind) {
    let seed = from_environment("VOUCH_MUTATION_SEED", 1);
    let mutations = from_environment("VOUCH_MUTATIONS", MUTATIONS);
    println!("VOUCH_MUTATION_SEED={seed} VOUCH_MUTATIONS={mutations}");
    let sound = Sound::new().await;
    let expected = questions::ask_all(&sound.open().await).await;
    assert!(expected.iter().all(Result::is_ok), "{expected:?}");
    let mut found = Vec::new();
    let mut refused = 0;
    for number in 0..mutations {
        let random = &mut Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let (path, what, bytes) = mutate::mutate(random, kind, &sound);
        let name = path.to_string();
        let damaged = sound.with(&path, bytes).await;
        let answers = questions::ask_all(&damaged).await;
        for ((question, answer), expected) in questions::texts().zip(answers).zip(&expected) {
            match answer {
                Ok(_) if &answer == expected => {}
                Ok(other) => found.push(format!(
                    "{number}: {path}: {what}: `{question}` is {other} and not {expected:?}"
                )),
                Err(error) if error.contains(&name) => refused += 1,
                Err(error) => found.push(format!(
                    "{number}: {path}: {what}: `{question}` does not name the object: {error}"
                )),
            }
        }
        let verified = questions::faults(&damaged).await;
        if !verified.iter().any(|fault| fault.contains(&name)) {
            found.push(format!(
                "{number}: {path}: {what}: `verify` says {verified:?}"
            ));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(refused > mutations, "the questions read nothing damaged");
}

/// Damage anywhere in a data file, half of it where the file says what its other bytes mean.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_data_file_is_told_by_every_question_that_reads_it() {
    damage(Kind::DataFile).await;
}
