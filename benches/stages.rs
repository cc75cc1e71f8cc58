//! Times the stages of a question that do not depend on how much is stored: text to tree, tree to meaning,
//! meaning to plan, answer to JSON.
//!
//! Run it by `cargo bench -p vouch-benches`.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use api::{Answer, Series, Summary, TotalHits, content_json};
use criterion::Criterion;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use dql::ast::Statement;
use events::TimeRange;
use plan::{BindContext, BoundQuery, BoundStatement};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const NOW_MS: i64 = 1_795_219_200_000;
const ROWS: usize = 1_000;

/// A question of each size.
const QUESTIONS: [(&str, &str); 3] = [
    ("list", "TAE::audit:(*) [1d] LIMIT 100"),
    (
        "count",
        "TAE::audit:(count(*) AS n) {action = 'user.login_failed'} [7d::15m] BY df_user_name HAVING n >= 3 SORDER BY n DESC SLIMIT 20",
    ),
    (
        "conditions",
        "TAE::audit:(df_title, float(df_cost) / 1000 AS seconds, CASE WHEN result = 'Failure' THEN 'failed' ELSE df_origin END AS kind) {df_title =~ '(Create|Delete) .*', search('checkout latency') OR df_message = wildcard('*dashboard*'), NOT (cidr(client_ip, '10.0.0.0/8') AND df_user_team IN ['Security', 'Data', nil]), request.path != '/api/v1', df_date_range >= 86400} [2026-11-01:2026-11-21] ORDER BY df_title DESC, seconds LIMIT 50 OFFSET 10",
    ),
];

fn main() -> Result<()> {
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for (name, text) in QUESTIONS {
        question(&mut criterion, name, text)?;
    }
    let answers = [answer()];
    criterion.bench_function("encode/1000 rows", |bencher| {
        bencher.iter(|| content_json(black_box(&answers)).to_string());
    });
    criterion.final_summary();
    Ok(())
}

fn question(criterion: &mut Criterion, name: &str, text: &str) -> Result<()> {
    let events = events()?;
    let statement = statement(text)?;
    let query = bind(&statement)?;
    plan::lower(&query, &events)?;
    criterion.bench_function(&format!("parse/{name}"), |bencher| {
        bencher.iter(|| dql::parse(black_box(text)).map(|script| dql::check(&script)));
    });
    criterion.bench_function(&format!("bind/{name}"), |bencher| {
        bencher.iter(|| plan::bind(black_box(&statement), &context()));
    });
    criterion.bench_function(&format!("lower/{name}"), |bencher| {
        bencher.iter(|| plan::lower(black_box(&query), &events));
    });
    Ok(())
}

fn statement(text: &str) -> Result<Statement> {
    let script = dql::parse(text).map_err(|findings| format!("{findings:?}"))?;
    let statement = script.statements.into_iter().next();
    statement.ok_or_else(|| "the text has no statement".into())
}

fn bind(statement: &Statement) -> Result<BoundQuery> {
    match plan::bind(statement, &context()) {
        Ok(BoundStatement::Query(query)) => Ok(*query),
        Ok(_) => Err("the text is no query".into()),
        Err(findings) => Err(format!("{findings:?}").into()),
    }
}

fn context() -> BindContext {
    BindContext::at(NOW_MS)
}

/// A table of events without any.
fn events() -> Result<LogicalPlan> {
    let table = EmptyTable::new(events::view_schema());
    let source = provider_as_source(Arc::new(table));
    Ok(LogicalPlanBuilder::scan("events", source, None)?.build()?)
}

fn answer() -> Answer {
    let row = |number: usize| -> Vec<Value> {
        vec![
            json!(NOW_MS + number as i64),
            json!("Modify monitor"),
            json!("The threshold of the monitor for the checkout service was changed"),
            json!(number as f64 / 7.0),
            Value::Null,
        ]
    };
    let columns = ["time", "df_title", "df_message", "seconds", "comments"];
    Answer::new(
        vec![Series {
            name: Some("audit".to_owned()),
            tags: vec![("df_origin".to_owned(), json!("front"))],
            columns: columns.map(str::to_owned).to_vec(),
            values: (0..ROWS).map(row).collect(),
        }],
        Summary {
            cost: Duration::from_millis(5),
            total_hits: TotalHits {
                value: ROWS as u64,
                exact: true,
            },
            group_by: vec!["df_origin".to_owned()],
            rows: ROWS as u64,
            ..Summary::new(TimeRange {
                from_ms: NOW_MS - 1,
                to_ms: NOW_MS,
            })
        },
    )
}
