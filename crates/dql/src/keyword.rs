//! The words of the language, and the nearest one to a misspelt word.

/// Words that cannot be unquoted names (Guance documentation, DQL definition,
/// keywords, with the words that newer engines added).
const RESERVED: [&str; 22] = [
    "and", "as", "asc", "by", "case", "desc", "else", "end", "false", "having", "in", "limit",
    "nil", "not", "null", "offset", "or", "slimit", "soffset", "then", "true", "when",
];

/// The first words of the clauses that may follow a query's braces and brackets.
pub(crate) const CLAUSES: [&str; 10] = [
    "SHIFT",
    "BY",
    "HAVING",
    "ORDER BY",
    "SORDER BY",
    "LIMIT",
    "OFFSET",
    "SLIMIT",
    "SOFFSET",
    "AS",
];

/// Whether `word` needs backquotes to be a name.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// The candidate that `word` was most likely meant to be; `None` when all are too far away.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| {
            (
                distance(&word.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= allowed && *distance * 2 < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove, replace or swap with a neighbour to make `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(a != b);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == *b && right[column - 1] == *a;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = last;
        last = current;
    }
    last.last().copied().unwrap_or_default()
}
