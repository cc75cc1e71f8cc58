//! Random events in a real store, and questions to the engine and to the evaluator.

use std::panic::AssertUnwindSafe;

use api::{Answer, ClauseOptions, Cursor, QueryOptions, QueryRequest, Scope};
use chrono_tz::Tz;
use dql::ast::Statement;
use engine::{Engine, EngineConfig};
use events::{Defaults, Event, TimeRange, WorkspaceId};
use futures::FutureExt;
use serde_json::Value as Json;
use store::{ImportOptions, Store, StoreOptions};

use super::evaluate::{Output, Rows, Run, Value, rows_of};
use super::population::{self, MOMENTS};
use super::questions::{Questioner, Vocabulary};
use super::random::Random;
use super::real;

/// A store with events, and the same events as plain rows.
pub(crate) struct World {
    pub(crate) engine: Engine,
    events: Rows,
    workspaces: Vec<WorkspaceId>,
    vocabulary: Vocabulary,
    /// What counts as now.
    pub(crate) now_ms: i64,
    /// Where clocks were changed in the days of the events.
    home: Tz,
}

/// What stands around the text of a question.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances {
    scope: Scope,
    zone: Tz,
    time_range: Option<(i64, i64)>,
    exact_total_hits: bool,
}

impl Circumstances {
    /// The same without a window of the request.
    pub(crate) fn without_time_range(self) -> Self {
        Self {
            time_range: None,
            ..self
        }
    }
}

impl World {
    /// A world of at most `most` events, stored by a few imports.
    pub(crate) async fn new(random: &mut Random, most: usize) -> Self {
        let (now_ms, home) = random.choose(&MOMENTS);
        let (events, vocabulary) = match real::all() {
            None => (
                population::events(random, most, now_ms),
                Vocabulary::of_population(),
            ),
            Some(all) => {
                let events = real::events(random, all, most, now_ms);
                let vocabulary = Vocabulary::of_events(random, &events);
                (events, vocabulary)
            }
        };
        let store = Store::open("memory://", &StoreOptions::default()).unwrap();
        for part in events.chunks(1 + events.len() / (1 + random.below(3))) {
            let mut import = store.import(ImportOptions::default());
            for event in part {
                let record = event.as_object().unwrap().clone();
                let event = Event::from_json(record, &Defaults::default(), || unreachable!());
                import.push(event.unwrap()).await.unwrap();
            }
            assert_eq!(import.finish().await.unwrap().repeated, 0);
        }
        let config = EngineConfig {
            partitions: 1 + random.below(3),
            // Worlds are small, and their questions run in several parts all the same.
            partition_events: 1,
            // A few rows make as many batches as a large answer has.
            batch_rows: random.choose(&[8192, 64, 16]),
            // DataFusion counts the texts behind a batch anew for each batch, so many batches seem huge.
            memory_bytes: usize::MAX / 4,
            cache_bytes: random.choose(&[0, 1 << 16, 1 << 26]),
            ..EngineConfig::default()
        };
        Self {
            workspaces: store.workspaces().await.unwrap(),
            engine: Engine::new(store, config).unwrap(),
            events: rows_of(&events),
            vocabulary,
            now_ms,
            home,
        }
    }

    /// Writes questions about the events.
    pub(crate) fn questioner<'r>(&'r self, random: &'r mut Random) -> Questioner<'r> {
        Questioner::new(random, &self.vocabulary, self.now_ms)
    }

    /// Random circumstances of a question.
    pub(crate) fn circumstances(&self, random: &mut Random) -> Circumstances {
        let zones = [
            Tz::UTC,
            Tz::UTC,
            Tz::Asia__Shanghai,
            Tz::Asia__Kolkata,
            self.home,
            self.home,
            self.home,
        ];
        let some = random.percent(30) && !self.workspaces.is_empty();
        let from_ms = self.now_ms - 3_600_000 * i64::try_from(random.below(100)).unwrap();
        Circumstances {
            scope: match some {
                true => Scope::Workspaces(vec![random.pick(&self.workspaces).clone()]),
                false => Scope::All,
            },
            zone: random.choose(&zones),
            time_range: random
                .percent(10)
                .then_some((from_ms, from_ms + 36_000_000)),
            exact_total_hits: random.percent(20),
        }
    }

    /// The events that a question may see.
    fn visible(&self, scope: &Scope) -> Rows {
        let mut events = self.events.clone();
        let workspace = events.column("df_workspace").unwrap();
        events.rows.retain(|row| match scope {
            Scope::All => true,
            Scope::Workspaces(some) => some
                .iter()
                .any(|name| row[workspace] == Value::Text(name.to_string())),
        });
        events
    }

    pub(crate) fn request(&self, text: &str, circumstances: &Circumstances) -> QueryRequest {
        let range = circumstances.time_range;
        QueryRequest {
            query: text.to_owned(),
            scope: circumstances.scope.clone(),
            options: QueryOptions {
                time_range: range.map(|(from_ms, to_ms)| TimeRange { from_ms, to_ms }),
                time_zone: Some(circumstances.zone),
                now_ms: Some(self.now_ms),
                exact_total_hits: circumstances.exact_total_hits,
                ..QueryOptions::default()
            },
        }
    }

    /// The engine's answer; a panic of its is an error too.
    pub(crate) async fn ask(
        &self,
        text: &str,
        circumstances: &Circumstances,
    ) -> Result<Answer, String> {
        self.ask_behind(text, circumstances, None).await
    }

    /// The engine's answer to a request with options.
    pub(crate) async fn ask_with(
        &self,
        text: &str,
        circumstances: &Circumstances,
        clauses: ClauseOptions,
    ) -> Result<Answer, String> {
        let mut request = self.request(text, circumstances);
        request.options.clauses = clauses;
        self.answer(&request).await
    }

    /// The engine's answer behind a position of another.
    pub(crate) async fn ask_behind(
        &self,
        text: &str,
        circumstances: &Circumstances,
        position: Option<Cursor>,
    ) -> Result<Answer, String> {
        let mut request = self.request(text, circumstances);
        request.options.search_after = position;
        self.answer(&request).await
    }

    async fn answer(&self, request: &QueryRequest) -> Result<Answer, String> {
        let answers = AssertUnwindSafe(self.engine.query(request))
            .catch_unwind()
            .await
            .map_err(|_| "the engine panicked".to_owned())?;
        let mut answers = answers.map_err(|error| format!("the engine failed: {error:?}"))?;
        Ok(answers.remove(0))
    }

    /// No circumstances but now.
    pub(crate) fn plain_circumstances(&self) -> Circumstances {
        Circumstances {
            scope: Scope::All,
            zone: Tz::UTC,
            time_range: None,
            exact_total_hits: false,
        }
    }

    /// The code of the finding for which a question is refused.
    pub(crate) async fn refusal(
        &self,
        text: &str,
        circumstances: &Circumstances,
    ) -> Option<&'static str> {
        let answers = self.engine.query(&self.request(text, circumstances)).await;
        answers.err().map(|error| error.code().as_str())
    }

    /// Asks what may be no right question: there is an answer, or a finding about the text.
    pub(crate) async fn ask_anything(
        &self,
        text: &str,
        circumstances: &Circumstances,
    ) -> Result<(), String> {
        let request = self.request(text, circumstances);
        let answers = AssertUnwindSafe(self.engine.query(&request))
            .catch_unwind()
            .await
            .map_err(|_| "the engine panicked".to_owned())?;
        match answers {
            Err(error) if !error.is_question() => Err(format!("{error:?}")),
            _ => Ok(()),
        }
    }

    /// The evaluator's answer; `step_ms` is the width that `auto` chose.
    pub(crate) fn evaluate(
        &self,
        statement: &Statement,
        circumstances: &Circumstances,
        step_ms: Option<i64>,
    ) -> Result<Output, String> {
        let events = self.visible(&circumstances.scope);
        std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut run = Run::new(&events, self.now_ms, circumstances.zone);
            run.time_range = circumstances.time_range;
            run.auto_step_ms = step_ms;
            run.workspaces = match &circumstances.scope {
                Scope::All => self.workspaces.clone(),
                Scope::Workspaces(some) => some.clone(),
            }
            .iter()
            .map(ToString::to_string)
            .collect();
            run.statement(statement)
        }))
        .map_err(|_| "the evaluator panicked".to_owned())
    }
}

/// The only statement of a text.
pub(crate) fn parsed(text: &str) -> Result<Statement, String> {
    let script = dql::parse(text).map_err(|errors| format!("it does not parse: {errors:?}"))?;
    let mut statements = script.statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(statement), None) => Ok(statement),
        others => Err(format!("it is not one statement: {others:?}")),
    }
}

/// The rows of an answer as text, for messages.
pub(crate) fn shown(rows: &[Vec<Json>]) -> String {
    let lines: Vec<String> = rows
        .iter()
        .take(12)
        .map(|row| Json::from(row.clone()).to_string())
        .collect();
    lines.join("\n      ")
}
