//! Hostile texts, each of a kind and a size.

use crate::oracle::random::Random;

/// A list of one member many times.
pub(super) fn list(field: &str, member: &str, count: usize) -> String {
    let members = vec![member; count].join(", ");
    format!("TAE::audit:(count(*)) {{{field} IN [{members}]}} [7d]")
}

/// A list of members that differ in a number.
pub(super) fn numbered_list(field: &str, before: &str, after: &str, count: usize) -> String {
    let members = numbered(count, |number| format!("{before}{number}{after}")).join(", ");
    format!("TAE::audit:(count(*)) {{{field} IN [{members}]}} [7d]")
}

/// Many conditions, each another one.
pub(super) fn conditions(between: &str, count: usize) -> String {
    let conditions = numbered(count, |number| format!("result = 'a{number}'")).join(between);
    format!("TAE::audit:(count(*)) {{{conditions}}} [7d]")
}

/// Many patterns of sources.
pub(super) fn sources(count: usize) -> String {
    let sources = numbered(count, |number| format!("re'a{number}'")).join(", ");
    format!("TAE::({sources}):(count(*)) [7d]")
}

/// Many columns.
pub(super) fn columns(count: usize) -> String {
    let columns = numbered(count, |number| format!("upper(result) AS c{number}")).join(", ");
    format!("TAE::audit:({columns}) [7d]")
}

/// A text that grows more than tenfold with each level.
pub(super) fn growing_replacements(levels: usize) -> String {
    let (before, after) = (
        "regexp_replace(".repeat(levels),
        ", '', '0123456789')".repeat(levels),
    );
    format!("TAE::audit:(length({before}df_title{after}) AS n) [7d]")
}

/// A text that is twice as long in each query around another.
pub(super) fn growing_queries(levels: usize) -> String {
    let mut query = "TAE::audit:(concat(df_title, df_title) AS a) [7d]".to_owned();
    for _ in 1..levels {
        query = format!("TAE::({query}):(concat(a, a) AS a)");
    }
    query
}

/// One replacement that is itself long, at every character.
pub(super) fn large_replacement(bytes: usize) -> String {
    let replacement = "x".repeat(bytes);
    format!("TAE::audit:(regexp_replace(df_title, '', '{replacement}') AS a) [7d]")
}

/// A text of a random kind and size.
pub(super) fn random(random: &mut Random) -> String {
    match random.below(12) {
        0 => list("ok", "true", random.below(3_000)),
        1 => numbered_list("result", "'a", "'", 1 + random.below(3_000)),
        2 => numbered_list("df_title", "re'.*a", ".*'", 1 + random.below(300)),
        3 => conditions(
            random.choose(&[", ", " OR ", " AND ", " AND NOT "]),
            1 + random.below(1_500),
        ),
        4 => columns(1 + random.below(600)),
        5 => growing_replacements(1 + random.below(9)),
        6 => growing_queries(1 + random.below(26)),
        7 => patterns(random),
        8 => series(random),
        9 => words(random),
        10 => nested(random),
        _ => mutated(random),
    }
}

/// Patterns that are short and compile to much.
fn patterns(random: &mut Random) -> String {
    let repeated = random.choose(&[r"\pL", r"[^a]", "(a|b)", r"\w"]);
    let pattern = format!("{repeated}{{{}}}", 1 + random.below(80));
    let count = 1 + random.below(200);
    let patterns = numbered(count, |number| format!("re'{number}{pattern}'")).join(", ");
    format!("TAE::audit:(count(*)) {{df_title IN [{patterns}]}} [7d]")
}

/// Functions over series, each event a group or a point.
fn series(random: &mut Random) -> String {
    let query = random.choose(&[
        "TAE::audit:(int(df_cost) AS c) [30d]",
        "TAE::audit:(count(*)) [30d::1h] BY df_event_id LIMIT 10000 SLIMIT 10000",
        "TAE::audit:(fill(count(*), 0)) [7d::1m] BY df_user_name LIMIT 10000",
    ]);
    match random.below(5) {
        0 => format!("moving_average(({query}), {})", 1 + random.below(1_000_000)),
        1 => format!("series_sum({query})"),
        2 => format!("dbscan(({query}), 1)"),
        3 => format!("eval(A + A, A = ({query}))"),
        _ => format!("cumsum({query}).abs().abs()"),
    }
}

/// A search for many words.
fn words(random: &mut Random) -> String {
    let count = 1 + random.below(1_200);
    let words = numbered(count, |number| format!("w{number}*"));
    let test = random.choose(&["search", "query_string"]);
    let words = words.join(random.choose(&[" ", " OR "]));
    format!("TAE::audit:(count(*)) {{{test}(df_message, '{words}')}} [7d]")
}

/// Brackets in brackets.
fn nested(random: &mut Random) -> String {
    let levels = 1 + random.below(80);
    let (open, close) = random.choose(&[("(", ")"), ("NOT (", ")"), ("NOT ", "")]);
    let (open, close) = (open.repeat(levels), close.repeat(levels));
    format!("TAE::audit:(count(*)) {{{open}result = 'a'{close}}} [7d]")
}

/// A text of another kind with a part cut out or doubled.
fn mutated(random: &mut Random) -> String {
    let text = conditions(" OR ", 1 + random.below(200));
    let (from, to) = (random.below(text.len()), random.below(text.len()));
    let (from, to) = (from.min(to), from.max(to));
    match random.percent(50) {
        true => format!("{}{}", &text[..from], &text[to..]),
        false => format!("{}{}", &text[..to], &text[from..]),
    }
}

fn numbered(count: usize, text: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(text).collect()
}
