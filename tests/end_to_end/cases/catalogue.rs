//! `docs/errors.md`: every code, what it means, and a question that meets it with its real drawing.
//!
//! The meanings are those of [`dql::Code`] and [`ErrorCode`]; the questions and drawings are those of `tests/cases/*.md` and of
//! `crates/dql/src/tests/diagnostics.txt`. With `UPDATE_EXPECTED=1` the page is written anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use api::{ErrorCode, exit_status};
use dql::{Code, Fault, Severity};
use regex::Regex;

use super::page::Page;

/// The page.
const PAGE: &str = "docs/errors.md";

/// The codes of the page without an example: of requests, of sizes, and of the service itself.
const WITHOUT_EXAMPLE: &[ErrorCode] = &[
    ErrorCode::AnswerTooLarge,
    ErrorCode::BodyStalled,
    ErrorCode::Query(Code::EstimatedPercentile),
    ErrorCode::ExecutionFailed,
    ErrorCode::Query(Code::InvalidOffset),
    ErrorCode::Query(Code::InvalidQuery),
    ErrorCode::InvalidRequest,
    ErrorCode::Query(Code::ListCut),
    ErrorCode::MissingFile,
    ErrorCode::Overloaded,
    ErrorCode::Query(Code::QuestionTooLarge),
    ErrorCode::RequestTooLarge,
    ErrorCode::Query(Code::ResourcesExhausted),
    ErrorCode::Query(Code::SeveralStatements),
    ErrorCode::StoreError,
    ErrorCode::TimedOut,
    ErrorCode::Query(Code::TooManyFindings),
    ErrorCode::Query(Code::TooManyKeys),
    ErrorCode::TooManyQuestions,
];

/// The pages that explain the other codes of the service.
const OTHER_PAGES: [&str; 2] = ["docs/ingest.md", "docs/operations.md"];

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
    for path in super::pages(&super::folder()) {
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

/// The page as the examples make it.
fn page(examples: &BTreeMap<Key, Example>) -> String {
    let mut page = String::from(
        "# Errors and warnings\n\n\
         An error means there is no answer; a warning comes with one. Each has a code that does not change, a \
         message, its\nplace in the text, and often a hint. A question can have several. This page is made from \
         the tests: below each code\nstands a question that meets it, and what Vouch says. Words behind \
         `dql` say what the request asks besides.\n",
    );
    for (severity, name, heading) in [
        (Severity::Error, "error", "Errors"),
        (Severity::Warning, "warning", "Warnings"),
    ] {
        let _ = write!(page, "\n## {heading}\n");
        for ((of, code), example) in examples {
            if of != name {
                continue;
            }
            let known = Code::from_text(code);
            let meaning = known.map_or("", |code| code.meaning(severity));
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
    for code in WITHOUT_EXAMPLE {
        let _ = writeln!(page, "| `{code}` | {} |", code.meaning());
    }
    page.push_str(
        "\n## Codes of the service\n\n\
         With the status of gRPC, of HTTP, and the exit status of `vouch`. A `store_error` has the status of its reason: \
         `DataLoss`\nand 500 when an object is missing or damaged, `Internal` and 500 when the store cannot be read \
         by this version.\n\n| code | meaning | what helps | gRPC | HTTP | exit |\n|---|---|---|---|---|---|\n",
    );
    for code in ErrorCode::OF_SERVICE {
        let (meaning, hint) = (code.meaning(), code.hint().unwrap_or_default());
        let (grpc, http) = (code.kind().grpc_code(), code.kind().http_status().as_u16());
        let exit = exit_status(code.fault());
        let _ = writeln!(
            page,
            "| `{code}` | {meaning} | {hint} | `{grpc:?}` | {http} | {exit} |"
        );
    }
    page
}

/// The severities that a code of findings has.
fn severities(code: Code) -> &'static [&'static str] {
    let is_both = code.meaning(Severity::Error) != code.meaning(Severity::Warning);
    match code.fault() {
        Fault::Warning => &["warning"],
        Fault::Question | Fault::Request | Fault::Service if is_both => &["error", "warning"],
        Fault::Question | Fault::Request | Fault::Service => &["error"],
    }
}

#[test]
fn every_code_is_explained() {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return;
    }
    let examples = examples();
    let others = OTHER_PAGES.map(|page| fs::read_to_string(project(page)).unwrap());
    let mut missing = Vec::new();
    for (severity, code) in examples.keys() {
        if Code::from_text(code).is_none() {
            missing.push(format!("the {severity} `{code}` is not one of `dql::Code`"));
        }
    }
    for code in ErrorCode::OF_SERVICE {
        let is_here = WITHOUT_EXAMPLE.contains(code);
        if !is_here && !others.iter().any(|page| page.contains(code.as_str())) {
            missing.push(format!("`{code}` is on none of {OTHER_PAGES:?}"));
        }
    }
    for code in Code::ALL {
        if WITHOUT_EXAMPLE.contains(&ErrorCode::Query(*code)) {
            continue;
        }
        for severity in severities(*code) {
            if !examples.contains_key(&((*severity).to_owned(), code.to_string())) {
                missing.push(format!(
                    "the {severity} `{code}` has no case in tests/cases"
                ));
            }
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
