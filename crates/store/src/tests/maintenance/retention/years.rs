//! Years of imports, holds, releases, changes of the retention, retention runs, compactions and cleanings,
//! beside a model that looks at each event by itself.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tests::virtual_time::VirtualTime;

const USERS: [&str; 3] = ["Amara", "Zoë", "Yann"];

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// Events of users, so many days ago.
    Import(Vec<(i64, usize)>),
    /// A hold with this number on days from one on, for a user or everybody.
    Place(usize, Option<(i64, i64)>, Option<usize>),
    /// The hold with this number is released.
    Release(usize),
    SetRetention(&'static str),
    /// Days pass, then the retention runs.
    Run(i64),
    Compact,
    Clean,
}

fn step() -> impl Strategy<Value = Step> {
    let ago = prop_oneof![0_i64..40, 0_i64..900, 700_i64..760];
    prop_oneof![
        4 => vec((ago, 0_usize..3), 1..8).prop_map(Step::Import),
        2 => (0_usize..3, proptest::option::of((0_i64..900, 1_i64..200)), proptest::option::of(0_usize..3))
            .prop_map(|(name, range, user)| Step::Place(name, range, user)),
        1 => (0_usize..3).prop_map(Step::Release),
        1 => prop_oneof![Just("30d"), Just("90d"), Just("1y"), Just("2y")].prop_map(Step::SetRetention),
        5 => prop_oneof![0_i64..3, 0_i64..100].prop_map(Step::Run),
        2 => Just(Step::Compact),
        1 => Just(Step::Clean),
    ]
}

/// The events that must be there, and what is set.
#[derive(Default)]
struct Model {
    /// By id: the day, counted from [`DAY_START_MS`], and the user.
    events: BTreeMap<String, (i64, usize)>,
    holds: BTreeMap<usize, (TimeRange, Option<usize>)>,
    retention: Option<&'static str>,
    older_events: bool,
    imported: usize,
}

impl Model {
    /// The first day that the retention keeps, counted from [`DAY_START_MS`].
    fn kept_from(&self, today: i64) -> i64 {
        let date = DateTime::from_timestamp_millis(DAY_START_MS + today * DAY_MS).unwrap();
        let date = date.date_naive();
        let years = |years: u32| {
            let first = date
                .checked_sub_months(chrono::Months::new(12 * years))
                .unwrap();
            today - (date - first).num_days()
        };
        match self.retention {
            Some("30d") => today - 30,
            Some("90d") => today - 90,
            Some("1y") => years(1),
            _ => years(2),
        }
    }

    fn is_held(&self, day: i64, user: usize) -> bool {
        let date_ms = DAY_START_MS + day * DAY_MS + 5;
        self.holds
            .values()
            .any(|(range, held)| range.contains(date_ms) && held.is_none_or(|held| held == user))
    }

    fn run(&mut self, today: i64) {
        if self.retention.is_none() && self.older_events {
            return;
        }
        let kept_from = self.kept_from(today);
        let stays = |(day, user): (i64, usize)| day >= kept_from || self.is_held(day, user);
        let gone: Vec<String> = self
            .events
            .iter()
            .filter(|(_, event)| !stays(**event))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.events.remove(&id);
        }
    }
}

async fn take(store: &Store, time: &Time, model: &mut Model, step: Step) {
    let id = workspace("w");
    let today = (time.now_ms() - DAY_START_MS) / DAY_MS;
    match step {
        Step::Import(events) => {
            let mut given = Vec::new();
            for (ago, user) in events {
                let name = model.imported.to_string();
                model.imported += 1;
                given.push(of_user(today - ago, &name, USERS[user]));
                model.events.insert(name, (today - ago, user));
                let default = Model::default().kept_from(today);
                model.older_events |= model.retention.is_none() && today - ago < default;
            }
            import(store, given).await;
        }
        Step::Place(name, range, user) => {
            let range = range.map_or(TimeRange::ALL, |(ago, length)| {
                days(today - ago, today - ago + length)
            });
            let new = hold(&name.to_string(), range, user.map(|user| USERS[user]));
            match store.place_hold(&id, new).await {
                Ok(placed) => {
                    assert_eq!(placed.stood_already, model.holds.contains_key(&name));
                    model.holds.insert(name, (range, user));
                }
                Err(error) => {
                    assert!(matches!(error, SettingsError::HoldExists { .. }));
                    assert!(model.holds.contains_key(&name));
                }
            }
        }
        Step::Release(name) => {
            let released = store.release_hold(&id, &name.to_string(), "legal").await;
            assert_eq!(released.is_ok(), model.holds.remove(&name).is_some());
        }
        Step::SetRetention(text) => {
            set(store, text).await;
            model.retention = Some(text);
        }
        Step::Compact => {
            if !model.events.is_empty() {
                compact(store, "w").await;
            }
        }
        Step::Clean => {
            store.vacuum(&id, false).await.unwrap();
        }
        Step::Run(passed) => {
            time.turn(passed);
            let before = model.events.len();
            model.run(today + passed);
            let expiry = store.expire(&id, RetentionMode::Confirmed).await.unwrap();
            if let Some(expiry) = expiry
                && matches!(expiry.outcome, RetentionOutcome::Dropped { .. })
            {
                let own = expiry.dropped.events - (before - model.events.len()) as u64;
                assert!(own <= 50, "only the store's own events are dropped besides");
            }
        }
    }
}

async fn live(steps: Vec<Step>) {
    let years = VirtualTime::new();
    let time = Time {
        time_ms: Arc::clone(&years.time_ms),
        modified: Modified::default(),
    };
    let root = years.root;
    let mut model = Model::default();
    let mut dropped_before = None;
    // Two processes take turns.
    let stores = [time.open(&root), time.open(&root)];
    for (number, step) in steps.into_iter().enumerate() {
        let store = &stores[number % 2];
        take(store, &time, &mut model, step).await;
        let expected: Vec<String> = {
            let mut ids: Vec<String> = model.events.keys().cloned().collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(given_ids(store).await, expected, "after step {number}");
        let settings = store.settings(&workspace("w")).await.unwrap();
        assert_eq!(settings.holds.len(), model.holds.len());
        assert!(settings.dropped_before >= dropped_before, "it only grows");
        dropped_before = settings.dropped_before;
    }
    if let Some(found) = root.open().verify(&workspace("w")).await.unwrap() {
        assert_eq!(found.faults, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn events_live_as_long_as_each_must(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps));
    }
}
