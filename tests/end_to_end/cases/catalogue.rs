//! `docs/errors.md`: every code, what it means, and a question that meets it with its real drawing.
//!
//! The meanings stand in `codes`; the questions and drawings are those of `tests/cases/*.md` and of
//! `crates/dql/src/tests/diagnostics.txt`. With `UPDATE_EXPECTED=1` the page is written anew.

mod codes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::page::Page;
use codes::{CODES, WITHOUT_QUESTION};

/// The page.
const PAGE: &str = "docs/errors.md";

/// A question that meets a code, and what is said about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Example {
    /// How many findings the question has; one with a single finding explains best.
    findings: usize,
    length: usize,
    query: String,
    words: String,
    drawing: String,
}

/// A severity, as drawings name it, and a code.
type Key = (String, String);

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The findings drawn in the answer to a question.
fn drawings(answer: &str) -> Vec<(Key, String)> {
    let start = Regex::new(r"^(error|warning)\[([a-z0-9_]+)\]: ").unwrap();
    let mut found: Vec<(Key, String)> = Vec::new();
    for line in answer.lines() {
        if let Some(parts) = start.captures(line) {
            found.push(((parts[1].to_owned(), parts[2].to_owned()), String::new()));
        }
        if let Some((_, drawing)) = found.last_mut() {
            drawing.push_str(line);
            drawing.push('\n');
        }
    }
    found
}

/// The best example of each code.
fn examples() -> BTreeMap<Key, Example> {
    let mut best: BTreeMap<Key, Example> = BTreeMap::new();
    let mut add = |query: &str, words: String, answer: &str| {
        let found = drawings(answer);
        for (key, drawing) in &found {
            let example = Example {
                findings: found.len(),
                length: query.len() + words.len(),
                query: query.to_owned(),
                words: words.clone(),
                drawing: drawing.trim_end().to_owned() + "\n",
            };
            let known = best.entry(key.clone()).or_insert_with(|| example.clone());
            if example < *known {
                *known = example;
            }
        }
    };
    for path in super::pages() {
        for case in Page::read(&path).cases {
            add(&case.query, case.options.join(" "), &case.expected);
        }
    }
    let text = fs::read_to_string(project("crates/dql/src/tests/diagnostics.txt")).unwrap();
    for block in text.split("\n----\n") {
        let (query, drawn) = block.split_once("\n=>\n").unwrap();
        add(query, String::new(), drawn);
    }
    best
}

/// The codes that stand in the sources of the crates that answer questions.
fn codes_of_sources() -> BTreeSet<String> {
    let code = Regex::new(concat!(
        r"(?:\b(?:error|warning|wrong|warn|cut)|Diagnostic::new)\(",
        r#"\s*(?:Severity::\w+,\s*|severity,\s*)?"([a-z0-9]+(?:_[a-z0-9]+)+)""#
    ))
    .unwrap();
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = ["dql", "plan", "engine", "server"]
        .map(|name| project(&format!("crates/{name}/src")))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if is_test {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            found.extend(code.captures_iter(program).map(|parts| parts[1].to_owned()));
        }
    }
    found
}

/// The page as the examples make it.
fn page(examples: &BTreeMap<Key, Example>) -> String {
    let mut page = String::from(
        "# Errors and warnings\n\n\
         An error means there is no answer; a warning comes with one. Each has a code that does not change, a \
         message, its\nplace in the text, and often a hint. A question can have several. This page is made from \
         the tests: below each code\nstands a question that meets it, and what Vouch says. Words behind \
         `dql` say what the request asks besides.\n",
    );
    for (severity, heading) in [("error", "Errors"), ("warning", "Warnings")] {
        let _ = write!(page, "\n## {heading}\n");
        for ((of, code), example) in examples {
            if of != severity {
                continue;
            }
            let meaning = meaning(severity, code).unwrap_or_default();
            let Example {
                query,
                words,
                drawing,
                ..
            } = example;
            let fence = format!("dql {words}");
            let _ = write!(
                page,
                "\n### {code}\n\n{meaning}\n\n```{}\n{query}\n```\n```text\n{drawing}```\n",
                fence.trim_end(),
            );
        }
    }
    page.push_str(
        "\n## Without an example\n\n\
         These are about requests, sizes, or the service itself.\n\n| code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in WITHOUT_QUESTION {
        let _ = writeln!(page, "| `{code}` | {meaning} |");
    }
    page
}

fn meaning(severity: &str, code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|known| (known.0, known.1) == (severity, code))
        .map(|known| known.2)
}

#[test]
fn every_code_is_explained() {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return;
    }
    let examples = examples();
    let mut missing = Vec::new();
    for (severity, code) in examples.keys() {
        if meaning(severity, code).is_none() {
            missing.push(format!(
                "the {severity} `{code}` needs a meaning in cases/catalogue/codes.rs"
            ));
        }
    }
    for (severity, code, _) in CODES {
        if !examples.contains_key(&((*severity).to_owned(), (*code).to_owned())) {
            missing.push(format!(
                "the {severity} `{code}` has no case in tests/cases"
            ));
        }
    }
    for code in codes_of_sources() {
        let explained = CODES.iter().any(|known| known.1 == code)
            || WITHOUT_QUESTION.iter().any(|known| known.0 == code);
        if !explained {
            missing.push(format!(
                "`{code}` needs a case, and a meaning in cases/catalogue/codes.rs"
            ));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    let written = fs::read_to_string(project(PAGE)).unwrap_or_default();
    assert!(
        written == page(&examples),
        "{PAGE} is out of date: run `UPDATE_EXPECTED=1 cargo test -p vouch-tests cases`"
    );
}

/// Writes the page anew, when the cases hold new answers.
pub(super) fn write() {
    fs::write(project(PAGE), page(&examples())).unwrap();
}
