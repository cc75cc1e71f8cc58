//! What questions can speak of: names and values that occur in the events.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::super::population::{ADDRESSES, COSTS, MESSAGES, TITLES, USERS};
use super::super::random::Random;
use super::{Gives, Names};

/// Names and values.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(super) names: Names,
    /// Texts that fields have, by field.
    pub(super) values: Vec<Vec<String>>,
    /// Words of these texts; none where the patterns of the questions fit the events anyway.
    pub(super) words: Vec<String>,
}

impl Vocabulary {
    /// Of random events.
    pub(crate) fn of_population() -> Self {
        let pools: [&[&str]; 5] = [&TITLES, &USERS, &MESSAGES, &COSTS, &ADDRESSES];
        let owned = |pool: &&[&str]| pool.iter().map(|value| (*value).to_owned()).collect();
        Self {
            names: Names::of_population(),
            values: pools.iter().map(owned).collect(),
            words: Vec::new(),
        }
    }

    /// Of some events: some of their names and values.
    pub(crate) fn of_events(random: &mut Random, events: &[Json]) -> Self {
        let mut names: Vec<(String, Gives)> = ["df_date_range", "date", "time"]
            .map(|name| (name.to_owned(), Gives::Number))
            .to_vec();
        let mut values = vec![vec![String::new(), "audit".to_owned()]];
        for field in events::FIELDS {
            let texts: BTreeSet<&str> = events
                .iter()
                .filter_map(|event| event[field.name].as_str())
                .filter(|text| text.len() < 200)
                .collect();
            if field.field_type == events::FieldType::String && !texts.is_empty() {
                names.push((field.name.to_owned(), Gives::Text));
                values.push(texts.into_iter().take(40).map(str::to_owned).collect());
            }
        }
        let mut paths = BTreeSet::new();
        for attributes in events
            .iter()
            .filter_map(|event| event["attributes"].as_object())
        {
            add_paths("", attributes, 3, &mut paths);
        }
        let paths: Vec<String> = paths.into_iter().collect();
        names.push(("nowhere".to_owned(), Gives::Json));
        for _ in 0..paths.len().min(25) {
            names.push((random.pick(&paths).clone(), Gives::Json));
        }
        names.dedup_by(|left, right| left.0 == right.0);
        let texts = values.iter().flatten();
        let words = texts.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric()));
        let words: BTreeSet<&str> = words.filter(|word| word.len() > 1).collect();
        Self {
            names: Names {
                all: names,
                are_events: true,
            },
            words: words.into_iter().map(str::to_owned).collect(),
            values,
        }
    }
}

/// Adds the names of values inside an object, with dots between the keys, and the places of lists.
fn add_paths(prefix: &str, object: &Map<String, Json>, depth: usize, paths: &mut BTreeSet<String>) {
    let is_plain = |key: &str| {
        key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for (key, value) in object.iter().filter(|(key, _)| is_plain(key)) {
        let name = format!("{prefix}{key}");
        match value {
            Json::Object(inner) if depth > 1 => {
                add_paths(&format!("{name}."), inner, depth - 1, paths);
            }
            Json::Array(items) if !items.is_empty() => {
                paths.insert(format!("{name}@0"));
            }
            _ => {}
        }
        paths.insert(name);
    }
}
