//! The tests on text, each the slow and obvious way.

use std::net::IpAddr;

use regex::Regex;

/// Whether `text` passes the test called `name` with `pattern`.
pub(super) fn passes(name: &str, text: &str, pattern: &str) -> bool {
    match name {
        "re" | "regex" | "regexp" => matches_whole(text, pattern),
        "match" => text.to_lowercase().contains(&pattern.to_lowercase()),
        "search" => search(text, pattern),
        "wildcard" => glob(&characters(pattern), &characters(text)),
        "query_string" | "querystring" => query(text, pattern),
        "cidr" => in_network(text, pattern),
        _ => panic!("the evaluator has no test `{name}`"),
    }
}

/// Whether the name is that of a test on text.
pub(super) fn is_test(name: &str) -> bool {
    [
        "re",
        "regex",
        "regexp",
        "match",
        "search",
        "wildcard",
        "query_string",
        "querystring",
        "cidr",
    ]
    .contains(&name)
}

/// The pattern fits the whole text; `.` takes line ends too.
pub(super) fn matches_whole(text: &str, pattern: &str) -> bool {
    let regex = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
    regex.is_match(text)
}

fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        ['?', rest @ ..] => !text.is_empty() && glob(rest, &text[1..]),
        [first, rest @ ..] => text.first() == Some(first) && glob(rest, &text[1..]),
    }
}

/// Every word and every `#"phrase"` occurs.
fn search(text: &str, words: &str) -> bool {
    let mut rest = words.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix("#\"") {
            Some(phrase) => phrase.split_once('"').unwrap(),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        if !contains_word(text, word, false) {
            return false;
        }
        rest = after.trim_start();
    }
    true
}

/// Whether a word or phrase occurs, in any case, not inside a longer word of ASCII letters.
fn contains_word(text: &str, word: &str, wildcards: bool) -> bool {
    let text = characters(&text.to_lowercase());
    let word = characters(&word.to_lowercase());
    let is_ascii_word = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let bounded_before = word.first().is_some_and(is_ascii_word);
    let bounded_after = word.last().is_some_and(is_ascii_word);
    (0..=text.len()).any(|start| {
        let before = start.checked_sub(1).and_then(|index| text.get(index));
        if bounded_before && before.is_some_and(is_ascii_word) {
            return false;
        }
        ends(&word, &text, start, wildcards)
            .into_iter()
            .any(|end| !bounded_after || !text.get(end).is_some_and(is_ascii_word))
    })
}

/// Where an occurrence of `word` that begins at `start` can end.
fn ends(word: &[char], text: &[char], start: usize, wildcards: bool) -> Vec<usize> {
    let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
    match word {
        [] => vec![start],
        ['*', rest @ ..] if wildcards => {
            let run = text[start..].iter().take_while(|c| is_word(c)).count();
            (start..=start + run)
                .flat_map(|next| ends(rest, text, next, wildcards))
                .collect()
        }
        ['?', rest @ ..] if wildcards => match text.get(start) {
            Some(c) if is_word(c) => ends(rest, text, start + 1, wildcards),
            _ => Vec::new(),
        },
        [first, rest @ ..] if text.get(start) == Some(first) => {
            ends(rest, text, start + 1, wildcards)
        }
        _ => Vec::new(),
    }
}

/// A Lucene-like query: OR binds loosest, blanks and commas mean AND, NOT and `-` bind tightest.
fn query(text: &str, query: &str) -> bool {
    let tokens = tokens(query);
    let mut position = 0;
    let holds = any(text, &tokens, &mut position);
    assert_eq!(position, tokens.len(), "the evaluator cannot read {query}");
    holds
}

fn tokens(query: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start_matches([' ', ',']);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '(' | ')' | '-' => 1,
            '"' => 2 + rest[1..].find('"').unwrap(),
            _ => rest.find([' ', ',', '(', ')']).unwrap_or(rest.len()),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start_matches([' ', ',']);
    }
    tokens
}

fn any(text: &str, tokens: &[String], position: &mut usize) -> bool {
    let mut holds = all(text, tokens, position);
    while tokens.get(*position).is_some_and(|token| token == "OR") {
        *position += 1;
        holds |= all(text, tokens, position);
    }
    holds
}

fn all(text: &str, tokens: &[String], position: &mut usize) -> bool {
    let mut holds = one(text, tokens, position);
    while let Some(token) = tokens.get(*position) {
        match token.as_str() {
            "OR" | ")" => break,
            "AND" => *position += 1,
            _ => {}
        }
        holds &= one(text, tokens, position);
    }
    holds
}

fn one(text: &str, tokens: &[String], position: &mut usize) -> bool {
    let token = tokens[*position].as_str();
    *position += 1;
    match token {
        "NOT" | "-" => !one(text, tokens, position),
        "(" => {
            let holds = any(text, tokens, position);
            *position += 1;
            holds
        }
        _ => match token.strip_prefix('"') {
            Some(phrase) => contains_word(text, phrase.trim_end_matches('"'), false),
            None => contains_word(text, token, true),
        },
    }
}

fn in_network(text: &str, network: &str) -> bool {
    fn bits(address: IpAddr) -> String {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        octets.iter().map(|octet| format!("{octet:08b}")).collect()
    }
    let (address, prefix) = network.split_once('/').unwrap();
    let network: IpAddr = address.parse().unwrap();
    let prefix: usize = prefix.parse().unwrap();
    text.parse::<IpAddr>().is_ok_and(|address| {
        address.is_ipv4() == network.is_ipv4() && bits(address)[..prefix] == bits(network)[..prefix]
    })
}
