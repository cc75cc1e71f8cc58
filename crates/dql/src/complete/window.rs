//! The completions in a window, `[from:to:step:rollup]`.

use super::expression::literal;
use super::functions;
use super::levels::Item;
use super::{LiteralKind, Wanted};
use crate::signature::Role;

/// The words that name a range of time.
const PRESETS: [&str; 6] = [
    "TODAY",
    "YESTERDAY",
    "THIS WEEK",
    "LAST WEEK",
    "THIS MONTH",
    "LAST MONTH",
];

/// The state of an unfinished window.
struct State {
    /// Which of the four parts it is in, from 0.
    part: usize,
    /// The number of items of that part so far.
    length: usize,
    /// Whether it contains a named range.
    preset: bool,
}

/// The completions in a window that holds `items`.
pub(super) fn wanted(items: &[Item<'_>]) -> Vec<Wanted> {
    let state = state(items);
    let last = items.last().copied();
    if let Some(item) = last
        && (item.is_keyword("LAST") || item.is_keyword("THIS"))
    {
        return vec![
            Wanted::Keywords(vec!["WEEK", "MONTH"]),
            Wanted::Symbols(vec!["]"]),
        ];
    }
    if state.preset && state.part == 0 {
        return vec![Wanted::Symbols(vec!["]", "::"])];
    }
    if state.length == 0 {
        return start(state.part, state.preset);
    }
    after_start(&state, last)
}

/// The completions at the start of a part.
fn start(part: usize, preset: bool) -> Vec<Wanted> {
    let end = Wanted::Symbols(match part {
        3 => vec!["]"],
        _ => vec![":", "]", "-"],
    });
    let times = literal(LiteralKind::Time);
    let rollups = || Wanted::Functions(functions::of_roles(&[Role::Aggregate, Role::Point]));
    match part {
        0 => vec![times, Wanted::Keywords(PRESETS.to_vec()), end, rollups()],
        1 if preset => vec![end],
        1 => vec![times, end],
        2 => vec![
            literal(LiteralKind::Step),
            Wanted::Keywords(vec!["AUTO"]),
            end,
        ],
        _ => vec![rollups(), end],
    }
}

/// The completions after the start of a part, whose last item is `last`.
fn after_start(state: &State, last: Option<Item<'_>>) -> Vec<Wanted> {
    let mut symbols = vec!["]"];
    if state.part < 3 {
        symbols.push(":");
    }
    let Some(last) = last else {
        return vec![Wanted::Symbols(symbols)];
    };
    if last.symbol() == Some("-") {
        return vec![literal(LiteralKind::Number), literal(LiteralKind::Duration)];
    }
    let digits = last
        .word()
        .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    let mut found = Vec::new();
    if digits && state.part < 2 {
        symbols.push("-");
        if state.length == 5 {
            found.push(literal(LiteralKind::Time));
        }
    } else if last.word().is_some() {
        symbols.push("(");
    }
    found.insert(0, Wanted::Symbols(symbols));
    found
}

/// The state of a window that holds `items`.
fn state(items: &[Item<'_>]) -> State {
    let mut state = State {
        part: 0,
        length: 0,
        preset: false,
    };
    let mut index = 0;
    while let Some(item) = items.get(index) {
        if state.length == 0 && is_date(&items[index..]) {
            let length = date_length(&items[index..]);
            state.length += length;
            index += length;
            continue;
        }
        let double = items
            .get(index + 1)
            .is_some_and(|next| next.symbol() == Some(":"));
        if item.symbol() == Some(":") {
            // Two colons follow a named range, which has no end.
            state.part += if state.preset && state.part == 0 && double {
                index += 1;
                2
            } else {
                1
            };
            state.length = 0;
        } else {
            let names = |preset: &&str| preset.split(' ').any(|word| item.is_keyword(word));
            state.preset |= state.part == 0 && PRESETS.iter().any(names);
            state.length += 1;
        }
        index += 1;
    }
    state
}

/// Whether a date starts here: `2020-11-11`.
fn is_date(items: &[Item<'_>]) -> bool {
    matches!(items, [year, first, month, second, day, ..]
        if is_number(*year) && first.symbol() == Some("-")
            && is_number(*month) && second.symbol() == Some("-") && is_number(*day))
}

/// The number of items of a date with its time of day.
fn date_length(items: &[Item<'_>]) -> usize {
    if !items.get(5).is_some_and(|hour| is_number(*hour)) {
        return 5;
    }
    let mut length = 6;
    for _ in 0..2 {
        match items.get(length..) {
            Some([colon, part, ..])
                if colon.symbol() == Some(":")
                    && is_number(*part)
                    && part.word().is_some_and(|word| word.len() <= 2) =>
            {
                length += 2;
            }
            _ => break,
        }
    }
    length
}

/// Whether an item is a whole number.
fn is_number(item: Item<'_>) -> bool {
    item.word()
        .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
}
