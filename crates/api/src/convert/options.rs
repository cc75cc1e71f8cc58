//! The options of a query that DQL clients know from the raw query API.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::request::RequestError;
use crate::{ClauseOptions, Density, OrderOption, QueryOptions, StepOption, proto};

/// The options of a message. Options that are in other parts of the message have their defaults.
///
/// # Errors
/// An option that is set and has no meaning here is refused by name.
pub(super) fn options_from_message(
    message: &proto::QueryRequest,
) -> Result<QueryOptions, RequestError> {
    refuse_unsupported(message)?;
    let order_by = message.order_by.iter().map(order_from_message);
    let sorder_by = message.sorder_by.as_ref().map(order_from_message);
    let clauses = ClauseOptions {
        conditions: Some(message.conditions.clone()).filter(|text| !text.is_empty()),
        order_by: order_by.collect::<Result<_, _>>()?,
        sorder_by: sorder_by.transpose()?,
        limit: message.limit,
        offset: message.offset,
        slimit: message.slimit,
        soffset: message.soffset,
        step: step_from_message(message)?,
        max_points: NonZeroU32::new(message.max_point),
    };
    let timeout_ms = duration_ms("search_timeout", &message.search_timeout)?;
    Ok(QueryOptions {
        clauses,
        longest_window_ms: duration_ms("max_duration", &message.max_duration)?,
        every_group: message.disable_slimit,
        single_field: message.disable_multiple_field,
        timeout: timeout_ms.map(|length_ms| Duration::from_millis(length_ms.unsigned_abs())),
        echo_query: message.echo_explain,
        describe_query: !message.disable_query_parse,
        ..QueryOptions::default()
    })
}

/// The options as the part of a message that holds them.
pub(super) fn options_to_message(options: &QueryOptions) -> proto::QueryRequest {
    let clauses = &options.clauses;
    let (interval_ms, density) = match clauses.step {
        Some(StepOption::Every(width_ms)) => (width_ms.get(), proto::Density::Unspecified),
        Some(StepOption::Density(density)) => (0, density_to_message(density)),
        None => (0, proto::Density::Unspecified),
    };
    let duration = |length_ms: i64| format!("{length_ms}ms");
    let timeout_ms = options
        .timeout
        .map(|timeout| i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
    proto::QueryRequest {
        conditions: clauses.conditions.clone().unwrap_or_default(),
        order_by: clauses.order_by.iter().map(order_to_message).collect(),
        sorder_by: clauses.sorder_by.as_ref().map(order_to_message),
        limit: clauses.limit,
        offset: clauses.offset,
        slimit: clauses.slimit,
        soffset: clauses.soffset,
        max_point: clauses.max_points.map_or(0, NonZeroU32::get),
        interval_ms,
        density: density.into(),
        max_duration: options.longest_window_ms.map(duration).unwrap_or_default(),
        disable_slimit: options.every_group,
        disable_multiple_field: options.single_field,
        disable_query_parse: !options.describe_query,
        echo_explain: options.echo_query,
        search_timeout: timeout_ms.map(duration).unwrap_or_default(),
        ..proto::QueryRequest::default()
    }
}

/// Refuses the options that have no meaning here. Every answer satisfies `align_time`, `disable_sampling` and
/// `mask_visible`.
fn refuse_unsupported(message: &proto::QueryRequest) -> Result<(), RequestError> {
    const ASYNCHRONOUS: &str =
        "a call lasts as long as its search; cancel it, or set `search_timeout`";
    let options = [
        (
            message.disallow_large_query,
            "disallow_large_query",
            "what a large query is, is not public; set `max_duration` or `search_timeout`",
        ),
        (
            message.highlight,
            "highlight",
            "values are given as they were recorded",
        ),
        (
            !message.output_format.is_empty(),
            "output_format",
            "Query answers with series, QueryStream with Arrow batches",
        ),
        (message.is_async, "is_async", ASYNCHRONOUS),
        (!message.async_id.is_empty(), "async_id", ASYNCHRONOUS),
        (
            !message.async_timeout.is_empty(),
            "async_timeout",
            ASYNCHRONOUS,
        ),
        (
            message.is_profile,
            "is_profile",
            "call Explain, which shows what a query would do and read",
        ),
        (
            message.is_optimized,
            "is_optimized",
            "audit events have one index, so there is none at which to stop early",
        ),
        (
            !message.index_list.is_empty(),
            "index_list",
            "the scope says which workspaces are read, and audit events have one index",
        ),
        (
            !message.rules.is_empty(),
            "rules",
            "how rules of access combine is not public and must not be guessed; narrow the scope, or \
             filter with `conditions`",
        ),
    ];
    match options.into_iter().find(|(is_set, ..)| *is_set) {
        Some((_, option, reason)) => Err(RequestError::Unsupported { option, reason }),
        None => Ok(()),
    }
}

fn order_from_message(message: &proto::OrderKey) -> Result<OrderOption, RequestError> {
    let descending = match proto::Direction::try_from(message.direction) {
        Ok(proto::Direction::Desc) => true,
        Ok(proto::Direction::Asc | proto::Direction::Unspecified) => false,
        Err(_) => {
            return Err(RequestError::Value {
                option: "direction",
                value: message.direction.to_string(),
                wanted: "use one of the enum `Direction`",
            });
        }
    };
    Ok(OrderOption {
        column: message.column.clone(),
        descending,
    })
}

fn order_to_message(option: &OrderOption) -> proto::OrderKey {
    let direction = if option.descending {
        proto::Direction::Desc
    } else {
        proto::Direction::Asc
    };
    proto::OrderKey {
        column: option.column.clone(),
        direction: direction.into(),
    }
}

/// The interval, which takes precedence over the density.
fn step_from_message(message: &proto::QueryRequest) -> Result<Option<StepOption>, RequestError> {
    let density = match proto::Density::try_from(message.density) {
        Ok(proto::Density::Unspecified) => None,
        Ok(proto::Density::Lower) => Some(Density::Lower),
        Ok(proto::Density::Low) => Some(Density::Low),
        Ok(proto::Density::Medium) => Some(Density::Medium),
        Ok(proto::Density::High) => Some(Density::High),
        Err(_) => {
            return Err(RequestError::Value {
                option: "density",
                value: message.density.to_string(),
                wanted: "use one of the enum `Density`",
            });
        }
    };
    let interval = NonZeroU64::new(message.interval_ms).map(StepOption::Every);
    Ok(interval.or(density.map(StepOption::Density)))
}

fn density_to_message(density: Density) -> proto::Density {
    match density {
        Density::Lower => proto::Density::Lower,
        Density::Low => proto::Density::Low,
        Density::Medium => proto::Density::Medium,
        Density::High => proto::Density::High,
    }
}

fn duration_ms(option: &'static str, text: &str) -> Result<Option<i64>, RequestError> {
    if text.is_empty() {
        return Ok(None);
    }
    match dql::duration_ms(text) {
        Some(length_ms) => Ok(Some(length_ms)),
        None => Err(RequestError::Value {
            option,
            value: text.to_owned(),
            wanted: "a duration such as `1d` or `1h30m`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_back() {
        let message = proto::QueryRequest {
            conditions: "a = 1".into(),
            order_by: vec![proto::OrderKey {
                column: "#1".into(),
                direction: proto::Direction::Desc.into(),
            }],
            sorder_by: Some(proto::OrderKey {
                column: "n".into(),
                direction: proto::Direction::Asc.into(),
            }),
            limit: Some(0),
            offset: Some(1),
            slimit: Some(2),
            soffset: Some(3),
            max_point: 4,
            interval_ms: 5,
            max_duration: "6000ms".into(),
            disable_slimit: true,
            disable_multiple_field: true,
            disable_query_parse: true,
            echo_explain: true,
            search_timeout: "7ms".into(),
            ..proto::QueryRequest::default()
        };
        let options = options_from_message(&message).unwrap();
        assert_eq!(options_to_message(&options), message);

        let dense = proto::QueryRequest {
            density: proto::Density::High.into(),
            ..proto::QueryRequest::default()
        };
        let options = options_from_message(&dense).unwrap();
        assert!(options.describe_query);
        assert_eq!(options_to_message(&options), dense);
        assert_eq!(
            options.clauses.step,
            Some(StepOption::Density(Density::High))
        );
    }

    #[test]
    fn the_interval_goes_before_the_density() {
        let message = proto::QueryRequest {
            interval_ms: 5,
            density: proto::Density::Low.into(),
            ..proto::QueryRequest::default()
        };
        let step = options_from_message(&message).unwrap().clauses.step;
        assert_eq!(step, NonZeroU64::new(5).map(StepOption::Every));
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name() {
        let refused = |change: &dyn Fn(&mut proto::QueryRequest)| {
            let mut message = proto::QueryRequest::default();
            change(&mut message);
            options_from_message(&message).unwrap_err().to_string()
        };
        for (option, error) in [
            (
                "disallow_large_query",
                refused(&|one| one.disallow_large_query = true),
            ),
            ("highlight", refused(&|one| one.highlight = true)),
            (
                "output_format",
                refused(&|one| one.output_format = "lineprotocol".into()),
            ),
            ("is_async", refused(&|one| one.is_async = true)),
            ("async_id", refused(&|one| one.async_id = "x".into())),
            (
                "async_timeout",
                refused(&|one| one.async_timeout = "1s".into()),
            ),
            ("is_profile", refused(&|one| one.is_profile = true)),
            ("is_optimized", refused(&|one| one.is_optimized = true)),
            (
                "index_list",
                refused(&|one| one.index_list = vec!["x".into()]),
            ),
            ("rules", refused(&|one| one.rules = vec!["x".into()])),
            (
                "max_duration",
                refused(&|one| one.max_duration = "1mo".into()),
            ),
            (
                "search_timeout",
                refused(&|one| one.search_timeout = "soon".into()),
            ),
            ("density", refused(&|one| one.density = 9)),
        ] {
            assert!(error.contains(&format!("`{option}`")), "{error}");
        }
    }

    #[test]
    fn what_is_always_so_may_be_asked_for() {
        let message = proto::QueryRequest {
            align_time: true,
            disable_sampling: true,
            mask_visible: true,
            ..proto::QueryRequest::default()
        };
        assert!(options_from_message(&message).is_ok());
    }
}
