//! Every question in `tests/cases/*.md` has the answer that stands below it.
//!
//! A case is a fenced block `dql` and, behind it, a fenced block with the answer; the rest of a page
//! explains. Words behind `dql` set how the question is asked, see [`Case::request`]. The answer is a
//! table (block `text`) or, when its block says `json`, what existing clients read; then come the
//! number of rows and matching events, and the warnings. A refused question has its diagnostics
//! instead.
//!
//! `UPDATE_EXPECTED=1 cargo test -p vouch-tests cases` writes what Vouch answers into the pages. The
//! pages say what is right: read every change before you keep it.

mod catalogue;
mod options;
pub(crate) mod page;
mod show;
mod streamed;

use std::fs;
use std::path::{Path, PathBuf};

use api::{Cursor, QueryOptions, QueryRequest, Scope};
use engine::{Engine, EngineConfig, EngineError};
use events::{Defaults, Event, TimeRange};
use serde_json::Value;
use store::{ImportOptions, Store, StoreOptions};

use page::{Case, Form, Page};

/// 2026-11-20 12:00, a Friday: what counts as now in every case.
const NOW: &str = "2026-11-20T12:00:00Z";

/// The pages of answered cases.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// A store with the events of `cases/events.ndjson`.
pub(crate) async fn store() -> Store {
    let store = Store::open("memory://", &StoreOptions::default()).unwrap();
    let mut import = store.import(ImportOptions::default());
    let text = fs::read_to_string(folder().join("events.ndjson")).unwrap();
    for line in text.lines() {
        let record = serde_json::from_str(line).unwrap();
        let event = Event::from_json_identified_by_content(record, &Defaults::default());
        import.push(event.unwrap()).await.unwrap();
    }
    let summary = import.finish().await.unwrap();
    assert_eq!(summary.repeated, 0);
    store
}

impl Case {
    /// The question with what the words behind `dql` say: `workspace=a,b` (all workspaces without
    /// it), `tz=Europe/Berlin`, `from=…` and `to=…` (RFC 3339, the window of the request),
    /// `after=value,…` (where the page before ended, each value in JSON or a plain text), `cursor=time` (a
    /// page of the events before it), `exact` (count every matching event), and the options of
    /// [`options::set`].
    pub(crate) fn request(&self) -> QueryRequest {
        let mut scope = Scope::All;
        let mut options = QueryOptions {
            now_ms: Some(moment(NOW)),
            ..QueryOptions::default()
        };
        let (mut from_ms, mut to_ms) = (None, None);
        for word in &self.options {
            match word.split_once('=') {
                Some(("workspace", ids)) => {
                    let ids = ids.split(',').map(|id| id.parse().unwrap());
                    scope = Scope::Workspaces(ids.collect());
                }
                Some(("tz", zone)) => options.time_zone = Some(api::time_zone(zone).unwrap()),
                Some(("from", time)) => from_ms = Some(moment(time)),
                Some(("to", time)) => to_ms = Some(moment(time)),
                Some(("after", place)) => options.search_after = Some(position(place)),
                Some(("cursor", time)) => options.cursor_time = Some(time.parse().unwrap()),
                None if word == "exact" => options.exact_total_hits = true,
                _ if options::set(&mut options, word) => {}
                _ => panic!("{}: unknown word `{word}`", self.place),
            }
        }
        if let (Some(from_ms), Some(to_ms)) = (from_ms, to_ms) {
            options.time_range = Some(TimeRange::new(from_ms, to_ms).unwrap());
        }
        QueryRequest {
            query: self.query.clone(),
            scope,
            options,
        }
    }
}

fn position(text: &str) -> Cursor {
    let value = |word: &str| serde_json::from_str(word).unwrap_or_else(|_| Value::from(word));
    Cursor {
        values: text.split(',').map(value).collect(),
    }
}

fn moment(text: &str) -> i64 {
    events::parse_timestamp(text).unwrap()
}

async fn answer(engine: &Engine, case: &Case) -> String {
    let request = case.request();
    match engine.query(&request).await {
        Ok(answers) => {
            if let [answer] = answers.as_slice() {
                streamed::assert_same_rows(engine, request, answer, &case.place).await;
            }
            match case.form {
                Form::Table => show::tables(&case.query, &answers),
                Form::Json => show::json(&answers),
            }
        }
        Err(EngineError::Query(diagnostics)) => {
            let drawn = diagnostics.iter().map(|one| dql::render(&case.query, one));
            drawn.collect()
        }
        Err(error) if error.is_question() => format!("error[{}]: {error}\n", error.code()),
        Err(error) => panic!("{}: {error}", case.place),
    }
}

#[test]
fn every_case_has_its_answer() {
    run(compare());
}

/// Runs what plans questions, which recurses with the depth of a query, and deepest in debug builds.
pub(crate) fn run(planning: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(runtime.spawn(planning)).unwrap();
}

async fn compare() {
    let engine = Engine::new(store().await, EngineConfig::default()).unwrap();
    let mut wrong = Vec::new();
    for path in pages(&folder()) {
        let mut page = Page::read(&path);
        for index in 0..page.cases.len() {
            let found = answer(&engine, &page.cases[index]).await;
            let case = &mut page.cases[index];
            if case.expected != found {
                wrong.push(format!(
                    "{}\n{}\n-- expected\n{}-- found\n{found}",
                    case.place, case.query, case.expected
                ));
                case.expected = found;
            }
        }
        assert!(!page.cases.is_empty(), "{} has no case", path.display());
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            page.write(&path);
        }
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        catalogue::write();
    } else {
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// The pages of questions in a folder.
pub(crate) fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("README.md")
    };
    let mut pages: Vec<PathBuf> = entries.filter(is_page).collect();
    pages.sort();
    pages
}
