//! The characters of words, and the meaning of a word in value position: a number, a duration or a name.

use crate::ast::{Duration, DurationPart, DurationUnit};
use crate::span::Span;

/// Whether `c` may be in an unquoted name: letters and digits of any script with their marks, `_`, `.`,
/// `@`, and pictographs (Guance documentation, DQL definition, identifiers).
pub(crate) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '_' | '.' | '@')
        || matches!(c,
            '\u{0300}'..='\u{036f}'
            | '\u{200c}'..='\u{200d}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{2600}'..='\u{27bf}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{1f000}'..='\u{1faff}'
            | '\u{e0020}'..='\u{e007f}')
}

/// Whether `c` has no width on the screen.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{00ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether `word` can name something: `...` cannot.
pub(crate) fn is_name(word: &str) -> bool {
    word.chars().any(|c| !matches!(c, '.' | '@'))
}

/// Whether `run` is the part of a number before a signed exponent: `1e` or `2.5E`.
pub(crate) fn is_mantissa(run: &str) -> bool {
    run.strip_suffix(['e', 'E']).is_some_and(is_decimal)
}

/// Whether `text` is digits, with at most one point among them.
fn is_decimal(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let points = text.bytes().filter(|byte| *byte == b'.').count();
    digits > 0 && points <= 1 && digits + points == text.len()
}

/// The meaning of a word in value position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Word {
    /// A whole number without sign.
    Integer(u64),
    /// A finite floating-point number without sign.
    Float(f64),
    /// A number that no literal can hold.
    OutOfRange,
    /// A duration without sign.
    Duration(Vec<DurationPart>),
    /// Anything else.
    Name,
}

/// Reads `word` as a number or duration where it is one.
pub(crate) fn classify(word: &str) -> Word {
    if !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Word::Name;
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().map_or(Word::OutOfRange, Word::Integer);
    }
    if let Some(digits) = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        return match u64::from_str_radix(digits, 16) {
            Ok(value) if !digits.starts_with('+') => Word::Integer(value),
            _ if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Word::OutOfRange
            }
            _ => Word::Name,
        };
    }
    if is_float(word) {
        return match word.parse::<f64>() {
            Ok(value) if value.is_finite() => Word::Float(value),
            _ => Word::OutOfRange,
        };
    }
    duration_parts(word).map_or(Word::Name, Word::Duration)
}

/// Whether `word` has the shape of a floating-point literal.
fn is_float(word: &str) -> bool {
    match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            is_decimal(mantissa)
                && !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => is_decimal(word),
    }
}

/// The parts of `1h30m`; `None` when `word` is no duration.
pub(crate) fn duration_parts(word: &str) -> Option<Vec<DurationPart>> {
    let mut parts = Vec::new();
    let mut rest = word;
    while !rest.is_empty() {
        let (after, number) = super::split_while(rest, |c| c.is_ascii_digit() || c == '.');
        let (after, unit) = super::split_while(after, char::is_alphabetic);
        if !is_decimal(number) {
            return None;
        }
        let amount = number
            .parse::<f64>()
            .ok()
            .filter(|amount| amount.is_finite())?;
        parts.push(DurationPart {
            amount,
            unit: unit_of(unit)?,
        });
        rest = after;
    }
    (!parts.is_empty()).then_some(parts)
}

/// The duration that `word` spells.
pub(crate) fn duration(word: &str, negative: bool, span: Span) -> Option<Duration> {
    duration_parts(word).map(|parts| Duration {
        negative,
        parts,
        span,
    })
}

/// The unit with this name (Guance documentation, DQL definition, durations; `mo` and the units of the
/// step belong to newer engines).
fn unit_of(name: &str) -> Option<DurationUnit> {
    Some(match name {
        "y" => DurationUnit::Year,
        "mo" => DurationUnit::Month,
        "w" => DurationUnit::Week,
        "d" => DurationUnit::Day,
        "h" => DurationUnit::Hour,
        "m" => DurationUnit::Minute,
        "s" => DurationUnit::Second,
        "ms" => DurationUnit::Millisecond,
        "us" | "µs" => DurationUnit::Microsecond,
        "ns" => DurationUnit::Nanosecond,
        "i" => DurationUnit::Step,
        "is" => DurationUnit::StepSecond,
        "ims" => DurationUnit::StepMillisecond,
        _ => return None,
    })
}
