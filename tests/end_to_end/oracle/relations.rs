//! Laws that the engine's answers keep whatever the events are.

use api::{Answer, StreamItem};
use dql::ast::{
    BinaryOp, DurationUnit, Expr, ExprKind, Range, Select, Source, TimePoint, TimePointKind, Window,
};
use events::json::value_json;
use futures::StreamExt;
use serde_json::Value as Json;

use super::compare::same_series;
use super::random::Random;
use super::tree::{binary, call, count, duration, expr, field, item, not, select};
use super::world::{Circumstances, World};

const DAY_MS: i64 = 86_400_000;

/// Asks about every law once; what broke one.
pub(crate) async fn broken_laws(world: &World, random: &mut Random) -> Vec<String> {
    let around = world.circumstances(random).without_time_range();
    let condition = world.questioner(random).filter();
    let name = random.choose(&["df_title", "code", "user.name", "df_date_range", "df_cost"]);
    let nil = || expr(ExprKind::Nil);
    let value = match name {
        "df_date_range" => expr(ExprKind::Int(60)),
        _ => expr(ExprKind::String(
            random.choose(&["12", "login", "200"]).to_owned(),
        )),
    };
    let equal = |op: BinaryOp| binary(op, field(name), value.clone());
    let missing = |op: BinaryOp| binary(op, field(name), nil());
    let results = [
        parts(world, &around, condition.clone(), not(condition.clone())).await,
        parts(world, &around, equal(BinaryOp::Eq), equal(BinaryOp::NotEq)).await,
        parts(
            world,
            &around,
            missing(BinaryOp::Eq),
            missing(BinaryOp::NotEq),
        )
        .await,
        split_window(world, &around, random).await,
        moved_filter(world, &around, condition).await,
        moved_window(world, &around, random).await,
    ];
    results.into_iter().filter_map(Result::err).collect()
}

/// Two conditions of which every event fulfils exactly one.
async fn parts(
    world: &World,
    around: &Circumstances,
    one: Expr,
    other: Expr,
) -> Result<(), String> {
    let all = ids(world, around, None).await?;
    let mut both = ids(world, around, Some(one.clone())).await?;
    both.extend(ids(world, around, Some(other.clone())).await?);
    both.sort_by_key(ToString::to_string);
    match all == both {
        true => Ok(()),
        false => Err(format!(
            "{one} and {other} hold for {} events, and there are {}\n  {around:?}",
            both.len(),
            all.len()
        )),
    }
}

/// The events that fulfil a condition, in an order of their own.
async fn ids(
    world: &World,
    around: &Circumstances,
    condition: Option<Expr>,
) -> Result<Vec<Json>, String> {
    let query = rows_of_events(world, condition);
    let answer = world.ask(&query.to_string(), around).await?;
    let rows = answer.series.into_iter().flat_map(|series| series.values);
    let mut rows: Vec<Json> = rows.map(Json::from).collect();
    rows.sort_by_key(ToString::to_string);
    Ok(rows)
}

fn rows_of_events(world: &World, condition: Option<Expr>) -> Select {
    let mut query = select(vec![Source::All(dql::Span::default())]);
    query.conditions = condition.map(|condition| vec![condition]);
    query.window = Some(window(world.now_ms - 6 * DAY_MS, world.now_ms));
    let names = ["df_event_id", "df_workspace", "df_title", "df_user_name"];
    query.target = Some(names.map(|name| item(field(name), None)).to_vec());
    query.limit = Some(count(10_000));
    query
}

fn window(from_ms: i64, to_ms: i64) -> Window {
    let point = |moment: i64| {
        Some(TimePoint {
            kind: TimePointKind::Epoch(moment),
            span: dql::Span::default(),
        })
    };
    Window {
        range: Range::Bounds {
            from: point(from_ms),
            to: point(to_ms),
        },
        step: None,
        rollup: None,
        span: dql::Span::default(),
    }
}

/// The counts of two windows that touch add up to that of both.
async fn split_window(
    world: &World,
    around: &Circumstances,
    random: &mut Random,
) -> Result<(), String> {
    let mut bounds: Vec<i64> = (0..3)
        .map(|_| world.now_ms - 3_600_000 * i64::try_from(random.below(120)).unwrap())
        .collect();
    bounds.sort_unstable();
    bounds.dedup();
    let [from, middle, to] = bounds.as_slice() else {
        return Ok(());
    };
    let mut counts = Vec::new();
    for (from, to) in [(from, middle), (middle, to), (from, to)] {
        let mut query = select(vec![Source::All(dql::Span::default())]);
        query.target = Some(vec![item(call("count", vec![expr(ExprKind::Star)]), None)]);
        query.window = Some(window(*from, *to));
        let answer = world.ask(&query.to_string(), around).await?;
        counts.push(answer.series[0].values[0][1].as_i64().unwrap());
    }
    match counts[0] + counts[1] == counts[2] {
        true => Ok(()),
        false => Err(format!("{bounds:?} split {} into {counts:?}", counts[2])),
    }
}

/// A condition chooses the same events in the query and in a sub-query.
async fn moved_filter(
    world: &World,
    around: &Circumstances,
    condition: Expr,
) -> Result<(), String> {
    let direct = ids(world, around, Some(condition.clone())).await?;
    let mut inner = rows_of_events(world, Some(condition));
    inner.limit = None;
    let mut query = rows_of_events(world, None);
    query.sources = vec![Source::Subquery {
        query: Box::new(inner),
        alias: None,
    }];
    let answer = world.ask(&query.to_string(), around).await?;
    let rows = answer.series.into_iter().flat_map(|series| series.values);
    let mut moved: Vec<Json> = rows.map(Json::from).collect();
    moved.sort_by_key(ToString::to_string);
    match direct == moved {
        true => Ok(()),
        false => Err(format!(
            "{query} has {} rows, not {}",
            moved.len(),
            direct.len()
        )),
    }
}

/// SHIFT reads what a window so much earlier reads.
async fn moved_window(
    world: &World,
    around: &Circumstances,
    random: &mut Random,
) -> Result<(), String> {
    let mut query = world.questioner(random).question();
    if query.window.is_some_and(|window| window.step.is_some()) {
        return Ok(());
    }
    let hours = u32::try_from(1 + random.below(60)).unwrap();
    let shift_ms = 3_600_000 * i64::from(hours);
    let (from, to) = (world.now_ms - 4 * DAY_MS, world.now_ms);
    query.shift = None;
    query.window = Some(window(from - shift_ms, to - shift_ms));
    let written = query.to_string();
    query.window = Some(window(from, to));
    query.shift = Some(duration(hours, DurationUnit::Hour));
    let shifted = query.to_string();
    let answers = (
        world.ask(&written, around).await,
        world.ask(&shifted, around).await,
    );
    match answers {
        (Ok(written), Ok(shifted)) if same_series(&written.series, &shifted.series) => Ok(()),
        (Err(_), Err(_)) => Ok(()),
        (written_answer, shifted_answer) => Err(format!(
            "{shifted}\n  is not {written}\n  {around:?}\n  {:?}\n  {:?}",
            shifted_answer.map(|answer| answer.series),
            written_answer.map(|answer| answer.series)
        )),
    }
}

/// The rows of an answer with the tags of their series.
fn with_tags(answer: &Answer) -> Vec<Vec<Json>> {
    let mut rows = Vec::new();
    for series in &answer.series {
        let tags: Vec<Json> = series.tags.iter().map(|(_, tag)| tag.clone()).collect();
        rows.extend(
            series
                .values
                .iter()
                .map(|row| [tags.clone(), row.clone()].concat()),
        );
    }
    rows
}

/// The pages of an answer, each behind the one before, are the answer; nothing to compare where the answer
/// has no position.
pub(crate) async fn page_difference(
    world: &World,
    query: &Select,
    size: u64,
    around: &Circumstances,
) -> Result<(), String> {
    let mut query = query.clone();
    let by_group = !query.by.is_empty();
    match by_group {
        true => (query.slimit, query.soffset) = (None, None),
        false => (query.limit, query.offset) = (None, None),
    }
    let whole = with_tags(&world.ask(&query.to_string(), around).await?);
    match by_group {
        true => query.slimit = Some(count(size)),
        false => query.limit = Some(count(size)),
    }
    let text = query.to_string();
    let mut pages: Vec<Vec<Json>> = Vec::new();
    let mut position = None;
    let mut is_paged = false;
    loop {
        let answer = world.ask_behind(&text, around, position).await?;
        pages.extend(with_tags(&answer));
        let got = match by_group {
            true => answer.series.len(),
            false => answer.series.iter().map(|series| series.values.len()).sum(),
        };
        position = answer.summary.search_after;
        is_paged |= position.is_some();
        if got as u64 != size || position.is_none() {
            break;
        }
    }
    match !is_paged || super::compare::same_rows(&whole, &pages) {
        true => Ok(()),
        false => Err(format!(
            "{} rows on pages of {size} are others than the {} rows of the whole\n  pages\n      {}\n  whole\n      {}",
            pages.len(),
            whole.len(),
            super::world::shown(&pages),
            super::world::shown(&whole)
        )),
    }
}

/// Whether the stream of an answer gives the rows of its series.
pub(crate) async fn stream_difference(
    world: &World,
    text: &str,
    around: &Circumstances,
) -> Result<(), String> {
    let answer = world.ask(text, around).await?;
    let mut streamed: Vec<Vec<Json>> = Vec::new();
    let mut names: Vec<(String, String)> = Vec::new();
    let mut ended = false;
    let mut items = Box::pin(world.engine.query_stream(world.request(text, around)));
    while let Some(item) = items.next().await {
        match item.map_err(|error| format!("the stream failed: {error:?}"))? {
            StreamItem::Schema(schema) => {
                let role = |field: &arrow::datatypes::Field| field.metadata()["vouch.role"].clone();
                let fields = schema.fields().iter();
                names = fields
                    .map(|field| (role(field), field.name().clone()))
                    .collect();
            }
            StreamItem::Batch(batch) => {
                for row in 0..batch.num_rows() {
                    let cells = batch.schema_ref().fields().iter().zip(batch.columns());
                    let cells = cells.map(|(field, column)| {
                        let cell = value_json(column, row).unwrap();
                        match (field.metadata().get("vouch.type"), &cell) {
                            (Some(_), Json::String(text)) => serde_json::from_str(text).unwrap(),
                            _ => cell,
                        }
                    });
                    streamed.push(cells.collect());
                }
            }
            StreamItem::End(_) => ended = true,
        }
    }
    let mut expected: Vec<Vec<Json>> = Vec::new();
    for series in &answer.series {
        for row in &series.values {
            let cell = |(role, name): &(String, String)| match role.as_str() {
                "tag" => series
                    .tags
                    .iter()
                    .find(|(key, _)| key == name)
                    .unwrap()
                    .1
                    .clone(),
                _ => row[series
                    .columns
                    .iter()
                    .position(|column| column == name)
                    .unwrap()]
                .clone(),
            };
            expected.push(names.iter().map(cell).collect());
        }
    }
    for row in &mut streamed {
        for ((role, _), cell) in names.iter().zip(row) {
            if role == "tag" && !cell.is_null() && !cell.is_string() {
                *cell = Json::from(cell.to_string());
            }
        }
    }
    match ended && super::compare::same_rows(&streamed, &expected) {
        true => Ok(()),
        false => Err(format!(
            "the stream (ended: {ended}) of {names:?} differs\n  stream\n      {}\n  series\n      {}",
            super::world::shown(&streamed),
            super::world::shown(&expected)
        )),
    }
}
