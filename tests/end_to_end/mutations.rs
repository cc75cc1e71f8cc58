//! One object of a store is damaged at random: every answer is right, or an error that names the object; `verify`
//! names the object; and nothing that writes to the store makes the damage permanent.
//!
//! `VOUCH_MUTATION_SEED` chooses the damage, `VOUCH_MUTATIONS` how often there is some for each kind of object. With
//! `VOUCH_PROOF_RECORD=FILE` a long run writes its seed, commit and counts to a file, and goes on there:
//!
//! ```text
//! VOUCH_PROOF_RECORD=$PWD/proofs.jsonl VOUCH_MUTATIONS=5000 cargo test -p vouch-tests --test end_to_end mutations
//! ```
//!
//! | module | is |
//! |---|---|
//! | `mutate` | what happens to an object, and where |
//! | `questions` | what is asked of the store afterwards |
//! | `store` | a store with events, and copies of it |

mod mutate;
mod questions;
mod store;

use ::store::Store;
use mutate::{Kind, Mutation};
use object_store::{ObjectStore, PutMode};
use serde::{Deserialize, Serialize};
use store::Sound;

use super::oracle::random::Random;
use super::record::{Record, from_environment};

/// How many objects of a kind are damaged unless the environment says otherwise.
const MUTATIONS: u64 = 8;

/// After so many mutations the counts are recorded.
const RECORDED: u64 = 20;

/// What has become of the mutations of a kind.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counts {
    /// How many there were.
    done: u64,
    /// How many answers were an error that names the object.
    refused: u64,
    /// How many removed objects, and changed bytes of checkpoints, nothing needs.
    harmless: u64,
    /// How many removals nothing in the store tells, as `docs/store.md` says.
    unnoticeable: u64,
}

type Answers = Vec<Result<String, String>>;

/// Damages objects of a kind, one at a time, and asks the store everything after each.
async fn damage(kind: Kind, sound: &Sound) -> Counts {
    let seed = from_environment("VOUCH_MUTATION_SEED", 1);
    let mutations = from_environment("VOUCH_MUTATIONS", MUTATIONS);
    println!("VOUCH_MUTATION_SEED={seed} VOUCH_MUTATIONS={mutations}");
    let expected = questions::ask_all(&sound.open().await).await;
    assert!(expected.iter().all(Result::is_ok), "{expected:?}");
    assert_eq!(questions::faults(&sound.open().await).await, [""; 0]);
    let record = Record::new(&format!("mutations of {kind:?}"), seed);
    let mut counts: Counts = record.resumed();
    let mut found = Vec::new();
    while counts.done < mutations {
        let number = counts.done;
        let random = &mut Random::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let mutation = mutate::mutate(random, kind, sound);
        let wrong = check(sound, &mutation, &expected, &mut counts).await;
        let Mutation { path, what, .. } = &mutation;
        let told = wrong
            .iter()
            .map(|wrong| format!("{number}: {path}: {what}: {wrong}"));
        found.extend(told);
        counts.done += 1;
        if counts.done == mutations || counts.done.is_multiple_of(RECORDED) {
            assert!(found.is_empty(), "{}", found.join("\n"));
            record.note(&counts);
        }
    }
    counts
}

fn is_checkpoint(name: &str) -> bool {
    name.contains("_delta_log/") && !name.ends_with(".json")
}

/// What is wrong after a mutation.
async fn check(
    sound: &Sound,
    mutation: &Mutation,
    expected: &Answers,
    counts: &mut Counts,
) -> Vec<String> {
    let name = mutation.path.to_string();
    let damaged = sound.with(mutation).await;
    let answers = questions::ask_all(&damaged).await;
    let verified = questions::faults(&damaged).await;
    let is_noticed = verified.iter().any(|fault| {
        let path = fault.split(": ").next().unwrap();
        fault.contains(&name) || name.starts_with(path)
    });
    let mut wrong = Vec::new();
    for ((question, answer), expected) in questions::texts().zip(&answers).zip(expected) {
        match answer {
            Ok(_) if answer == expected => {}
            Ok(other) => wrong.push(format!("`{question}` is {other} and not {expected:?}")),
            Err(error) if error.contains(&name) => counts.refused += 1,
            Err(error) => wrong.push(format!("`{question}` does not name the object: {error}")),
        }
    }
    let is_newest =
        |directory: &str, end: &str| sound.newest(directory, end) == Some(&mutation.path);
    let is_newest_entry = is_newest("workspace=w/_delta_log/", ".json");
    let is_last_segment = is_newest("segments/", "");
    let is_witnessed = name.starts_with("segments/") || is_newest_entry;
    match mutation.bytes {
        Some(_) if is_noticed => {}
        // Bytes that mean nothing: no later entry has the digest of the newest one, and what a checkpoint means is
        // compared with what the commits state.
        Some(_) if wrong.is_empty() && (is_checkpoint(&name) || is_newest_entry) => {
            counts.harmless += 1;
        }
        // Who has not read it cannot miss it; `verify` can, by what other objects say.
        None if is_last_segment && !is_noticed => {
            counts.unnoticeable += 1;
            wrong.clear();
        }
        None if is_witnessed && is_noticed => wrong.clear(),
        None if wrong.is_empty() => counts.harmless += 1,
        _ if is_noticed => {}
        _ => wrong.push(format!("`verify` says {verified:?}")),
    }
    wrong.extend(made_permanent(sound, mutation, &damaged, expected).await);
    wrong
}

/// Which answers stay wrong when the object is put back after everything that writes to the damaged store has run.
async fn made_permanent(
    sound: &Sound,
    mutation: &Mutation,
    damaged: &Store,
    expected: &Answers,
) -> Vec<String> {
    questions::maintain(damaged).await;
    let whole = sound.objects[&mutation.path].clone();
    let mode = match mutation.bytes {
        Some(_) => PutMode::Overwrite,
        // What was written to its path meanwhile stays.
        None => PutMode::Create,
    };
    let objects = damaged.object_store();
    let put = objects.put_opts(&mutation.path, whole.into(), mode.into());
    let mut wrong = Vec::new();
    if let Err(error) = put.await {
        wrong.push(format!("it cannot be put back: {error}"));
    }
    let answers = questions::ask_one_engine(&store::copy_of(damaged).await).await;
    for ((question, answer), expected) in questions::texts().zip(&answers).zip(expected) {
        if answer != expected {
            wrong.push(format!(
                "`{question}` stays {answer:?} and not {expected:?}"
            ));
        }
    }
    wrong
}

/// Damage anywhere in a data file, half of it where the file says what its other bytes mean.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_data_file_is_told_by_every_question_that_reads_it() {
    let counts = damage(Kind::DataFile, &Sound::new().await).await;
    assert!(counts.refused > counts.done, "nothing damaged was read");
}

/// Damage anywhere in an entry of the log: bits, cuts, another entry in its place, none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_log_entry_is_told() {
    let counts = damage(Kind::LogEntry, &Sound::with_log().await).await;
    assert!(counts.refused > counts.done, "nothing damaged was read");
}

/// Damage anywhere in a checkpoint that the log begins with, in an older one, and in the hint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_checkpoint_is_told() {
    let sound = Sound::with_log().await;
    let mut counts = damage(Kind::Checkpoint, &sound).await;
    assert!(counts.harmless < counts.done, "no damage was noticed");
    // At random, few hit what the newest version needs.
    let path = sound.newest("workspace=w/_delta_log/", ".parquet");
    let path = path.unwrap().clone();
    let bytes = &sound.objects[&path];
    let cut = Mutation {
        bytes: Some(bytes.slice(..bytes.len() / 2)),
        what: "cut in half".to_owned(),
        path,
    };
    let expected = questions::ask_all(&sound.open().await).await;
    counts.refused = 0;
    assert_eq!(check(&sound, &cut, &expected, &mut counts).await, [""; 0]);
    assert_eq!(counts.refused as usize, expected.len());
}

/// Damage anywhere in a segment, half of it in its header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_segment_is_told() {
    let counts = damage(Kind::Segment, &Sound::with_log().await).await;
    assert!(counts.refused > counts.done, "nothing damaged was read");
}
