//! From a question to a physical plan: parse, bind, choose files, lower, optimise.

use std::sync::Arc;

use chrono::Utc;
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use dql::ast::{Script, Select, Show, Statement};
use dql::{Diagnostic, Severity, Span};
use events::{TimeRange, WorkspaceId};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use plan::{BindContext, BoundQuery, BoundShow, Delivery, Resources};
use store::{DataFile, Store, StoreError, View};

use crate::error::EngineError;
use crate::fragments::Fragments;
use crate::overrides::Overrides;
use crate::request::{QueryOptions, QueryRequest, Scope};
use crate::table::{EventTable, Events};

/// How many workspaces are looked at at the same time.
const VIEW_CONCURRENCY: usize = 16;

/// A text that is right as far as no store is needed, and what to say about it all the same.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The statements.
    pub(crate) script: Script,
    warnings: Vec<Diagnostic>,
    fragments: Fragments,
    memory: Arc<dyn MemoryPool>,
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
            let is_inside = |place: Span| span.start <= place.start && place.end <= span.end;
            warning.origin.is_some() || warning.span.is_none_or(is_inside)
        };
        self.warnings.iter().filter(inside).cloned()
    }

    /// Findings, each with the text of the request that its place lies in.
    pub(crate) fn located(&self, findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        self.fragments.located(findings)
    }

    fn wrong(&self, findings: Vec<Diagnostic>) -> EngineError {
        let is_memory = |finding: &&Diagnostic| finding.code == "resources_exhausted";
        match findings.iter().find(is_memory) {
            Some(finding) => EngineError::ResourcesExhausted(finding.message.clone()),
            None => EngineError::Query(self.located(findings)),
        }
    }
}

/// Parses the text of a request, puts the clauses of the request into it, and checks it as far as no
/// store is needed.
pub(crate) fn read(
    request: &QueryRequest,
    memory: Arc<dyn MemoryPool>,
) -> Result<Parsed, EngineError> {
    let (script, fragments, widened) = written(request).map_err(EngineError::Query)?;
    let mut parsed = check(script, fragments, memory)?;
    parsed.warnings.extend(widened);
    Ok(parsed)
}

/// The statements of a request with its clauses in them, the texts beside the query, and warnings about
/// what a clause did.
///
/// # Errors
/// What is wrong with the text, or with the clauses.
pub(crate) fn written(
    request: &QueryRequest,
) -> Result<(Script, Fragments, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut script = dql::parse(&request.query)?;
    let mut fragments = Fragments::beside(&request.query);
    let overrides = Overrides::read(&request.options.clauses, &mut fragments)?;
    let resources = Resources::default();
    let context = context(
        &request.options,
        now_ms(request),
        Delivery::Series,
        resources,
    );
    let widened = overrides.apply(&mut script, &context)?;
    // A clause of the request is added to each query of each statement.
    dql::check_limits(&script).map_err(|errors| fragments.located(errors))?;
    Ok((script, fragments, widened))
}

/// Parses a text and checks it as far as no store is needed.
pub(crate) fn parse(text: &str, memory: Arc<dyn MemoryPool>) -> Result<Parsed, EngineError> {
    let script = dql::parse(text).map_err(EngineError::Query)?;
    check(script, Fragments::beside(text), memory)
}

fn check(
    script: Script,
    fragments: Fragments,
    memory: Arc<dyn MemoryPool>,
) -> Result<Parsed, EngineError> {
    let findings = findings(&script, &fragments);
    let (errors, warnings): (Vec<_>, Vec<_>) = findings
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if errors.is_empty() {
        Ok(Parsed {
            script,
            warnings,
            fragments,
            memory,
        })
    } else {
        Err(EngineError::Query(errors))
    }
}

/// What checking finds.
pub(crate) fn findings(script: &Script, fragments: &Fragments) -> Vec<Diagnostic> {
    once_an_origin(fragments.located(dql::check(script)))
}

/// The findings without those that every statement repeats about the same clause of the request.
fn once_an_origin(findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(findings.len());
    for finding in findings {
        let place = |finding: &Diagnostic| finding.span.map(|span| (span.start, span.end));
        let is_known = |known: &Diagnostic| *known == finding && place(known) == place(&finding);
        if finding.origin.is_none() || !kept.iter().any(is_known) {
            kept.push(finding);
        }
    }
    kept
}

/// Binds a query.
pub(crate) fn bind_select(
    parsed: &Parsed,
    select: &Select,
    request: &QueryRequest,
    delivery: Delivery,
) -> Result<BoundQuery, EngineError> {
    let resources = Resources::new(Arc::clone(&parsed.memory));
    let context = context(&request.options, now_ms(request), delivery, resources);
    let mut query = plan::bind(select, &context).map_err(|errors| parsed.wrong(errors))?;
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
    let resources = Resources::new(Arc::clone(&parsed.memory));
    let context = context(&request.options, now_ms(request), delivery, resources);
    let mut bound = plan::bind_show(show, &context).map_err(|errors| parsed.wrong(errors))?;
    if let BoundShow::Rows(query) | BoundShow::Fields { query, .. } = &mut bound {
        let warnings = &mut query.notes.warnings;
        warnings.splice(0..0, parsed.warnings_about(show.span));
    }
    Ok(bound)
}

/// What statements of a request are bound with.
pub(crate) fn context(
    options: &QueryOptions,
    now_ms: i64,
    delivery: Delivery,
    resources: Resources,
) -> BindContext {
    BindContext {
        now_ms,
        time_zone: options.time_zone.unwrap_or_default(),
        time_range: options.time_range,
        inherited_range: None,
        search_after: options.search_after.clone(),
        cursor_time: options.cursor_time,
        delivery,
        every_group: options.every_group,
        single_field: options.single_field,
        longest_window_ms: options.longest_window_ms,
        resources,
    }
}

/// Unix milliseconds that count as now for a request.
pub(crate) fn now_ms(request: &QueryRequest) -> i64 {
    request
        .options
        .now_ms
        .unwrap_or_else(|| Utc::now().timestamp_millis())
}

/// The newest events of the workspaces in scope, at least those of `windows`.
pub(crate) async fn views(
    store: &Store,
    request: &QueryRequest,
    windows: &[TimeRange],
) -> Result<Vec<View>, EngineError> {
    store.catch_up(&request.options.after).await?;
    let workspaces = match &request.scope {
        Scope::All => store.workspaces().await?,
        Scope::Workspaces(workspaces) => {
            let mut workspaces = workspaces.clone();
            workspaces.sort();
            workspaces.dedup();
            workspaces
        }
    };
    let views: Vec<(WorkspaceId, Option<View>)> = stream::iter(workspaces)
        .map(|workspace| async move {
            let view = store.view_within(&workspace, windows).await?;
            Ok::<_, EngineError>((workspace, view))
        })
        .buffered(VIEW_CONCURRENCY)
        .try_collect()
        .await?;
    let mut found = Vec::with_capacity(views.len());
    for (workspace, view) in views {
        match view {
            Some(view) => found.push(view),
            // A table that is listed but gone again belongs to nobody's question.
            None if request.scope == Scope::All => {}
            None => return Err(unknown_workspace(store, &workspace).await?),
        }
    }
    Ok(found)
}

/// Refuses a workspace that has neither events nor settings.
///
/// # Errors
/// [`EngineError::UnknownWorkspace`], or the error of the store.
pub async fn require_workspace(store: &Store, workspace: &WorkspaceId) -> Result<(), EngineError> {
    match store.view(workspace).await? {
        Some(_) => Ok(()),
        None => Err(unknown_workspace(store, workspace).await?),
    }
}

async fn unknown_workspace(
    store: &Store,
    workspace: &WorkspaceId,
) -> Result<EngineError, EngineError> {
    let name = workspace.to_string();
    // One listing of the root: to look into each directory would cost whoever mistypes a name as many
    // listings as there are workspaces.
    let root = store.object_store().list_with_delimiter(None).await;
    let root = root.map_err(StoreError::from)?.common_prefixes;
    let known = root.iter().filter_map(workspace_in);
    let suggestion = known
        .map(|known| (strsim::osa_distance(known, &name), known))
        .filter(|(distance, _)| *distance <= 1 + name.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known.to_owned());
    Ok(EngineError::UnknownWorkspace { name, suggestion })
}

/// The workspace whose table is in a directory of the store's root.
fn workspace_in(directory: &Path) -> Option<&str> {
    directory.filename()?.strip_prefix("workspace=")
}

/// What a query has to read: files chosen by day and by the dates they hold, and the events that are in
/// no file yet.
pub(crate) fn events(query: &BoundQuery, views: &[View]) -> Events {
    let windows = query.windows();
    let files = views.iter().flat_map(View::files);
    let is_needed = |file: &&Arc<DataFile>| windows.iter().any(|window| file.may_hold(window));
    let recent = views.iter().flat_map(|view| view.recent.iter());
    Events {
        files: files.filter(is_needed).cloned().collect(),
        recent: recent.cloned().collect(),
    }
}

/// The plan that reads all of some events.
pub(crate) fn events_plan(events: Events) -> Result<LogicalPlan, EngineError> {
    let table = provider_as_source(Arc::new(EventTable::new(events)));
    Ok(LogicalPlanBuilder::scan("events", table, None).and_then(LogicalPlanBuilder::build)?)
}
