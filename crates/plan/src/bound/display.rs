//! Bound queries as text.

use std::fmt;

use super::{BoundQuery, BoundSource, Computed, SeriesFunction, Shape, sort_exprs};

/// A line of the text of a bound query.
fn line(formatter: &mut fmt::Formatter<'_>, name: &str, text: String) -> fmt::Result {
    writeln!(formatter, "{name:<8} {text}")
}

impl BoundQuery {
    fn write_order(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in sort_exprs(&self.order) {
            line(formatter, "order", key.to_string())?;
        }
        if let Some(order) = &self.series_order {
            let direction = if order.ascending {
                "ascending"
            } else {
                "descending"
            };
            line(
                formatter,
                "sorder",
                format!("{:?}({}) {direction}", order.reducer, order.expr),
            )?;
        }
        line(formatter, "limits", format!("{:?}", self.limits))
    }
}

impl fmt::Display for BoundQuery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            BoundSource::Events => line(formatter, "source", "events".to_owned())?,
            BoundSource::Query(inner) => {
                line(formatter, "source", "query".to_owned())?;
                for inner_line in inner.to_string().lines() {
                    writeln!(formatter, "    {inner_line}")?;
                }
            }
        }
        line(
            formatter,
            "window",
            format!("[{}, {}) ms", self.window.from_ms, self.window.to_ms),
        )?;
        for (shift_ms, window) in self.shifted_windows() {
            let text = format!("{shift_ms} ms: [{}, {}) ms", window.from_ms, window.to_ms);
            line(formatter, "shift", text)?;
        }
        if let Some(step_ms) = self.step_ms {
            line(formatter, "step", format!("{step_ms} ms"))?;
        }
        if let Some(filter) = &self.filter {
            line(formatter, "where", filter.to_string())?;
        }
        if let Some(behind) = &self.behind {
            line(formatter, "behind", behind.to_string())?;
        }
        for (index, membership) in self.memberships.iter().enumerate() {
            line(
                formatter,
                &format!("in{index}"),
                membership.value.to_string(),
            )?;
            for inner_line in membership.members.to_string().lines() {
                writeln!(formatter, "    {inner_line}")?;
            }
        }
        for learnt in &self.learning {
            line(formatter, "learn", learnt.to_string())?;
        }
        for key in &self.keys {
            line(
                formatter,
                "by",
                format!("{} = {} ({:?})", key.name, key.expr, key.value_type),
            )?;
        }
        line(formatter, "shape", self.shape.to_string())?;
        if let Some(having) = &self.having {
            line(formatter, "having", having.to_string())?;
        }
        for (index, computed) in self.computed.iter().enumerate() {
            line(formatter, &format!("c{index}"), computed.to_string())?;
        }
        line(formatter, "time", self.time.to_string())?;
        for column in &self.columns {
            let text = format!(
                "{} = {} ({:?})",
                column.name, column.expr, column.value_type
            );
            line(formatter, "column", text)?;
        }
        self.write_order(formatter)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows => formatter.write_str("every row"),
            Self::Newest => formatter.write_str("the newest row of a group"),
            Self::Aggregate { aggregates } => {
                let texts: Vec<String> = aggregates.iter().map(ToString::to_string).collect();
                write!(formatter, "aggregate {}", texts.join(", "))
            }
            Self::Distinct { value, .. } => write!(formatter, "one row a value of {value}"),
            Self::Histogram { buckets, .. } => write!(
                formatter,
                "one row for every {} in [{}, {})",
                buckets.width, buckets.start, buckets.end
            ),
            Self::Extreme { count, .. } => write!(formatter, "the first {count} rows of a group"),
        }
    }
}

impl fmt::Display for Computed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fill(fill) => write!(formatter, "{} filled by {:?}", fill.value, fill.mode),
            Self::Point(point) => write!(formatter, "{:?} of {}", point.function, point.value),
        }
    }
}

impl fmt::Display for SeriesFunction {
    /// What it has besides its name.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(values) => {
                let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
                formatter.write_str(&texts.join(", "))
            }
            Self::Points { function, .. } => write!(formatter, "{function:?}"),
            Self::Window {
                width_ms,
                time_zone,
            } => write!(formatter, "{width_ms} ms in {time_zone}"),
            Self::Summary { summary, .. } => write!(formatter, "{summary:?}"),
            Self::CountFilter(condition) => write!(formatter, "{condition}"),
            Self::SeriesSum { keys, .. } => write!(formatter, "by keys {keys:?}"),
            Self::Extreme { count, .. } => write!(formatter, "{count} series"),
            Self::Outliers { reach } => write!(formatter, "within {reach}"),
            Self::Fill(mode) => write!(formatter, "{mode:?}"),
        }
    }
}
