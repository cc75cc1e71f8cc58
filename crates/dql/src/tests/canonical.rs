//! Queries and their canonical texts, in `queries.dql`: blocks of a query, `=>` and its printed form.
//!
//! With `UPDATE_EXPECTED=1` in the environment the texts are written anew.

use crate::{parse, render};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/queries.dql");

/// The blocks of the file: headings, and queries with their expectations.
pub(super) fn queries() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("queries.dql")
        .trim_end()
        .split("\n\n")
        .filter(|block| !block.starts_with("## "))
        .map(|block| block.split_once("\n=> ").unwrap_or((block, "")))
}

#[test]
fn every_query_has_its_canonical_text() {
    let mut file = String::new();
    let mut wrong = Vec::new();
    for block in include_str!("queries.dql").trim_end().split("\n\n") {
        if block.starts_with("## ") {
            file.push_str(&format!("{block}\n\n"));
            continue;
        }
        let (query, expected) = block.split_once("\n=> ").unwrap_or((block, ""));
        let printed = match parse(query) {
            Ok(script) => script.to_string(),
            Err(errors) => errors.iter().map(|error| render(query, error)).collect(),
        };
        file.push_str(&format!("{query}\n=> {printed}\n\n"));
        if printed != expected {
            wrong.push(format!("{query}\n=> {printed}\nnot {expected}"));
        }
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(PATH, file.trim_end().to_owned() + "\n").expect("the file is writable");
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn canonical_text_keeps_the_tree() {
    let mut count = 0;
    for (query, _) in queries() {
        let script = parse(query).expect("it parses");
        let printed = script.to_string();
        let again = parse(&printed).unwrap_or_else(|errors| panic!("{printed}\n{errors:?}"));
        assert_eq!(again, script, "{query}\n{printed}");
        assert_eq!(again.to_string(), printed, "{query}");
        count += 1;
    }
    assert!(count >= 150, "{count} queries");
}
