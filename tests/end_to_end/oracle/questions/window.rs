//! Random windows.

use chrono::{DateTime, Datelike, Days};
use dql::ast::{Civil, Duration, DurationUnit, Preset, Range, TimePoint, TimePointKind, Window};

use super::super::tree::duration;
use super::Questioner;

impl Questioner<'_> {
    /// A window, or none.
    pub(super) fn window(&mut self) -> Option<Window> {
        match self.random.below(6) {
            0 => None,
            _ => Some(self.ranged_window()),
        }
    }

    /// A window that names a range.
    pub(super) fn ranged_window(&mut self) -> Window {
        let hours = 1 + self.random.below(60);
        let hour = i64::try_from(hours).unwrap();
        let hours_ago = |hours: i64| ago(u32::try_from(hours).unwrap(), DurationUnit::Hour);
        let (from, to) = match self.random.below(12) {
            0 => (hours_ago(hour + 12), hours_ago(hour)),
            1 => (self.epoch(hour + 24), self.epoch(hour)),
            2 => (self.epoch(hour), Some(point(TimePointKind::Now))),
            3 => {
                let presets = [
                    Preset::Today,
                    Preset::Yesterday,
                    Preset::ThisWeek,
                    Preset::LastWeek,
                    Preset::ThisMonth,
                    Preset::LastMonth,
                ];
                let preset = self.random.choose(&presets);
                return window(Range::Preset(preset));
            }
            4 => (ago(1, DurationUnit::Week), None),
            5 => (ago(1, DurationUnit::Month), hours_ago(hour)),
            6 => (hours_ago(hour), self.ahead()),
            7 | 8 => self.civil_range(),
            _ => (ago(6, DurationUnit::Day), None),
        };
        window(Range::Bounds { from, to })
    }

    /// A whole number of hours before now as Unix time in one of its units.
    fn epoch(&mut self, hours: i64) -> Option<TimePoint> {
        let moment = self.now_ms - 3_600_000 * hours;
        let unit = self.random.below(8);
        let number = match unit {
            0 => moment / 1000,
            1 => moment * 1000,
            2 => moment * 1_000_000,
            _ => moment,
        };
        Some(point(TimePointKind::Epoch(number)))
    }

    /// A moment after now.
    fn ahead(&mut self) -> Option<TimePoint> {
        let ahead = duration(
            1 + u32::try_from(self.random.below(3)).unwrap(),
            DurationUnit::Hour,
        );
        Some(point(TimePointKind::Ago(Duration {
            negative: true,
            ..ahead
        })))
    }

    /// A window between dates and times on the clock of the question's zone, which may skip or repeat them.
    fn civil_range(&mut self) -> (Option<TimePoint>, Option<TimePoint>) {
        let days = 2 + self.random.below(4);
        let from = self.civil(days);
        let to = match self.random.percent(40) {
            true => None,
            false => {
                let later = self.random.below(days - 1);
                Some(self.civil(later))
            }
        };
        (Some(from), to)
    }

    fn civil(&mut self, days: usize) -> TimePoint {
        let now = DateTime::from_timestamp_millis(self.now_ms).unwrap();
        let day = now.date_naive() - Days::new(u64::try_from(days).unwrap());
        let times = [
            None,
            None,
            Some((0, 0, 0)),
            Some((0, 15, 0)),
            Some((1, 45, 0)),
            Some((2, 30, 0)),
            Some((12, 0, 5)),
        ];
        point(TimePointKind::Civil(Civil {
            year: day.year(),
            month: day.month(),
            day: day.day(),
            time: self.random.choose(&times),
        }))
    }
}

fn point(kind: TimePointKind) -> TimePoint {
    TimePoint {
        kind,
        span: dql::Span::default(),
    }
}

fn ago(amount: u32, unit: DurationUnit) -> Option<TimePoint> {
    Some(point(TimePointKind::Ago(duration(amount, unit))))
}

fn window(range: Range) -> Window {
    Window {
        range,
        step: None,
        rollup: None,
        span: dql::Span::default(),
    }
}
