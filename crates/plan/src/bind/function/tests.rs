//! Every function of the language has a signature, a binding and a row in `docs/dql.md`, and is bound to an expected
//! expression.
//!
//! The expected expressions are in `tests.txt`: blocks of a query, `=>` and the part of the bound statement that the
//! function determines. With `UPDATE_EXPECTED=1` in the environment they are written anew.

use dql::signature::{self, Role};
use dql::{Diagnostic, Severity};

use super::{FAMILIES, Function, QueryBinding, find};
use crate::bind::{BindContext, bind};
use crate::bound::{BoundQuery, BoundStatement, Notes, SeriesPlan};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bind/function/tests.txt");

const DOCUMENTATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dql.md");

/// The lines of a bound query that no function determines.
const OTHER_LINES: [&str; 4] = ["source", "window", "order", "limits"];

fn context() -> BindContext {
    BindContext::at(1_795_219_200_000)
}

fn query_lines(query: &BoundQuery) -> Vec<String> {
    let text = query.to_string();
    let is_wanted = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        !OTHER_LINES.contains(&name)
    };
    let mut lines: Vec<String> = text.lines().filter(is_wanted).map(str::to_owned).collect();
    lines.extend(note_lines(&query.notes));
    lines
}

fn note_lines(notes: &Notes) -> Vec<String> {
    let occurrences = notes
        .occurrences
        .iter()
        .map(|occurrence| format!("may meet {}", occurrence.warning.code.as_str()));
    let warnings = notes
        .warnings
        .iter()
        .map(|warning| format!("warning  {}", warning.code.as_str()));
    warnings.chain(occurrences).collect()
}

fn series_lines(plan: &SeriesPlan) -> Vec<String> {
    let mut lines = Vec::new();
    for call in plan.calls() {
        lines.push(format!("function {} {}", call.name, call.function));
        lines.extend(note_lines(&call.notes));
    }
    let schema = plan.schema();
    lines.push(format!("keys     {:?}", schema.keys));
    lines.push(format!("columns  {:?}", schema.columns));
    lines
}

fn error_lines(errors: &[Diagnostic]) -> Vec<String> {
    let line = |error: &Diagnostic| format!("error    {} {}", error.code.as_str(), error.message);
    errors.iter().map(line).collect()
}

/// What a statement is bound to, or why it is not.
fn bound(query: &str) -> String {
    let script = match dql::parse(query) {
        Ok(script) => script,
        Err(errors) => return format!("does not parse: {errors:?}"),
    };
    let errors = dql::check(&script).into_iter();
    let errors: Vec<Diagnostic> = errors
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    if !errors.is_empty() {
        return error_lines(&errors).join("\n");
    }
    let lines = match bind(&script.statements[0], &context()) {
        Ok(BoundStatement::Query(query)) => query_lines(&query),
        Ok(BoundStatement::Series(plan)) => series_lines(&plan),
        Ok(BoundStatement::Show(_)) => Vec::new(),
        Err(errors) => error_lines(&errors),
    };
    lines.join("\n")
}

#[test]
fn functions_are_bound_to_these_expressions() {
    let text = include_str!("tests.txt").trim_end();
    let mut file = Vec::new();
    let mut wrong = Vec::new();
    for block in text.split("\n----\n") {
        let (query, expected) = block.split_once("\n=>\n").unwrap_or((block, ""));
        let found = bound(query);
        file.push(format!("{query}\n=>\n{found}"));
        if found != expected {
            wrong.push(format!("{query}\n=>\n{found}\nnot\n{expected}"));
        }
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(PATH, file.join("\n----\n") + "\n").expect("the file is writable");
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn functions() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().copied().flatten()
}

/// Whether a function of a role can have a binding.
fn is_of_role(binding: QueryBinding, role: Role) -> bool {
    match binding {
        QueryBinding::Scalar(_) => role == Role::Scalar,
        QueryBinding::Aggregate(_) | QueryBinding::OfAggregates(_) | QueryBinding::Columns(_) => {
            role == Role::Aggregate
        }
        QueryBinding::Rows(_) => role == Role::Rows,
        QueryBinding::Point(_) | QueryBinding::Fill(_) => role == Role::Point,
        QueryBinding::TextTest(_) | QueryBinding::Exists => role == Role::Predicate,
        QueryBinding::Unsupported(_) => true,
    }
}

#[test]
fn every_signature_has_a_binding_of_its_role() {
    for signature in signature::functions() {
        let name = signature.name;
        let binding = find(name).and_then(|function| function.in_query);
        let binding = binding.unwrap_or_else(|| panic!("`{name}` has no binding"));
        assert!(
            is_of_role(binding, signature.role),
            "`{name}` is {:?}, and its binding {binding:?}",
            signature.role
        );
    }
    for signature in signature::outer_functions() {
        let name = signature.name;
        let binding = find(name).and_then(|function| function.over_series);
        assert!(binding.is_some(), "`{name}` has no binding over series");
    }
}

#[test]
fn every_binding_has_a_signature() {
    let mut known = Vec::new();
    for function in functions() {
        let name = function.name;
        assert!(!known.contains(&name), "`{name}` is in the tables twice");
        known.push(name);
        let in_query = signature::function(name).is_some();
        assert_eq!(function.in_query.is_some(), in_query, "`{name}` in a query");
        let over_series = signature::outer(name).is_some();
        let binding = function.over_series;
        assert_eq!(binding.is_some(), over_series, "`{name}` over series");
    }
}

#[test]
fn percentages_in_names_are_bound_as_percentiles() {
    for name in ["p50", "P99.9", "p0", "p100"] {
        assert!(find(name).is_some_and(|function| function.name == "pN"));
        assert!(signature::function(&name.to_lowercase()).is_some());
    }
    for name in ["p", "p101", "p1e1", "percent"] {
        assert!(find(name).is_none());
    }
}

/// The lines below a heading, up to the next heading of its level or above.
fn section<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    let level = |line: &str| line.chars().take_while(|c| *c == '#').count();
    let is_heading = |line: &&str| (1..=level(heading)).contains(&level(line));
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !is_heading(line)).collect();
    assert!(!lines.is_empty(), "no section `{heading}`");
    lines
}

/// Whether the code in a text names the function.
fn names(text: &str, name: &str) -> bool {
    let mut code = text.split('`').skip(1).step_by(2);
    code.any(|code| {
        let mut words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.any(|word| word.eq_ignore_ascii_case(name))
    })
}

/// Whether a table below the heading has a row of the function.
fn has_row(page: &str, heading: &str, name: &str) -> bool {
    let lines = section(page, heading).into_iter();
    let mut rows = lines.filter(|line| line.starts_with('|'));
    rows.any(|row| names(row.split('|').nth(1).unwrap_or_default(), name))
}

#[test]
fn every_function_is_documented() {
    let page = std::fs::read_to_string(DOCUMENTATION).expect("docs/dql.md");
    let is_documented = |binding, name| match binding {
        QueryBinding::Scalar(_) => has_row(&page, "### Functions of one row", name),
        QueryBinding::Aggregate(_) | QueryBinding::OfAggregates(_) | QueryBinding::Columns(_) => {
            has_row(&page, "### Aggregates", name)
        }
        QueryBinding::Rows(_) => has_row(&page, "### Functions that choose rows", name),
        QueryBinding::Point(_) => has_row(&page, "### Functions of points", name),
        QueryBinding::Fill(_) => names(&section(&page, "### Steps").join("\n"), name),
        QueryBinding::TextTest(_) => has_row(&page, "### Text tests", name),
        QueryBinding::Exists => has_row(&page, "## Conditions", name),
        QueryBinding::Unsupported(_) => has_row(&page, "## Parsed but not answered", name),
    };
    let mut missing = Vec::new();
    for function in functions() {
        let name = function.name;
        let in_query = function.in_query;
        if !in_query.is_none_or(|binding| is_documented(binding, name)) {
            missing.push(name.to_owned());
        }
        let heading = "## Functions over the result of a query";
        if function.over_series.is_some() && !has_row(&page, heading, name) {
            missing.push(format!("{name} over series"));
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_function_has_an_expected_binding() {
    let queries = include_str!("tests.txt").split("\n----\n");
    let queries: Vec<&str> = queries
        .filter_map(|block| block.split("\n=>\n").next())
        .collect();
    for function in functions() {
        let call = format!("{}(", function.name);
        let is_called = queries
            .iter()
            .any(|query| query.to_lowercase().contains(&call));
        assert!(is_called, "no block of tests.txt calls `{}`", function.name);
    }
}
