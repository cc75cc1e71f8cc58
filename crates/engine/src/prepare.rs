//! From a question to a physical plan: parse, bind, choose files, lower, optimise.

use std::sync::Arc;

use api::{QueryOptions, QueryRequest, Scope};
use chrono::Utc;
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use dql::ast::{Script, Statement};
use dql::{Code, Diagnostic, Severity, Span, TextId, Texts};
use events::{TimeRange, WorkspaceId};
use functions::Resources;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use plan::{BindContext, BoundQuery, BoundStatement, Delivery, Position};
use scan::{EventTable, Events};
use store::{DataFile, ReadView, Store, StoreError};

use crate::error::EngineError;
use crate::overrides::Overrides;

/// How many workspaces are looked at at the same time.
const VIEW_CONCURRENCY: usize = 16;

/// A text that is right as far as no store is needed, and what to say about it all the same.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The statements.
    pub(crate) script: Script,
    warnings: Vec<Diagnostic>,
    memory: Arc<dyn MemoryPool>,
}

impl Parsed {
    /// The only statement of the text.
    pub(crate) fn single(&self) -> Result<&Statement, EngineError> {
        match self.script.statements.as_slice() {
            [statement] => Ok(statement),
            _ => {
                let message = "one statement is answered at a time here";
                let finding =
                    Diagnostic::new(Severity::Error, Code::SeveralStatements, message, None);
                let finding = finding.with_hint("send the statements one by one");
                Err(EngineError::Query(vec![finding]))
            }
        }
    }

    /// The warnings about one of the statements.
    fn warnings_about(&self, span: Span) -> impl Iterator<Item = Diagnostic> {
        let texts = &self.script.texts;
        let is_about = move |place| texts.is_clause(place) || span.contains(place);
        let warnings = self.warnings.iter();
        let about = warnings.filter(move |warning| warning.span.is_none_or(is_about));
        about.cloned()
    }

    /// Findings as their reader can place them.
    pub(crate) fn located(&self, findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        self.located_in(TextId::QUERY, findings)
    }

    /// The same of findings about one of the texts.
    pub(crate) fn located_in(&self, text: TextId, findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let texts = &self.script.texts;
        let findings = findings.into_iter();
        findings
            .map(|finding| texts.located_in(text, finding))
            .collect()
    }

    /// Binds one of the statements.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn bind(
        &self,
        statement: &Statement,
        request: &QueryRequest,
        delivery: Delivery,
    ) -> Result<BoundStatement, EngineError> {
        let resources = Resources::new(Arc::clone(&self.memory));
        let context = context(&request.options, now_ms(request), delivery, resources);
        let mut bound = plan::bind(statement, &context).map_err(|findings| self.wrong(findings))?;
        let mut add_warnings = |query: &mut BoundQuery, span: Span| {
            let warnings = &mut query.notes.warnings;
            warnings.splice(0..0, self.warnings_about(span));
        };
        match &mut bound {
            BoundStatement::Query(query) => add_warnings(query, statement.span()),
            BoundStatement::Series(plan) => plan.for_each_query_mut(&mut add_warnings),
            BoundStatement::Show(show) => {
                if let Some(query) = show.query_mut() {
                    add_warnings(query, statement.span());
                }
            }
        }
        Ok(bound)
    }

    fn wrong(&self, findings: Vec<Diagnostic>) -> EngineError {
        let is_memory = |finding: &&Diagnostic| finding.code == Code::ResourcesExhausted;
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
    let (script, widened) = written(request).map_err(EngineError::Query)?;
    let (errors, mut warnings): (Vec<_>, Vec<_>) = findings(&script)
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    warnings.extend(widened);
    let parsed = Parsed {
        script,
        warnings,
        memory,
    };
    match errors.is_empty() {
        true => Ok(parsed),
        false => Err(EngineError::Query(parsed.located(errors))),
    }
}

/// The statements of a request with its clauses in them, and warnings about what a clause did.
///
/// # Errors
/// What is wrong with the text, or with the clauses.
pub(crate) fn written(
    request: &QueryRequest,
) -> Result<(Script, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut script = dql::parse(&request.query)?;
    let overrides = Overrides::read(&request.options.clauses, &mut script.texts)?;
    let resources = Resources::default();
    let context = context(
        &request.options,
        now_ms(request),
        Delivery::Series,
        resources,
    );
    let widened = overrides.apply(&mut script, &context);
    // A clause of the request is added to each query of each statement.
    let checked = widened.and_then(|widened| dql::check_limits(&script).map(|()| widened));
    match checked {
        Ok(widened) => Ok((script, widened)),
        Err(errors) => {
            let located = errors.into_iter().map(|error| script.texts.located(error));
            Err(located.collect())
        }
    }
}

/// What checking finds, as [`Parsed::located`] takes it.
pub(crate) fn findings(script: &Script) -> Vec<Diagnostic> {
    once_a_clause(dql::check(script), &script.texts)
}

/// The findings without those that every statement repeats about the same clause of the request.
fn once_a_clause(findings: Vec<Diagnostic>, texts: &Texts) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::with_capacity(findings.len());
    for finding in findings {
        let clause = finding.span.filter(|span| texts.is_clause(*span));
        let is_known = |span: Span| {
            let same = |known: &&Diagnostic| **known == finding;
            let mut known = kept.iter().filter(same).filter_map(|known| known.span);
            known.any(|known| known.is(span))
        };
        if !clause.is_some_and(is_known) {
            kept.push(finding);
        }
    }
    kept
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
        search_after: options.search_after.clone().map(|cursor| Position {
            values: cursor.values,
        }),
        cursor_time: options.cursor_time,
        delivery,
        every_group: options.every_group,
        single_field: options.single_field,
        longest_window_ms: options.longest_window_ms,
        resources,
        depth: 0,
    }
}

/// Unix milliseconds that count as now for a request.
pub(crate) fn now_ms(request: &QueryRequest) -> i64 {
    request
        .options
        .now_ms
        .unwrap_or_else(|| Utc::now().timestamp_millis())
}

/// The workspaces that a question may read.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedScope {
    workspaces: Vec<WorkspaceId>,
    /// Whether each has been named, so that one without a table is an error.
    is_named: bool,
}

/// The workspaces that a request may read, once the store has what the request wants to see.
///
/// # Errors
/// The store fails.
pub(crate) async fn resolve_scope(
    store: &Store,
    request: &QueryRequest,
) -> Result<ResolvedScope, EngineError> {
    store.catch_up(&request.options.after).await?;
    Ok(match &request.scope {
        Scope::All => ResolvedScope {
            workspaces: store.workspaces().await?,
            is_named: false,
        },
        Scope::Workspaces(workspaces) => {
            let mut workspaces = workspaces.clone();
            workspaces.sort();
            workspaces.dedup();
            ResolvedScope {
                workspaces,
                is_named: true,
            }
        }
    })
}

/// The newest events of the workspaces in scope, at least those of `windows`.
pub(crate) async fn views(
    store: &Store,
    scope: &ResolvedScope,
    windows: &[TimeRange],
) -> Result<Vec<ReadView>, EngineError> {
    let views: Vec<(WorkspaceId, Option<ReadView>)> = stream::iter(scope.workspaces.clone())
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
            None if scope.is_named => return Err(unknown_workspace(store, &workspace).await?),
            // A table that was listed is gone again.
            None => {}
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

/// The events that a query reads, as a plan.
pub(crate) struct EventsPlan {
    /// The plan that reads all of them.
    pub(crate) plan: LogicalPlan,
    /// How many they are.
    pub(crate) events: u64,
    /// The data files in which they are.
    pub(crate) files: u64,
    /// The bytes of those files.
    pub(crate) bytes: u64,
}

/// The events that a query has to read: those of files, which are chosen by day and by the dates that they hold, and those
/// that are in no file yet. Every read of events goes through this function.
pub(crate) fn events_plan(
    query: &BoundQuery,
    views: &[ReadView],
) -> Result<EventsPlan, EngineError> {
    let windows = query.windows();
    let files = views.iter().flat_map(ReadView::files);
    let is_needed = |file: &&Arc<DataFile>| windows.iter().any(|window| file.may_hold(window));
    let recent = views.iter().flat_map(|view| view.recent.iter());
    let events = Events {
        files: files.filter(is_needed).cloned().collect(),
        recent: recent.cloned().collect(),
    };
    let (count, files) = (events.count(), events.files.len() as u64);
    let bytes = events.files.iter().map(|file| file.size_bytes).sum();
    let table = provider_as_source(Arc::new(EventTable::new(events)));
    let plan = LogicalPlanBuilder::scan("events", table, None)?.build()?;
    Ok(EventsPlan {
        plan,
        events: count,
        files,
        bytes,
    })
}
