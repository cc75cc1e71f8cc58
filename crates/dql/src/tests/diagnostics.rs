//! Drawn diagnostics, in `diagnostics.txt`: blocks of a query, `=>` and the drawn
//! diagnostics.
//!
//! With `UPDATE_EXPECTED=1` in the environment the drawings are made anew.

use crate::{check, parse, render};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/diagnostics.txt");

/// All diagnostics of a query, drawn.
fn drawn(query: &str) -> String {
    let found = match parse(query) {
        Ok(script) => check(&script),
        Err(errors) => errors,
    };
    found
        .iter()
        .map(|diagnostic| render(query, diagnostic))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn every_mistake_is_explained() {
    let text = include_str!("diagnostics.txt")
        .strip_suffix('\n')
        .expect("a last line");
    let mut file = Vec::new();
    let mut wrong = Vec::new();
    for block in text.split("\n----\n") {
        let (query, expected) = block.split_once("\n=>\n").unwrap_or((block, ""));
        let drawn = drawn(query);
        assert!(!drawn.is_empty(), "nothing is wrong with {query}");
        file.push(format!("{query}\n=>\n{drawn}"));
        if drawn != expected.to_owned() + "\n" {
            wrong.push(format!("{query}\n=>\n{drawn}\nnot\n{expected}"));
        }
    }
    assert!(file.len() >= 60, "{} cases", file.len());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(PATH, file.join("----\n")).expect("the file is writable");
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
