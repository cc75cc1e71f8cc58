//! Answers.

use std::collections::BTreeSet;
use std::time::Duration;

use events::TimeRange;
use serde_json::Value;

use super::cursor::{cursor_from_message, cursor_to_message};
use super::diagnostic::{diagnostic_from_message, diagnostics_to_messages};
use super::{MessageError, value};
use crate::{Answer, Explanation, QueryParse, Series, Summary, TotalHits, proto};

/// An answer as a message; `query` is the text it answers.
pub fn answer_to_message(query: &str, answer: Answer) -> proto::Answer {
    proto::Answer {
        series: answer.series.into_iter().map(series_to_message).collect(),
        summary: Some(summary_to_message(query, &answer.summary)),
    }
}

/// The answer of a message.
pub fn answer_from_message(message: proto::Answer) -> Result<Answer, MessageError> {
    let series: Result<_, _> = message
        .series
        .into_iter()
        .map(series_from_message)
        .collect();
    let summary = message.summary.ok_or(MessageError::Missing("summary"))?;
    Ok(Answer::new(series?, summary_from_message(summary)?))
}

fn series_to_message(series: Series) -> proto::Series {
    let tag = |(key, tag)| proto::Tag {
        key,
        value: Some(value::to_message(tag)),
    };
    let row = |row: Vec<Value>| proto::Row {
        values: row.into_iter().map(value::to_message).collect(),
    };
    proto::Series {
        name: series.name,
        tags: series.tags.into_iter().map(tag).collect(),
        columns: series.columns,
        rows: series.values.into_iter().map(row).collect(),
    }
}

fn series_from_message(message: proto::Series) -> Result<Series, MessageError> {
    let tag = |tag: proto::Tag| {
        let value = tag.value.ok_or(MessageError::Missing("value of a tag"))?;
        Ok((tag.key, value::from_message(value)?))
    };
    let row = |row: proto::Row| row.values.into_iter().map(value::from_message).collect();
    let tags: Result<_, MessageError> = message.tags.into_iter().map(tag).collect();
    let values: Result<_, MessageError> = message.rows.into_iter().map(row).collect();
    Ok(Series {
        name: message.name,
        tags: tags?,
        columns: message.columns,
        values: values?,
    })
}

/// A summary as a message; `query` is the text it is about.
pub fn summary_to_message(query: &str, summary: &Summary) -> proto::Summary {
    proto::Summary {
        cost_ns: u64::try_from(summary.cost.as_nanos()).unwrap_or(u64::MAX),
        total_hits: Some(proto::TotalHits {
            value: summary.total_hits.value,
            exact: summary.total_hits.exact,
        }),
        group_by: summary.group_by.clone(),
        window: Some(proto::TimeRange {
            from_ms: summary.window.from_ms,
            to_ms: summary.window.to_ms,
        }),
        step_ms: summary.step_ms,
        rows: summary.rows,
        search_after: summary.search_after.clone().map(cursor_to_message),
        has_more: summary.has_more,
        next_cursor_time: summary.next_cursor_time,
        watermark_ms: summary.watermark_ms,
        warnings: diagnostics_to_messages(query, &summary.warnings),
        raw_query: summary.raw_query.clone(),
        query_parse: summary
            .query_parse
            .clone()
            .map(|parse| parse_to_message(*parse)),
    }
}

/// The summary of a message.
pub fn summary_from_message(message: proto::Summary) -> Result<Summary, MessageError> {
    let total_hits = message
        .total_hits
        .ok_or(MessageError::Missing("total_hits"))?;
    let window = message.window.ok_or(MessageError::Missing("window"))?;
    let window = TimeRange::new(window.from_ms, window.to_ms)
        .map_err(|_| MessageError::Missing("window that ends after it begins"))?;
    Ok(Summary {
        cost: Duration::from_nanos(message.cost_ns),
        total_hits: TotalHits {
            value: total_hits.value,
            exact: total_hits.exact,
        },
        group_by: message.group_by,
        window,
        step_ms: message.step_ms,
        rows: message.rows,
        search_after: message.search_after.map(cursor_from_message).transpose()?,
        has_more: message.has_more,
        next_cursor_time: message.next_cursor_time,
        watermark_ms: message.watermark_ms,
        warnings: message
            .warnings
            .into_iter()
            .map(diagnostic_from_message)
            .collect(),
        raw_query: message.raw_query,
        query_parse: message
            .query_parse
            .map(|parse| Box::new(parse_from_message(parse))),
    })
}

fn parse_to_message(parse: QueryParse) -> proto::QueryParse {
    let names = |(name, names): (String, BTreeSet<String>)| {
        let names = names.into_iter().collect();
        (name, proto::Names { names })
    };
    proto::QueryParse {
        namespace: parse.namespace,
        sources: parse.sources.into_iter().collect(),
        fields: parse.fields.into_iter().map(names).collect(),
        funcs: parse.funcs.into_iter().map(names).collect(),
    }
}

fn parse_from_message(message: proto::QueryParse) -> QueryParse {
    let names = |(name, names): (String, proto::Names)| (name, names.names.into_iter().collect());
    QueryParse {
        namespace: message.namespace,
        sources: message.sources.into_iter().collect(),
        fields: message.fields.into_iter().map(names).collect(),
        funcs: message.funcs.into_iter().map(names).collect(),
    }
}

/// An explanation as a message; `query` is the text that is explained.
pub fn explanation_to_message(query: &str, explanation: Explanation) -> proto::ExplainResponse {
    proto::ExplainResponse {
        warnings: diagnostics_to_messages(query, &explanation.warnings),
        text: explanation.text,
        files: explanation.files,
        bytes: explanation.bytes,
    }
}

/// The explanation of a message.
pub fn explanation_from_message(message: proto::ExplainResponse) -> Explanation {
    Explanation {
        text: message.text,
        files: message.files,
        bytes: message.bytes,
        warnings: message
            .warnings
            .into_iter()
            .map(diagnostic_from_message)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use dql::{Diagnostic, Severity};
    use serde_json::json;

    use super::*;

    fn answer() -> Answer {
        let series = Series {
            name: Some("audit".into()),
            tags: vec![
                ("df_user_name".into(), json!("李雷")),
                ("city".into(), json!(null)),
            ],
            columns: vec!["time".into(), "count(*)".into()],
            values: vec![vec![json!(1), json!(2)], vec![json!(null), json!(0.5)]],
        };
        let warning = Diagnostic::new(
            Severity::Warning,
            dql::Code::AssumedWindow,
            "the last day",
            None,
        );
        let summary = Summary {
            cost: Duration::from_micros(24_558),
            total_hits: TotalHits {
                value: 10,
                exact: false,
            },
            group_by: vec!["df_user_name".into(), "city".into()],
            step_ms: Some(60_000),
            rows: 2,
            watermark_ms: Some(3),
            warnings: vec![warning],
            ..Summary::new(TimeRange::new(1, 2).unwrap())
        };
        Answer::new(vec![series], summary)
    }

    #[test]
    fn an_answer_comes_back() {
        let answer = answer();
        let back =
            answer_from_message(answer_to_message("TAE::audit:(*)", answer.clone())).unwrap();
        assert_eq!(back.series, answer.series);
        let (back, summary) = (back.summary, answer.summary);
        assert_eq!(back.cost, summary.cost);
        assert_eq!(back.watermark_ms, summary.watermark_ms);
        assert_eq!(back.total_hits, summary.total_hits);
        assert_eq!(back.group_by, summary.group_by);
        assert_eq!(back.window, summary.window);
        assert_eq!(back.step_ms, summary.step_ms);
        assert_eq!(back.rows, summary.rows);
        assert_eq!(back.warnings, summary.warnings);
    }

    #[test]
    fn an_answer_without_a_summary_is_refused() {
        let message = proto::Answer {
            summary: None,
            ..answer_to_message("", answer())
        };
        assert!(matches!(
            answer_from_message(message),
            Err(MessageError::Missing("summary"))
        ));
    }
}
