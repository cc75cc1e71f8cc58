//! Windows, points in time and durations.

use std::fmt;

use super::Printer;
use crate::ast::{
    Duration, DurationUnit, Preset, Range, Rollup, Step, TimePoint, TimePointKind, Window,
};

impl Printer<'_> {
    /// `[from:to:step:rollup]` without the colons that nothing follows.
    pub(super) fn window(&mut self, window: &Window) -> fmt::Result {
        self.text("[")?;
        let mut colons = 0;
        match &window.range {
            Range::Preset(preset) => self.text(preset_name(*preset))?,
            Range::Bounds { from, to } => {
                if let Some(from) = from {
                    self.time_point(from)?;
                }
                if let Some(to) = to {
                    self.part(&mut colons, 1)?;
                    self.time_point(to)?;
                }
            }
        }
        if let Some(step) = &window.step {
            self.part(&mut colons, 2)?;
            self.step(step)?;
        }
        if let Some(rollup) = &window.rollup {
            self.part(&mut colons, 3)?;
            self.rollup(rollup)?;
        }
        self.text("]")
    }

    /// The colons that are missing before part number `wanted`.
    fn part(&mut self, colons: &mut usize, wanted: usize) -> fmt::Result {
        while *colons < wanted {
            self.text(":")?;
            *colons += 1;
        }
        Ok(())
    }

    /// A point in time.
    pub(super) fn time_point(&mut self, point: &TimePoint) -> fmt::Result {
        match &point.kind {
            TimePointKind::Ago(duration) => self.duration(duration),
            TimePointKind::Epoch(epoch) => write!(self.out, "{epoch}"),
            TimePointKind::Now => self.text("now()"),
            TimePointKind::Civil(civil) => {
                write!(
                    self.out,
                    "{:04}-{:02}-{:02}",
                    civil.year, civil.month, civil.day
                )?;
                match civil.time {
                    Some((hour, minute, second)) => {
                        write!(self.out, " {hour:02}:{minute:02}:{second:02}")
                    }
                    None => Ok(()),
                }
            }
        }
    }

    /// The width of a point.
    pub(super) fn step(&mut self, step: &Step) -> fmt::Result {
        match step {
            Step::Every(duration) => self.duration(duration),
            Step::Auto {
                points: Some(points),
                ..
            } => write!(self.out, "auto({points})"),
            Step::Auto { points: None, .. } => self.text("auto"),
        }
    }

    /// `name` or `name(arguments)`.
    fn rollup(&mut self, rollup: &Rollup) -> fmt::Result {
        self.text(&rollup.name.text.to_ascii_lowercase())?;
        if rollup.args.is_empty() {
            return Ok(());
        }
        self.text("(")?;
        self.all(&rollup.args, ", ", Self::expr)?;
        self.text(")")
    }

    /// `1h30m`.
    pub(super) fn duration(&mut self, duration: &Duration) -> fmt::Result {
        if duration.negative {
            self.text("-")?;
        }
        for part in &duration.parts {
            write!(self.out, "{}{}", part.amount, unit_name(part.unit))?;
        }
        Ok(())
    }
}

/// A named range as it is written.
fn preset_name(preset: Preset) -> &'static str {
    match preset {
        Preset::Today => "TODAY",
        Preset::Yesterday => "YESTERDAY",
        Preset::ThisWeek => "THIS WEEK",
        Preset::LastWeek => "LAST WEEK",
        Preset::ThisMonth => "THIS MONTH",
        Preset::LastMonth => "LAST MONTH",
    }
}

/// A unit as it is written.
fn unit_name(unit: DurationUnit) -> &'static str {
    match unit {
        DurationUnit::Year => "y",
        DurationUnit::Month => "mo",
        DurationUnit::Week => "w",
        DurationUnit::Day => "d",
        DurationUnit::Hour => "h",
        DurationUnit::Minute => "m",
        DurationUnit::Second => "s",
        DurationUnit::Millisecond => "ms",
        DurationUnit::Microsecond => "us",
        DurationUnit::Nanosecond => "ns",
        DurationUnit::Step => "i",
        DurationUnit::StepSecond => "is",
        DurationUnit::StepMillisecond => "ims",
    }
}
