//! What a request says beside the text: its clauses, put into the syntax tree before anything is bound.
//!
//! The tree is then all that is run, so its canonical text tells what was asked.

use api::{ClauseOptions, OrderOption, StepOption};
use dql::ast::{
    Count, Direction, Duration, DurationPart, DurationUnit, Expr, ExprKind, Field, Item, OrderKey,
    Outer, Range, Script, Select, Show, Statement, Step, Window,
};
use dql::{Code, Diagnostic, Severity, Span, Texts};
use plan::BindContext;

use crate::syntax::queries_mut;

/// The most keys of an order. Each is read on its own, behind the whole text.
const MOST_KEYS: usize = 100;

/// The clauses of a request, read.
#[derive(Debug)]
pub(crate) struct Overrides<'a> {
    options: &'a ClauseOptions,
    conditions: Option<Vec<Expr>>,
    order_by: Vec<Key>,
    sorder_by: Option<Key>,
}

/// A key of an order, read.
#[derive(Debug)]
struct Key {
    /// The name as given, which may be that of a column.
    name: String,
    /// What it says as an expression; the error when it says nothing.
    value: Result<Expr, Vec<Diagnostic>>,
    descending: bool,
}

impl<'a> Overrides<'a> {
    /// Reads the texts among the options, which become texts besides the query.
    ///
    /// # Errors
    /// Conditions that are none, or too many keys.
    pub(crate) fn read(
        options: &'a ClauseOptions,
        texts: &mut Texts,
    ) -> Result<Self, Vec<Diagnostic>> {
        if options.order_by.len() > MOST_KEYS {
            let message = format!(
                "the request orders by {} keys, and at most {MOST_KEYS} are allowed",
                options.order_by.len()
            );
            let error = Diagnostic::new(Severity::Error, Code::TooManyKeys, message, None);
            return Err(vec![error]);
        }
        let conditions = options
            .conditions
            .as_deref()
            .map(|text| dql::parse_conditions("conditions", text, texts))
            .transpose()?;
        let mut key = |name: String, option: &OrderOption| Key {
            name: option.column.clone(),
            value: dql::parse_expression(&name, &option.column, texts),
            descending: option.descending,
        };
        let order_by = options.order_by.iter().enumerate();
        let order_by = order_by
            .map(|(index, option)| key(format!("order_by[{index}]"), option))
            .collect();
        let sorder_by = options.sorder_by.as_ref();
        let sorder_by = sorder_by.map(|option| key("sorder_by".to_owned(), option));
        Ok(Self {
            options,
            conditions,
            order_by,
            sorder_by,
        })
    }

    /// Puts the clauses into every statement; the findings are warnings.
    ///
    /// # Errors
    /// A clause that a statement cannot have.
    pub(crate) fn apply(
        &self,
        script: &mut Script,
        context: &BindContext,
    ) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        for statement in &mut script.statements {
            let applied = match statement {
                Statement::Show(show) => self.show(show),
                Statement::Select(select) => self.select(select, context, &mut warnings),
                Statement::Outer(outer) => self.outer(outer, context, &mut warnings),
            };
            errors.extend(applied.err().map(|error| *error));
        }
        match errors.is_empty() {
            true => Ok(warnings),
            false => Err(errors),
        }
    }

    fn select(
        &self,
        select: &mut Select,
        context: &BindContext,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<(), Box<Diagnostic>> {
        add_conditions(&mut select.conditions, self.conditions.as_deref());
        if !self.order_by.is_empty() {
            let keys = self.order_by.iter().map(|key| key.order_key(select));
            select.order_by = keys.collect::<Result<_, _>>()?;
        }
        if let Some(key) = &self.sorder_by {
            select.sorder_by = Some(key.order_key(select)?);
        }
        let end = select.span.after();
        replace(&mut select.limit, self.options.limit, end);
        replace(&mut select.offset, self.options.offset, end);
        replace(&mut select.slimit, self.options.slimit, end);
        replace(&mut select.soffset, self.options.soffset, end);
        if let Some(step) = self.options.step {
            set_step(&mut select.window, step, end);
        }
        if let Some(points) = self.options.max_points {
            warnings.extend(plan::limit_points(select, points, context));
        }
        Ok(())
    }

    fn show(&self, show: &mut Show) -> Result<(), Box<Diagnostic>> {
        let options = self.options;
        let without_meaning = [
            ("order_by", !options.order_by.is_empty()),
            ("sorder_by", options.sorder_by.is_some()),
            ("slimit", options.slimit.is_some()),
            ("soffset", options.soffset.is_some()),
            ("a step", options.step.is_some()),
            ("max_point", options.max_points.is_some()),
        ];
        if let Some((name, _)) = without_meaning.iter().find(|(_, is_given)| *is_given) {
            let message = format!(
                "{name} in the request is not supported for a SHOW function: it has neither an order \
                 of its own, nor groups, nor points"
            );
            let error = Diagnostic::error(Code::NotSupported, message, show.span);
            return Err(Box::new(error));
        }
        add_conditions(&mut show.conditions, self.conditions.as_deref());
        let end = show.span.after();
        replace(&mut show.limit, options.limit, end);
        replace(&mut show.offset, options.offset, end);
        Ok(())
    }

    /// The queries inside the functions, also those in quotes.
    fn outer(
        &self,
        outer: &mut Outer,
        context: &BindContext,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<(), Box<Diagnostic>> {
        for select in queries_mut(&mut outer.call) {
            self.select(select, context, warnings)?;
        }
        Ok(())
    }
}

impl Key {
    /// The key in a query: the column of this name or number, else the expression.
    fn order_key(&self, select: &Select) -> Result<OrderKey, Box<Diagnostic>> {
        let items = select.target.as_deref().unwrap_or_default();
        let span = select.span.after();
        let expr = match (self.position(items.len()), self.is_name(select)) {
            (Some(position), _) => named(items, position?, span),
            (None, true) => field(&self.name, span),
            (None, false) => self.value.clone().map_err(|errors| {
                // Reading an expression fails with at least one finding.
                Box::new(errors.into_iter().next().unwrap_or_else(no_expression))
            })?,
        };
        let direction = match self.descending {
            true => Direction::Descending,
            false => Direction::Ascending,
        };
        Ok(OrderKey { expr, direction })
    }

    /// The index of a column that is given by its number, `#1` for the first.
    fn position(&self, columns: usize) -> Option<Result<usize, Box<Diagnostic>>> {
        let digits = self.name.strip_prefix('#')?;
        let index = digits.parse::<usize>().ok();
        let index = index.and_then(|number| number.checked_sub(1));
        Some(index.filter(|index| *index < columns).ok_or_else(|| {
            let message = format!("`{}` is no column: the query names {columns}", self.name);
            let error = Diagnostic::new(Severity::Error, Code::UnknownColumn, message, None);
            Box::new(error.with_hint("`#1` is the first column behind the time"))
        }))
    }

    /// Whether the name is an alias of the query.
    fn is_name(&self, select: &Select) -> bool {
        let items = select.target.iter().flatten();
        let aliases = items
            .map(|item| &item.alias)
            .chain(select.by.iter().map(|key| &key.alias));
        aliases.flatten().any(|alias| alias.text == self.name)
    }
}

fn no_expression() -> Diagnostic {
    let message = "a key of an order is no expression";
    Diagnostic::new(Severity::Error, Code::ParseError, message, None)
}

/// The expression that stands for an item of the projection.
fn named(items: &[Item], index: usize, span: Span) -> Expr {
    match &items[index].alias {
        Some(alias) => field(&alias.text, span),
        None => items[index].expr.clone(),
    }
}

fn field(name: &str, span: Span) -> Expr {
    let field = Field {
        name: name.to_owned(),
        path: Vec::new(),
    };
    Expr {
        kind: ExprKind::Field(field),
        span,
    }
}

fn add_conditions(written: &mut Option<Vec<Expr>>, added: Option<&[Expr]>) {
    if let Some(added) = added {
        written
            .get_or_insert_default()
            .extend(added.iter().cloned());
    }
}

fn replace(clause: &mut Option<Count>, value: Option<u64>, span: Span) {
    if let Some(value) = value {
        *clause = Some(Count { value, span });
    }
}

fn set_step(window: &mut Option<Window>, step: StepOption, span: Span) {
    let open = || Window {
        range: Range::Bounds {
            from: None,
            to: None,
        },
        step: None,
        rollup: None,
        span,
    };
    let window = window.get_or_insert_with(open);
    window.step = Some(match step {
        StepOption::Density(density) => Step::Auto {
            points: Some(density.points()),
            span: window.span,
        },
        StepOption::Every(width_ms) => Step::Every(Duration {
            negative: false,
            parts: vec![DurationPart {
                amount: width_ms.get() as f64,
                unit: DurationUnit::Millisecond,
            }],
            span: window.span,
        }),
    });
}
