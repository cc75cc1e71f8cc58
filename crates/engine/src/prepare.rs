//! From a question to a physical plan: parse, bind, choose files, lower, optimise.

use std::sync::Arc;

use chrono::Utc;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use dql::ast::{Script, Select, Show, Statement};
use dql::{Diagnostic, Severity, Span};
use events::WorkspaceId;
use plan::{BindContext, BoundQuery, BoundShow, Delivery};
use store::{DataFile, Snapshot, Store};

use crate::error::EngineError;
use crate::request::{QueryOptions, QueryRequest, Scope};
use crate::table::EventTable;

/// A text that is right as far as no store is needed, and what to say about it all the same.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The statements.
    pub(crate) script: Script,
    warnings: Vec<Diagnostic>,
}

impl Parsed {
    /// The only statement of the text.
    pub(crate) fn single(&self) -> Result<&Statement, EngineError> {
        match self.script.statements.as_slice() {
            [statement] => Ok(statement),
            _ => {
                let message = "one statement is answered at a time here";
                let finding = Diagnostic::new(Severity::Error, "several_statements", message, None);
                let finding = finding.with_hint("send the statements one by one");
                Err(EngineError::Query(vec![finding]))
            }
        }
    }

    /// The warnings about one of the statements.
    fn warnings_about(&self, span: Span) -> impl Iterator<Item = Diagnostic> {
        let inside = move |warning: &&Diagnostic| {
            warning
                .span
                .is_none_or(|place| span.start <= place.start && place.end <= span.end)
        };
        self.warnings.iter().filter(inside).cloned()
    }
}

/// Parses a text and checks it as far as no store is needed.
pub(crate) fn parse(text: &str) -> Result<Parsed, EngineError> {
    let script = dql::parse(text).map_err(EngineError::Query)?;
    let findings = dql::check(&script);
    let (errors, warnings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if errors.is_empty() {
        Ok(Parsed { script, warnings })
    } else {
        Err(EngineError::Query(errors))
    }
}

/// Binds a query.
pub(crate) fn bind_select(
    parsed: &Parsed,
    select: &Select,
    request: &QueryRequest,
    delivery: Delivery,
) -> Result<BoundQuery, EngineError> {
    let context = context(&request.options, now_ms(request), delivery);
    let mut query = plan::bind(select, &context).map_err(EngineError::Query)?;
    let warnings = &mut query.notes.warnings;
    warnings.splice(0..0, parsed.warnings_about(select.span));
    Ok(query)
}

/// Binds a SHOW statement.
pub(crate) fn bind_show(
    parsed: &Parsed,
    show: &Show,
    request: &QueryRequest,
    delivery: Delivery,
) -> Result<BoundShow, EngineError> {
    let context = context(&request.options, now_ms(request), delivery);
    let mut bound = plan::bind_show(show, &context).map_err(EngineError::Query)?;
    if let BoundShow::Rows(query) | BoundShow::Fields { query, .. } = &mut bound {
        let warnings = &mut query.notes.warnings;
        warnings.splice(0..0, parsed.warnings_about(show.span));
    }
    Ok(bound)
}

fn context(options: &QueryOptions, now_ms: i64, delivery: Delivery) -> BindContext {
    BindContext {
        now_ms,
        time_zone: options.time_zone.unwrap_or_default(),
        time_range: options.time_range,
        search_after: options.search_after.clone(),
        cursor_time: options.cursor_time,
        delivery,
    }
}

/// Unix milliseconds that count as now for a request.
pub(crate) fn now_ms(request: &QueryRequest) -> i64 {
    request
        .options
        .now_ms
        .unwrap_or_else(|| Utc::now().timestamp_millis())
}

/// The newest snapshots of the workspaces in scope.
pub(crate) async fn snapshots(
    store: &Store,
    request: &QueryRequest,
) -> Result<Vec<Snapshot>, EngineError> {
    let workspaces = match &request.scope {
        Scope::All => store.workspaces().await?,
        Scope::Workspaces(workspaces) => {
            let mut workspaces = workspaces.clone();
            workspaces.sort();
            workspaces.dedup();
            workspaces
        }
    };
    let mut snapshots = Vec::with_capacity(workspaces.len());
    for workspace in workspaces {
        match store.snapshot(&workspace).await? {
            Some(snapshot) => snapshots.push(snapshot),
            // A table that is listed but gone again belongs to nobody's question.
            None if request.scope == Scope::All => {}
            None => return Err(unknown_workspace(store, &workspace).await?),
        }
    }
    Ok(snapshots)
}

async fn unknown_workspace(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<EngineError, EngineError> {
    let name = workspace.to_string();
    let known = store.workspaces().await?;
    let suggestion = known
        .iter()
        .map(|known| (strsim::osa_distance(known.as_ref(), &name), known))
        .filter(|(distance, _)| *distance <= 1 + name.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.to_string());
    Ok(EngineError::UnknownWorkspace { name, suggestion })
}

/// The files a query has to read, chosen by day and by the dates they hold.
pub(crate) fn files(query: &BoundQuery, snapshots: &[Snapshot]) -> Vec<DataFile> {
    let windows = query.windows();
    let is_needed = |file: &&DataFile| windows.iter().any(|window| file.may_hold(window));
    snapshots
        .iter()
        .flat_map(|snapshot| snapshot.files.iter())
        .filter(is_needed)
        .cloned()
        .collect()
}

/// The plan that reads every event of the files.
pub(crate) fn events_plan(files: Vec<DataFile>) -> Result<LogicalPlan, EngineError> {
    let table = provider_as_source(Arc::new(EventTable::new(files)));
    Ok(LogicalPlanBuilder::scan("events", table, None).and_then(LogicalPlanBuilder::build)?)
}
