//! The three SQL dialects of the peers, where they differ.

use crate::literals::Window;

/// Whose SQL a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    /// DuckDB.
    DuckDb,
    /// ClickHouse.
    ClickHouse,
    /// DataFusion.
    DataFusion,
}

impl Dialect {
    /// The condition for a window, in the largest workspace or in all of them. DataFusion is told the
    /// partitions too, since nothing else would keep it from looking into every file.
    pub(crate) fn inside(self, window: Window, workspace: Option<&str>) -> String {
        let Window { from_ms, to_ms } = window;
        let mut condition = format!(r#""date" >= {from_ms} AND "date" < {to_ms}"#);
        if let Some(workspace) = workspace {
            condition = format!("df_workspace = '{workspace}' AND {condition}");
        }
        if self == Self::DataFusion {
            let (first, last) = window.days();
            condition = format!("{condition} AND day >= '{first}' AND day <= '{last}'");
            if let Some(workspace) = workspace {
                condition = format!("{condition} AND workspace = '{workspace}'");
            }
        }
        condition
    }

    /// A condition: the whole of a text fits a regular expression.
    pub(crate) fn fits(self, column: &str, pattern: &str) -> String {
        match self {
            Self::DuckDb => format!("regexp_full_match({column}, '{pattern}')"),
            Self::ClickHouse => format!("match({column}, '^(?:{pattern})$')"),
            Self::DataFusion => format!("regexp_like({column}, '^(?:{pattern})$')"),
        }
    }

    /// A condition: a text has a word, whatever its case.
    pub(crate) fn has_word(self, column: &str, word: &str) -> String {
        match self {
            Self::DuckDb | Self::DataFusion => format!("{column} ILIKE '%{word}%'"),
            Self::ClickHouse => format!("hasTokenCaseInsensitive({column}, '{word}')"),
        }
    }

    /// The number of different values of a text.
    pub(crate) fn distinct(self, column: &str) -> String {
        match self {
            // What is missing is an empty text there.
            Self::ClickHouse => format!("uniqExactIf({column}, {column} != '')"),
            Self::DuckDb | Self::DataFusion => format!("count(DISTINCT {column})"),
        }
    }

    /// The 95th percentile of the numbers in texts, in the way that is fastest there. All are exact; by
    /// DataFusion's rule it may lie between two values.
    pub(crate) fn p95(self, column: &str) -> String {
        match self {
            Self::DuckDb => format!("quantile_disc(TRY_CAST({column} AS DOUBLE), 0.95)"),
            Self::ClickHouse => format!("quantileExact(0.95)(toFloat64OrNull({column}))"),
            Self::DataFusion => {
                format!("percentile_cont(0.95) WITHIN GROUP (ORDER BY CAST({column} AS DOUBLE))")
            }
        }
    }

    /// The value of a column in the newest event.
    pub(crate) fn newest(self, column: &str) -> String {
        match self {
            Self::DuckDb => format!(r#"arg_max({column}, "date")"#),
            Self::ClickHouse => format!(r#"argMax({column}, "date")"#),
            Self::DataFusion => format!(r#"last_value({column} ORDER BY "date")"#),
        }
    }
}
