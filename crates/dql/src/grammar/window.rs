//! The time expression: `[from:to:step:rollup]`.

use nom::Parser;
use nom::combinator::opt;

use crate::ast::{
    Civil, Duration, Expr, Ident, Preset, Range, Rollup, Step, TimePoint, TimePointKind, Window,
};
use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::grammar::expr::{Context, expression};
use crate::grammar::failure::{Failed, Failure, Parsed};
use crate::grammar::operand::number_of;
use crate::grammar::terminal::{List, closing, expect, list, symbol};
use crate::grammar::unexpected::unexpected;
use crate::lexer::word::{self, Word};
use crate::span::Span;
use crate::token::{TokenKind, Tokens};

/// A window; `input` starts at `[`.
pub(super) fn window(input: Tokens<'_>) -> Parsed<'_, Window> {
    let start = input.skip(1);
    let (rest, (range, step, rollup)) = match rollup_alone(start)? {
        (rest, Some(rollup)) => (
            rest,
            (
                Range::Bounds {
                    from: None,
                    to: None,
                },
                None,
                Some(rollup),
            ),
        ),
        (rest, None) => parts(rest)?,
    };
    let (rest, _) = end(rest, input.span())?;
    Ok((
        rest,
        Window {
            range,
            step,
            rollup,
            span: rest.span_from(input),
        },
    ))
}

/// The content of the brackets.
type Parts = (Range, Option<Step>, Option<Rollup>);

/// `[from][:[to][:[step][:rollup]]]`.
fn parts(input: Tokens<'_>) -> Parsed<'_, Parts> {
    let (rest, range) = range(input)?;
    let (rest, found) = part(rest, step)?;
    let (rest, rollup) = part(rest, rollup)?;
    Ok((rest, (range, found, rollup)))
}

/// `:` and the part after it.
fn part<'a, T>(
    input: Tokens<'a>,
    parser: impl Fn(Tokens<'a>) -> Parsed<'a, T>,
) -> Parsed<'a, Option<T>> {
    let (rest, colon) = opt(symbol(":")).parse(input)?;
    if colon.is_none() || rest.is_symbol(0, ":") || rest.is_symbol(0, "]") {
        return Ok((rest, None));
    }
    parser(rest).map(|(rest, value)| (rest, Some(value)))
}

/// A preset, or `[from][:[to]]`.
fn range(input: Tokens<'_>) -> Parsed<'_, Range> {
    if let Some((preset, length)) = preset(input) {
        let rest = input.skip(length);
        if rest.is_symbol(0, ":") && !rest.is_double_colon(0) {
            return Err(Failure::diagnosed(
                unexpected(rest, "`]` or `::`")
                    .with_hint("a step follows two colons: `[TODAY::5m]`"),
            ));
        }
        let rest = if rest.is_double_colon(0) {
            rest.skip(1)
        } else {
            rest
        };
        return Ok((rest, Range::Preset(preset)));
    }
    let (rest, from) = if input.is_symbol(0, ":") || input.is_symbol(0, "]") {
        (input, None)
    } else {
        let (rest, point) = time_point(input)?;
        (rest, Some(point))
    };
    let (rest, to) = part(rest, time_point)?;
    Ok((rest, Range::Bounds { from, to }))
}

/// A named range and its number of words.
fn preset(input: Tokens<'_>) -> Option<(Preset, usize)> {
    let first = input.word(0)?.to_ascii_uppercase();
    let second = input.word(1).map(str::to_ascii_uppercase);
    Some(match (first.as_str(), second.as_deref()) {
        ("TODAY", _) => (Preset::Today, 1),
        ("YESTERDAY", _) => (Preset::Yesterday, 1),
        ("THIS", Some("WEEK")) => (Preset::ThisWeek, 2),
        ("LAST", Some("WEEK")) => (Preset::LastWeek, 2),
        ("THIS", Some("MONTH")) => (Preset::ThisMonth, 2),
        ("LAST", Some("MONTH")) => (Preset::LastMonth, 2),
        _ => return None,
    })
}

/// One point in time.
fn time_point(input: Tokens<'_>) -> Parsed<'_, TimePoint> {
    let start = input.span();
    if let (rest, Some(duration)) = opt(signed_duration).parse(input)? {
        return Ok((
            rest,
            TimePoint {
                span: duration.span,
                kind: TimePointKind::Ago(duration),
            },
        ));
    }
    if let (rest, Some(civil)) = opt(civil).parse(input)? {
        return Ok((
            rest,
            TimePoint {
                span: rest.span_from(input),
                kind: TimePointKind::Civil(civil),
            },
        ));
    }
    if input.is_keyword(0, "NOW") && input.is_symbol(1, "(") && input.is_symbol(2, ")") {
        let rest = input.skip(3);
        if rest.is_symbol(0, "-") || rest.is_symbol(0, "+") {
            return Err(Failure::diagnosed(
                unexpected(rest, "`:` or `]`")
                    .with_hint("a duration alone means that long ago: `[1h]`"),
            ));
        }
        return Ok((
            rest,
            TimePoint {
                span: rest.span_from(input),
                kind: TimePointKind::Now,
            },
        ));
    }
    match input.word(0).map(word::classify) {
        Some(Word::Integer(value)) => {
            let epoch = i64::try_from(value).map_err(|_| too_large(start))?;
            Ok((
                input.skip(1),
                TimePoint {
                    span: start,
                    kind: TimePointKind::Epoch(epoch),
                },
            ))
        }
        Some(Word::OutOfRange) => Err(too_large(start)),
        _ => Err(Failure::diagnosed(bad_time_point(input))),
    }
}

/// The error for an epoch that is no 64-bit number.
fn too_large(span: Span) -> Failed {
    Failure::diagnosed(
        Diagnostic::error(Code::InvalidNumber, "this time is too large", span)
            .with_hint("write a Unix time in seconds, milliseconds, microseconds or nanoseconds"),
    )
}

/// The error for something that is no point in time.
fn bad_time_point(input: Tokens<'_>) -> Diagnostic {
    let error = unexpected(input, "a time in the window");
    if error.hint.is_some() {
        return error;
    }
    match input.peek(0) {
        Some(TokenKind::Word(word)) if word::duration_parts(&word.to_lowercase()).is_some() => {
            error.with_hint(format!(
                "units are written in lower case: `{}`; `m` is minutes, `mo` months",
                word.to_lowercase()
            ))
        }
        Some(TokenKind::Quoted(_)) => {
            error.with_hint("times stand without quotes: `[2020-11-11 12:10:30]`")
        }
        _ => error
            .with_hint("write a duration (`1h` is one hour ago), a date, a Unix time or `now()`"),
    }
}

/// A duration with an optional sign; not recognised otherwise.
pub(super) fn signed_duration(input: Tokens<'_>) -> Parsed<'_, Duration> {
    let negative = input.is_symbol(0, "-");
    let at = usize::from(negative);
    let span = if negative {
        input.span().to(input.span_at(1))
    } else {
        input.span()
    };
    match input
        .word(at)
        .and_then(|word| word::duration(word, negative, span))
    {
        Some(duration) => Ok((input.skip(at + 1), duration)),
        None => Err(Failure::elsewhere()),
    }
}

/// `2020-11-11`, or `2020-11-11 12:10:30`, whose seconds may be left out; not recognised otherwise.
fn civil(input: Tokens<'_>) -> Parsed<'_, Civil> {
    let is_date = input.is_symbol(1, "-") && input.is_symbol(3, "-");
    let (Some(year), Some(month), true) = (digits(input, 0), digits(input, 2), is_date) else {
        return Err(Failure::elsewhere());
    };
    let Some(day) = digits(input, 4) else {
        let (rest, span) = (input.skip(4), input.span_at(4));
        return Err(Failure::diagnosed(
            Diagnostic::error(
                Code::ParseError,
                format!("`{}` is no day of a date", rest.text_at(0)),
                span,
            )
            .with_hint(
                "write a date as `2020-11-11` or `2020-11-11 12:10:30`, without `T` and zone",
            ),
        ));
    };
    let (rest, time) = time_of_day(input.skip(5))?;
    let year = i32::try_from(year).map_err(|_| too_large(input.span()))?;
    Ok((
        rest,
        Civil {
            year,
            month,
            day,
            time,
        },
    ))
}

/// `12:10:30` or `12:10`, if a number comes next.
fn time_of_day(input: Tokens<'_>) -> Parsed<'_, Option<(u32, u32, u32)>> {
    let Some(hour) = clock(input, 0) else {
        return Ok((input, None));
    };
    match (input.is_symbol(1, ":"), clock(input, 2)) {
        (true, Some(minute)) => match (input.is_symbol(3, ":"), clock(input, 4)) {
            (true, Some(second)) => Ok((input.skip(5), Some((hour, minute, second)))),
            _ => Ok((input.skip(3), Some((hour, minute, 0)))),
        },
        _ => Err(Failure::diagnosed(
            unexpected(input.skip(1), "the minutes of a time")
                .with_hint("write a time of day as `12:10:30`"),
        )),
    }
}

/// A part of a time of day: one or two digits.
fn clock(input: Tokens<'_>, ahead: usize) -> Option<u32> {
    digits(input, ahead).filter(|_| input.text_at(ahead).len() <= 2)
}

/// The decimal number `ahead` tokens from here, of at most nine digits.
fn digits(input: Tokens<'_>, ahead: usize) -> Option<u32> {
    let word = input.word(ahead)?;
    let decimal = word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then(|| word.parse().ok()).flatten()
}

/// A step: a duration, `auto` or `auto(n)`.
fn step(input: Tokens<'_>) -> Parsed<'_, Step> {
    if input.is_keyword(0, "AUTO") {
        let rest = input.skip(1);
        let (rest, open) = opt(symbol("(")).parse(rest)?;
        let Some(open) = open else {
            return Ok((
                rest,
                Step::Auto {
                    points: None,
                    span: input.span(),
                },
            ));
        };
        let Some(points) = rest.word(0).and_then(number_of) else {
            return Err(Failure::diagnosed(unexpected(
                rest,
                "the number of points that `auto` aims at",
            )));
        };
        let (rest, _) = closing(rest.skip(1), ")", open, "`auto`")?;
        return Ok((
            rest,
            Step::Auto {
                points: Some(points),
                span: rest.span_from(input),
            },
        ));
    }
    let (rest, duration) = expect("a step such as `5m` or `auto`", signed_duration)(input)
        .map_err(|failed| match (input.word(0).and_then(number_of), failed) {
            (Some(number), nom::Err::Failure(Failure::Diagnosed(error))) => {
                Failure::diagnosed(error.with_hint(format!("a step needs a unit: `{number}s`")))
            }
            (_, failed) => failed,
        })?;
    Ok((rest, Step::Every(duration)))
}

/// `[rollup]` without the colons before it, if the brackets hold one.
fn rollup_alone(input: Tokens<'_>) -> Parsed<'_, Option<Rollup>> {
    let is_name = input.word(0).is_some_and(is_function) && preset(input).is_none();
    let is_now = input.is_keyword(0, "NOW") && input.is_symbol(1, "(");
    if is_name && !is_now && (input.is_symbol(1, "]") || input.is_symbol(1, "(")) {
        return rollup(input).map(|(rest, rollup)| (rest, Some(rollup)));
    }
    Ok((input, None))
}

/// Whether a word can name a function here; one that starts with a digit is a mistyped duration.
fn is_function(word: &str) -> bool {
    word::classify(word) == Word::Name
        && !word.starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

/// `name` or `name(arguments)`.
fn rollup(input: Tokens<'_>) -> Parsed<'_, Rollup> {
    let Some(word) = input.word(0).filter(|word| is_function(word)) else {
        return Err(Failure::diagnosed(unexpected(
            input,
            "the name of a rollup function",
        )));
    };
    let name = Ident {
        text: word.to_owned(),
        span: input.span(),
    };
    let mut rest = input.skip(1);
    let mut args = Vec::new();
    if rest.is_symbol(0, "(") {
        let shape = List {
            close: ")",
            what: "the arguments of the rollup",
            trailing_comma: false,
        };
        (rest, args) = list(rest, &shape, value)?;
    }
    Ok((rest, Rollup { name, args }))
}

/// An argument of a rollup.
fn value(input: Tokens<'_>) -> Parsed<'_, Expr> {
    expression(input, Context::Value)
}

/// The closing bracket.
fn end(input: Tokens<'_>, open: Span) -> Parsed<'_, Span> {
    if input.is_symbol(0, ",") {
        return Err(Failure::diagnosed(unexpected(input, "`]`").with_hint(
            "an offset inside the window is no longer part of DQL, use `SHIFT`",
        )));
    }
    closing(input, "]", open, "the window `[from:to:step:rollup]`")
}
