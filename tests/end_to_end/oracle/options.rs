//! Options of a request that stand for clauses of its text.

use std::num::NonZeroU64;

use api::{ClauseOptions, OrderOption, StepOption};
use dql::ast::{Direction, DurationUnit, Item, OrderKey, Range, Select, Step, Window};

use super::compare::same_series;
use super::random::Random;
use super::tree::{count, duration, field};
use super::world::{Circumstances, World};

/// Whether options have the same answer as the clauses that they stand for.
pub(crate) async fn difference(
    world: &World,
    query: &Select,
    around: &Circumstances,
    random: &mut Random,
) -> Result<(), String> {
    let (options, changed) = options(world, query, random);
    let text = changed.to_string();
    let written = world.ask(&text, around).await;
    let asked = world
        .ask_with(&query.to_string(), around, options.clone())
        .await;
    match (written, asked) {
        (Ok(written), Ok(asked)) if same_series(&written.series, &asked.series) => Ok(()),
        (Ok(written), Ok(asked)) => Err(format!(
            "{options:?}\n  as clauses {text}\n  options {:?}\n  clauses {:?}",
            asked.series, written.series
        )),
        (Err(_), Err(_)) => Ok(()),
        (written, asked) => Err(format!(
            "{options:?}\n  as clauses {text}\n  options {:?}\n  clauses {:?}",
            asked.map(|_| ()),
            written.map(|_| ())
        )),
    }
}

/// Some options, and the query with clauses in their place.
fn options(world: &World, query: &Select, random: &mut Random) -> (ClauseOptions, Select) {
    let mut changed = query.clone();
    let mut options = ClauseOptions::default();
    if random.percent(50) {
        let condition = world.questioner(random).filter();
        options.conditions = Some(condition.to_string());
        changed.conditions.get_or_insert_default().push(condition);
    }
    orders(query, random, &mut options, &mut changed);
    let mut number = |below: usize| {
        let written = random.percent(25);
        written.then(|| u64::try_from(random.below(below)).unwrap())
    };
    if let Some(limit) = number(8) {
        options.limit = Some(limit + 1);
        changed.limit = Some(count(limit + 1));
    }
    if let Some(offset) = number(4) {
        options.offset = Some(offset);
        changed.offset = Some(count(offset));
    }
    if let Some(slimit) = number(5) {
        options.slimit = Some(slimit + 1);
        changed.slimit = Some(count(slimit + 1));
    }
    if let Some(soffset) = number(3) {
        options.soffset = Some(soffset);
        changed.soffset = Some(count(soffset));
    }
    if let Some(hours) = number(30) {
        let hours = hours + 1;
        options.step = Some(StepOption::Every(
            NonZeroU64::new(hours * 3_600_000).unwrap(),
        ));
        let window = changed.window.get_or_insert(Window {
            range: Range::Bounds {
                from: None,
                to: None,
            },
            step: None,
            rollup: None,
            span: dql::Span::default(),
        });
        let hours = duration(u32::try_from(hours).unwrap(), DurationUnit::Hour);
        window.step = Some(Step::Every(hours));
    }
    (options, changed)
}

/// Orders in the place of ORDER BY and SORDER BY.
fn orders(query: &Select, random: &mut Random, options: &mut ClauseOptions, changed: &mut Select) {
    let aliased = |item: &&Item| item.alias.is_some();
    let alias = query.target.iter().flatten().find(aliased);
    let Some(alias) = alias.and_then(|item| item.alias.as_ref()) else {
        return;
    };
    let key = |descending: bool| OrderKey {
        expr: field(&alias.text),
        direction: match descending {
            true => Direction::Descending,
            false => Direction::Ascending,
        },
    };
    let option = |descending: bool| OrderOption {
        column: match alias.text.contains(' ') {
            true => format!("`{}`", alias.text),
            false => alias.text.clone(),
        },
        descending,
    };
    let descending = random.percent(50);
    if random.percent(40) {
        options.order_by = vec![option(descending)];
        changed.order_by = vec![key(descending)];
    }
    if random.percent(30) {
        options.sorder_by = Some(option(descending));
        changed.sorder_by = Some(key(descending));
    }
}
