//! Pages: joined they are the whole answer, and each row comes once although events arrive between them.

use std::collections::BTreeSet;

use api::{Answer, Cursor, QueryOptions, QueryRequest, Scope};
use engine::{Engine, EngineConfig, EngineError};
use events::{Defaults, Event};
use serde_json::Value as Json;
use store::{ImportOptions, Store, StoreOptions};

use super::population;
use super::random::Random;

/// What counts as now.
const NOW_MS: i64 = 1_711_886_400_000;

/// A store that events arrive in.
struct Arriving {
    engine: Engine,
    /// The events that have not arrived yet.
    coming: Vec<Json>,
}

impl Arriving {
    /// Of at most `most` events, about half are there.
    async fn new(random: &mut Random, most: usize) -> Self {
        let mut coming = Vec::new();
        let mut there = Vec::new();
        for event in population::events(random, most, NOW_MS) {
            match random.percent(50) {
                true => coming.push(event),
                false => there.push(event),
            }
        }
        let store = Store::open("memory://", &StoreOptions::default()).unwrap();
        import(&store, &there).await;
        let engine = Engine::new(store, EngineConfig::default()).unwrap();
        Self { engine, coming }
    }

    /// Some more events arrive.
    async fn arrive(&mut self, random: &mut Random) {
        let left = self.coming.len() - self.coming.len().min(random.below(8));
        let arrived = self.coming.split_off(left);
        import(self.engine.store(), &arrived).await;
    }

    async fn ask(&self, text: &str, continued: Continued) -> Result<Answer, EngineError> {
        let mut options = QueryOptions {
            now_ms: Some(NOW_MS),
            ..QueryOptions::default()
        };
        match continued {
            Continued::Not => {}
            Continued::Behind(place) => options.search_after = Some(place),
            Continued::Before(time) => options.cursor_time = Some(time),
        }
        let request = QueryRequest {
            query: text.to_owned(),
            scope: Scope::All,
            options,
        };
        Ok(self.engine.query(&request).await?.remove(0))
    }

    /// The rows of all pages of a query, each with its keys. `sized` gives the text for a page size.
    async fn pages(
        &mut self,
        random: &mut Random,
        text: &str,
        limit: &str,
        arrive: bool,
    ) -> Vec<Vec<Json>> {
        let mut rows = Vec::new();
        let mut place = Cursor::default();
        for _ in 0..10_000 {
            let size = 1 + random.below(9);
            let sized = format!("{text} {limit} {size}");
            let answer = self.ask(&sized, Continued::Behind(place)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{sized}: {error}"));
            rows.extend(rows_of(&answer));
            let Some(next) = answer.summary.search_after else {
                return rows;
            };
            place = next;
            if arrive {
                self.arrive(random).await;
            }
        }
        panic!("{text}: the pages do not end");
    }
}

/// Where a page begins.
enum Continued {
    Not,
    Behind(Cursor),
    Before(i64),
}

async fn import(store: &Store, events: &[Json]) {
    let mut import = store.import(ImportOptions::default());
    for event in events {
        let record = event.as_object().unwrap().clone();
        let event = Event::from_json(record, &Defaults::default(), || unreachable!());
        import.push(event.unwrap()).await.unwrap();
    }
    import.finish().await.unwrap();
}

fn rows_of(answer: &Answer) -> Vec<Vec<Json>> {
    let rows = answer.series.iter().flat_map(|series| {
        let keys: Vec<Json> = series.tags.iter().map(|(_, tag)| tag.clone()).collect();
        let with_keys = move |row: &Vec<Json>| keys.iter().chain(row).cloned().collect();
        series.values.iter().map(with_keys).collect::<Vec<_>>()
    });
    rows.collect()
}

/// No row comes twice, and none that was there at the start is missing.
fn assert_each_once(start: &[Vec<Json>], found: &[Vec<Json>], text: &str) {
    let texts = |rows: &[Vec<Json>]| -> Vec<String> {
        rows.iter()
            .map(|row| Json::from(row.clone()).to_string())
            .collect()
    };
    let (start, found) = (texts(start), texts(found));
    let different: BTreeSet<&String> = found.iter().collect();
    assert_eq!(different.len(), found.len(), "{text}: a row came twice");
    let missing: Vec<&String> = start
        .iter()
        .filter(|row| !different.contains(row))
        .collect();
    assert!(missing.is_empty(), "{text}: missing {missing:?}");
}

const KEYS: [&str; 15] = [
    "time",
    "df_title",
    "df_date_range",
    "code",
    "score",
    "flag",
    "mixed",
    "user",
    "a.b",
    "int(df_cost)",
    "float(df_cost) / 3",
    "length(df_title)",
    "CASE WHEN result = 'Success' THEN 1 WHEN df_title != nil THEN 2 END",
    "df_workspace",
    "who",
];

fn order_by(random: &mut Random) -> String {
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..random.below(4) {
        let direction = random.choose(&["", " ASC", " DESC"]);
        let key = random.choose(&KEYS);
        if !keys.iter().any(|known| known.starts_with(key)) {
            keys.push(format!("{key}{direction}"));
        }
    }
    match keys.is_empty() {
        true => String::new(),
        false => format!("ORDER BY {}", keys.join(", ")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_events_give_each_once_while_others_arrive() {
    for seed in super::seeds(240) {
        let mut random = Random::new(seed);
        let most = random.choose(&[6, 40, 90]);
        let mut world = Arriving::new(&mut random, most).await;
        for round in 0..3 {
            let order = order_by(&mut random);
            let text = format!(
                "TAE::*:(df_event_id, df_workspace, df_user_name AS who, mixed) [10d:-1d] {order}"
            );
            let whole = world
                .ask(&format!("{text} LIMIT 10000"), Continued::Not)
                .await;
            let start = rows_of(&whole.unwrap());
            let still = world.pages(&mut random, &text, "LIMIT", false).await;
            assert_eq!(still, start, "seed {seed}: {text}");
            if round == 2 {
                let found = world.pages(&mut random, &text, "LIMIT", true).await;
                assert_each_once(&start, &found, &format!("seed {seed}: {text}"));
            }
        }
    }
}

/// Answers of rows and of groups that are no single events, with the clause that makes the pages.
const SUMMARIES: [(&str, &str); 14] = [
    ("TAE::*:(count(*)) [10d:-1d] BY df_title, code", "SLIMIT"),
    (
        "TAE::*:(count(*) AS n) [10d:-1d] BY df_user_name, flag SORDER BY n DESC",
        "SLIMIT",
    ),
    (
        "TAE::*:(avg(score) AS x) [10d:-1d] BY mixed SORDER BY x",
        "SLIMIT",
    ),
    (
        "TAE::*:(last(code) AS x) [10d:-1d] BY df_user_name SORDER BY x DESC",
        "SLIMIT",
    ),
    (
        "TAE::*:(df_event_id, code) [10d:-1d] BY df_user_name, df_date_range SORDER BY code",
        "SLIMIT",
    ),
    ("TAE::*:(count(*) AS n) [10d:-1d:6h] BY df_title", "SLIMIT"),
    (
        "TAE::*:(count(*) AS n, avg(score) AS x) [10d:-1d:6h] BY df_title SORDER BY max(x) DESC",
        "SLIMIT",
    ),
    (
        "TAE::*:(count(*) AS n) [10d:-1d:6h] BY mixed SORDER BY count(n)",
        "SLIMIT",
    ),
    (
        "TAE::*:(distinct(code)) [10d:-1d] BY df_user_name",
        "SLIMIT",
    ),
    (
        "TAE::*:(top(df_date_range, 3)) [10d:-1d] BY df_status",
        "SLIMIT",
    ),
    (
        "TAE::*:(count(*) AS n, fill(avg(score), 0) AS x) [10d:-1d:6h] ORDER BY x DESC, n",
        "LIMIT",
    ),
    ("TAE::*:(distinct(mixed)) [10d:-1d]", "LIMIT"),
    (
        "TAE::*:(bottom(mixed, 30) AS x, df_title) [10d:-1d] BY df_title",
        "SLIMIT",
    ),
    (
        "TAE::(TAE::*:(count(*) AS n, max(score) AS x) [10d:-1d] BY df_title, code):(*) ORDER BY x",
        "LIMIT",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_rows_and_groups_are_the_whole() {
    for seed in super::seeds(180) {
        let mut random = Random::new(seed);
        let most = random.choose(&[6, 60, 200]);
        let mut world = Arriving::new(&mut random, most).await;
        for (text, limit) in SUMMARIES {
            let whole = world
                .ask(&format!("{text} {limit} 10000"), Continued::Not)
                .await;
            let whole = rows_of(&whole.unwrap_or_else(|error| panic!("{text}: {error}")));
            let found = world.pages(&mut random, text, limit, false).await;
            assert_eq!(found, whole, "seed {seed}: {text}");
        }
        // The keys alone decide: groups that were there come once each.
        let text = "TAE::*:(distinct(df_title)) [10d:-1d] BY df_user_name, df_status";
        let whole = world
            .ask(&format!("{text} SLIMIT 10000"), Continued::Not)
            .await;
        let start = rows_of(&whole.unwrap());
        let mut found = world.pages(&mut random, text, "SLIMIT", true).await;
        found.retain(|row| start.contains(row));
        assert_each_once(&start, &found, &format!("seed {seed}: {text}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_by_time_give_each_once_while_others_arrive() {
    for seed in super::seeds(180) {
        let mut random = Random::new(seed);
        let most = random.choose(&[6, 40, 90]);
        let mut world = Arriving::new(&mut random, most).await;
        let text = "TAE::*:(df_event_id, df_workspace) [10d:-1d]";
        let whole = world
            .ask(&format!("{text} LIMIT 10000"), Continued::Not)
            .await;
        let start = rows_of(&whole.unwrap());
        let mut found = Vec::new();
        let mut next = Some(NOW_MS + 86_400_000);
        let mut size = 1 + random.below(5);
        while let Some(time) = next {
            let unit = random.choose(&[1, 1000, 1_000_000]);
            let page = format!("{text} LIMIT {size}");
            match world.ask(&page, Continued::Before(time * unit)).await {
                Ok(answer) => {
                    found.extend(rows_of(&answer));
                    next = answer.summary.next_cursor_time;
                    world.arrive(&mut random).await;
                    size = 1 + random.below(5);
                }
                Err(error) if error.code() == dql::Code::PageTooSmall.into() => size *= 2,
                Err(error) => panic!("{page}: {error}"),
            }
        }
        assert_each_once(&start, &found, &format!("seed {seed}"));
    }
}
