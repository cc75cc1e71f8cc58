//! Windows, points in time and durations.

use super::{Expr, Ident};
use crate::span::Span;

/// The time expression `[from:to:step:rollup]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The range of time.
    pub range: Range,
    /// The width of a point.
    pub step: Option<Step>,
    /// The function applied to each series first.
    pub rollup: Option<Rollup>,
    /// The brackets and their content.
    pub span: Span,
}

/// A range of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    /// `from:to`, each optional.
    Bounds {
        /// The start.
        from: Option<TimePoint>,
        /// The end.
        to: Option<TimePoint>,
    },
    /// A named range such as `TODAY`.
    Preset(Preset),
}

/// A point in time with its span.
#[derive(Debug, Clone, PartialEq)]
pub struct TimePoint {
    /// Its kind.
    pub kind: TimePointKind,
    /// Its span.
    pub span: Span,
}

/// The forms of a point in time.
#[derive(Debug, Clone, PartialEq)]
pub enum TimePointKind {
    /// A duration: that long ago.
    Ago(Duration),
    /// Unix time in s, ms, µs or ns; the unit follows from the magnitude.
    Epoch(i64),
    /// `2020-11-11` or `2020-11-11 12:10:30`, in the zone of the request.
    Civil(Civil),
    /// `now()`.
    Now,
}

/// A date with a time of day, as written; it is checked when it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// The year.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// The time of day (hour, minute, second), if written.
    pub time: Option<(u32, u32, u32)>,
}

/// A named range of time, in the zone of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// `TODAY`
    Today,
    /// `YESTERDAY`
    Yesterday,
    /// `THIS WEEK`
    ThisWeek,
    /// `LAST WEEK`
    LastWeek,
    /// `THIS MONTH`
    ThisMonth,
    /// `LAST MONTH`
    LastMonth,
}

/// The width of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A duration.
    Every(Duration),
    /// `auto` or `auto(n)`: chosen for about `n` points.
    Auto {
        /// The wanted number of points.
        points: Option<u64>,
        /// Its span.
        span: Span,
    },
}

/// The fourth part of a window.
#[derive(Debug, Clone)]
pub struct Rollup {
    /// The function name as written; names ignore case, also in comparisons of trees.
    pub name: Ident,
    /// Its arguments.
    pub args: Vec<Expr>,
}

impl PartialEq for Rollup {
    fn eq(&self, other: &Self) -> bool {
        self.name.text.eq_ignore_ascii_case(&other.name.text) && self.args == other.args
    }
}

/// A length of time, in the parts it was written in: `1h30m`.
#[derive(Debug, Clone, PartialEq)]
pub struct Duration {
    /// A leading `-`.
    pub negative: bool,
    /// The parts; never empty.
    pub parts: Vec<DurationPart>,
    /// Its span.
    pub span: Span,
}

/// One part of a duration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DurationPart {
    /// The number; not negative.
    pub amount: f64,
    /// Its unit.
    pub unit: DurationUnit,
}

impl Duration {
    /// The length in milliseconds; parts of a millisecond are cut off.
    ///
    /// # Errors
    /// The first unit without a fixed length: a month, or one relative to the step of a window.
    pub fn fixed_ms(&self) -> Result<i64, DurationUnit> {
        let mut total_ms = 0.0;
        for part in &self.parts {
            total_ms += part.amount * part.unit.fixed_ms().ok_or(part.unit)?;
        }
        let total_ms = total_ms as i64;
        Ok(if self.negative { -total_ms } else { total_ms })
    }
}

/// A unit of duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationUnit {
    /// `y`: 365 days.
    Year,
    /// `mo`: a calendar month.
    Month,
    /// `w`
    Week,
    /// `d`
    Day,
    /// `h`
    Hour,
    /// `m`
    Minute,
    /// `s`
    Second,
    /// `ms`
    Millisecond,
    /// `us`
    Microsecond,
    /// `ns`
    Nanosecond,
    /// `i`: the window's step.
    Step,
    /// `is`: the window's step in seconds.
    StepSecond,
    /// `ims`: the window's step in milliseconds.
    StepMillisecond,
}

impl DurationUnit {
    /// The length of one unit in milliseconds; `None` when it is not fixed.
    fn fixed_ms(self) -> Option<f64> {
        const SECOND_MS: f64 = 1_000.0;
        const DAY_MS: f64 = 24.0 * 3_600.0 * SECOND_MS;
        match self {
            Self::Year => Some(365.0 * DAY_MS),
            Self::Week => Some(7.0 * DAY_MS),
            Self::Day => Some(DAY_MS),
            Self::Hour => Some(3_600.0 * SECOND_MS),
            Self::Minute => Some(60.0 * SECOND_MS),
            Self::Second => Some(SECOND_MS),
            Self::Millisecond => Some(1.0),
            Self::Microsecond => Some(1e-3),
            Self::Nanosecond => Some(1e-6),
            Self::Month | Self::Step | Self::StepSecond | Self::StepMillisecond => None,
        }
    }
}
