//! The options of a request, as words behind `dql`.

use std::num::{NonZeroU32, NonZeroU64};

use api::{Density, OrderOption, QueryOptions, StepOption};

/// Sets the option that a word names: `conditions=…` (without blanks), `order_by=column:desc,…`,
/// `sorder_by=column:asc`, `limit=`, `offset=`, `slimit=`, `soffset=`, `max_point=`, `interval=`
/// (milliseconds), `density=low`, `max_duration=1d`, `disable_slimit`, `disable_multiple_field`,
/// `echo_explain`. Gives false when it names none.
pub(super) fn set(options: &mut QueryOptions, word: &str) -> bool {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let number = || value.parse::<u64>().unwrap();
    let clauses = &mut options.clauses;
    match name {
        "conditions" => clauses.conditions = Some(value.to_owned()),
        "order_by" => clauses.order_by = value.split(',').map(order).collect(),
        "sorder_by" => clauses.sorder_by = Some(order(value)),
        "limit" => clauses.limit = Some(number()),
        "offset" => clauses.offset = Some(number()),
        "slimit" => clauses.slimit = Some(number()),
        "soffset" => clauses.soffset = Some(number()),
        "max_point" => clauses.max_points = Some(value.parse::<NonZeroU32>().unwrap()),
        "interval" => {
            clauses.step = Some(StepOption::Every(value.parse::<NonZeroU64>().unwrap()));
        }
        "density" => clauses.step = Some(StepOption::Density(density(value))),
        "max_duration" => options.longest_window_ms = Some(dql::duration_ms(value).unwrap()),
        "disable_slimit" => options.every_group = true,
        "disable_multiple_field" => options.single_field = true,
        "echo_explain" => options.echo_query = true,
        _ => return false,
    }
    true
}

fn order(text: &str) -> OrderOption {
    let (column, direction) = text.rsplit_once(':').unwrap();
    OrderOption {
        column: column.to_owned(),
        descending: direction == "desc",
    }
}

fn density(text: &str) -> Density {
    match text {
        "lower" => Density::Lower,
        "low" => Density::Low,
        "medium" => Density::Medium,
        "high" => Density::High,
        _ => panic!("`{text}` is no density"),
    }
}
