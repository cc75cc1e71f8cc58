//! Every question in `tests/plans/*.md` has the plans that follow it: bound, logical and physical.
//!
//! The questions call every function and have every clause that the answered cases in `tests/cases` have, so that a change
//! of plans is seen where answers stay the same. `UPDATE_EXPECTED=1 cargo test -p vouch-tests plans` writes the plans that
//! Vouch makes into the pages; read each change as one that may be slower.

use std::collections::BTreeSet;
use std::path::Path;

use api::Stage;
use dql::ast::visit::{Visit, walk_call, walk_select};
use dql::ast::{Call, Outer, Select, Show};
use engine::{Engine, EngineConfig, EngineError};

use crate::cases::page::{Case, Page};
use crate::cases::{folder, pages, store};

#[test]
fn every_question_has_its_plans() {
    crate::cases::run(compare());
}

/// An engine that plans with as many partitions on every machine, and with more than one although the events are few.
async fn engine() -> Engine {
    let config = EngineConfig {
        partitions: 2,
        partition_events: 1,
        ..EngineConfig::default()
    };
    Engine::new(store().await, config).unwrap()
}

async fn compare() {
    let engine = engine().await;
    let mut wrong = Vec::new();
    let mut planned = Parts::default();
    for path in pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plans")) {
        let mut page = Page::read(&path);
        for case in &mut page.cases {
            planned.add(&case.query);
            let found = plans(&engine, case).await.unwrap();
            if case.expected != found {
                wrong.push(format!("{}\n{}\n{found}", case.place, case.query));
                case.expected = found;
            }
        }
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            page.write(&path);
        }
    }
    let answered = answered(&engine);
    let missing: Vec<&String> = answered.0.difference(&planned.0).collect();
    assert!(missing.is_empty(), "no question has {missing:?}");
    if std::env::var_os("UPDATE_EXPECTED").is_none() {
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// The plans of a question, as `vouch explain` shows them.
async fn plans(engine: &Engine, case: &Case) -> Result<String, EngineError> {
    let prepared = engine.prepare(case.request())?;
    let mut all = String::new();
    for (name, stage) in [
        ("bound", Stage::Bound),
        ("logical", Stage::Logical),
        ("physical", Stage::Physical),
    ] {
        let plan = prepared.explain(stage).await?.text;
        all.push_str(&format!("-- {name}\n{plan}"));
    }
    Ok(all)
}

/// What the cases that have an answer are made of.
fn answered(engine: &Engine) -> Parts {
    let mut parts = Parts::default();
    for path in pages(&folder()) {
        for case in Page::read(&path).cases {
            let prepared = engine.prepare(case.request());
            if prepared.is_ok_and(|prepared| prepared.schema().is_ok()) {
                parts.add(&case.query);
            }
        }
    }
    parts
}

/// The functions and the clauses of questions.
#[derive(Default)]
struct Parts(BTreeSet<String>);

impl Parts {
    fn add(&mut self, query: &str) {
        for statement in &dql::parse(query).unwrap().statements {
            self.visit_statement(statement);
        }
    }

    fn clause(&mut self, name: &str, is_there: bool) {
        if is_there {
            self.0.insert(name.to_owned());
        }
    }
}

impl<'a> Visit<'a> for Parts {
    fn visit_select(&mut self, select: &'a Select) {
        let window = select.window.as_ref();
        self.clause("several sources", select.sources.len() > 1);
        self.clause("conditions", select.conditions.is_some());
        self.clause("window", window.is_some());
        self.clause("step", window.is_some_and(|window| window.step.is_some()));
        self.clause("SHIFT", select.shift.is_some());
        self.clause("BY", !select.by.is_empty());
        self.clause("HAVING", !select.having.is_empty());
        self.clause("ORDER BY", !select.order_by.is_empty());
        self.clause("SORDER BY", select.sorder_by.is_some());
        self.clause("LIMIT", select.limit.is_some());
        self.clause("OFFSET", select.offset.is_some());
        self.clause("SLIMIT", select.slimit.is_some());
        self.clause("SOFFSET", select.soffset.is_some());
        let mut items = select.target.iter().flatten();
        self.clause("SHIFT of a column", items.any(|item| item.shift.is_some()));
        walk_select(self, select);
    }

    fn visit_call(&mut self, call: &'a Call) {
        self.0
            .insert(format!("{}()", call.name.text.to_lowercase()));
        walk_call(self, call);
    }

    /// A function over series is another than that of the same name inside of a query.
    fn visit_outer(&mut self, outer: &'a Outer) {
        for call in std::iter::once(&outer.call).chain(&outer.chain) {
            self.0
                .insert(format!("{}(query)", call.name.text.to_lowercase()));
            walk_call(self, call);
        }
    }

    fn visit_show(&mut self, show: &'a Show) {
        self.0
            .insert(format!("{}()", show.call.name.text.to_lowercase()));
    }
}
