//! `vouch demo`: sample events, and queries of an analyst.

use std::io::{self, Write};

use api::{QueryOptions, QueryRequest, Scope};
use engine::Engine;
use events::{Defaults, Event, Origin};
use serde_json::{Map, Value};
use store::{ImportOptions, Store, StoreOptions};

use crate::backend::open_engine;
use crate::failure::Failure;
use crate::output::{answer_tables, summarise, terminal_width};

/// See `data/README.md`.
const SAMPLE: &[u8] = include_bytes!("../../../../data/sample.ndjson.zst");

/// The queries: a description, and the DQL.
const QUESTIONS: [(&str, &str); 4] = [
    (
        "What happened last?",
        "TAE::audit:(df_user_name, df_title, df_operation_name, result, df_workspace) [1d] LIMIT 8",
    ),
    (
        "Who did most in the last two weeks?",
        "TAE::audit:(count(*) AS events) [15d] BY df_user_name SORDER BY events DESC SLIMIT 8",
    ),
    (
        "When did sign-ins fail in the last two days, and from where? One hour stands out.",
        "TAE::audit:(count(*) AS failures, count_distinct(client_ip) AS addresses) \
         {action = 'user.login_failed'} [2d::1h]",
    ),
    (
        "One address guessed its way in as Marta. What did she, or it, do in these two days?",
        "TAE::audit:(df_title, df_operation_name, result, client_ip) \
         {df_user_email = 'marta.kowalska@acme.example', df_title != 'Run DQL query'} [2d] \
         ORDER BY time DESC LIMIT 20",
    ),
];

/// Stores the sample in a temporary directory and runs the queries.
pub(crate) async fn run() -> Result<(), Failure> {
    let mut out = io::stdout();
    let directory = tempfile::tempdir()
        .map_err(|error| Failure::Engine(format!("no temporary directory: {error}")))?;
    let root = directory.path().join("store");
    let store = Store::open(&root.to_string_lossy(), &StoreOptions::from_environment())?;
    store.init().await?;
    let stored = import(&store).await?;
    writeln!(
        out,
        "{stored} made-up audit events of three workspaces, in a temporary store.\n"
    )?;
    let engine = open_engine(store)?;
    for (meaning, query) in QUESTIONS {
        writeln!(
            out,
            "{meaning}\n\n    vouch query --workspace '*' \"{query}\"\n"
        )?;
        answer(&engine, query, &mut out).await?;
    }
    writeln!(
        out,
        "Next:\n\
         \x20   vouch import your-events.ndjson.gz           your own events, into ./vouch-data\n\
         \x20   vouch import --mapping cloudtrail FILE…      those of AWS CloudTrail, Kubernetes or Okta\n\
         \x20   vouch query 'TAE::audit:(*) [1d]'            ask\n\
         \x20   vouch serve                                  answer over gRPC"
    )?;
    Ok(())
}

async fn answer(engine: &Engine, query: &str, out: &mut io::Stdout) -> Result<(), Failure> {
    let request = QueryRequest {
        query: query.to_owned(),
        scope: Scope::All,
        options: QueryOptions::default(),
    };
    let answers = engine.query(&request).await;
    for answer in answers.map_err(|error| Failure::from_engine(query, error))? {
        out.write_all(answer_tables(&answer, terminal_width()).as_bytes())?;
        writeln!(out, "{}\n", summarise(query, &answer.summary))?;
    }
    Ok(())
}

/// Stores the sample, with dates shifted so that the newest event is one second old.
async fn import(store: &Store) -> Result<u64, Failure> {
    let records = sample()?;
    let newest_ms = records.iter().filter_map(date_ms).max().unwrap_or_default();
    let offset_ms = chrono::Utc::now().timestamp_millis() - 1_000 - newest_ms;
    let mut import = store.import(ImportOptions::default()).from_origin(Origin {
        door: Some(Origin::door("import", None)),
        ..Origin::default()
    });
    for mut record in records {
        let moved_ms = date_ms(&record).map(|date_ms| date_ms + offset_ms);
        record.insert(events::fields::DATE.to_owned(), Value::from(moved_ms));
        let event = Event::from_json_identified_by_content(record, &Defaults::default());
        import
            .push(event.map_err(|refused| damaged(&refused.message))?)
            .await?;
    }
    Ok(import.finish().await?.stored)
}

fn sample() -> Result<Vec<Map<String, Value>>, Failure> {
    let text = zstd::decode_all(SAMPLE).map_err(|error| damaged(&error.to_string()))?;
    let lines = serde_json::Deserializer::from_slice(&text).into_iter();
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(&error.to_string()))
}

fn date_ms(record: &Map<String, Value>) -> Option<i64> {
    record.get(events::fields::DATE)?.as_i64()
}

fn damaged(reason: &str) -> Failure {
    Failure::Engine(format!("the sample in this program is damaged: {reason}"))
}

#[cfg(test)]
mod tests {
    use samples::Sample;

    use super::*;

    #[test]
    fn the_sample_is_the_output_of_the_generator() {
        let mut text = Vec::new();
        let sample = Sample {
            seed: 1,
            events: 4_000,
            to_ms: 1_795_186_800_000,
        };
        sample.write(&mut text).unwrap();
        let committed = zstd::decode_all(SAMPLE).unwrap();
        assert!(
            text == committed,
            "data/sample.ndjson.zst is not the generator's; see data/README.md for how to make it"
        );
        assert!(SAMPLE.len() < 300_000);
    }

    #[test]
    fn every_event_of_the_sample_is_accepted() {
        for record in sample().unwrap() {
            Event::from_json_identified_by_content(record, &Defaults::default()).unwrap();
        }
    }

    #[test]
    fn the_questions_are_well_formed() {
        for (_, query) in QUESTIONS {
            let script = dql::parse(query).unwrap_or_else(|wrong| panic!("{query}: {wrong:?}"));
            assert_eq!(dql::check(&script), []);
        }
    }
}
