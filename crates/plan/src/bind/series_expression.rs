//! Expressions over the columns of series: the condition of `count_filter`, the arithmetic of `eval`.
//!
//! They mean what they mean inside of a query whose source has these columns.

use datafusion::logical_expr::Expr;
use dql::Code;
use dql::ast::visit::mutable::walk_expr as walk_expr_mut;
use dql::ast::visit::{Visit, VisitMut, walk_expr};
use dql::ast::{BinaryOp, Expr as AstExpr, ExprKind, Field, InSet, UnaryOp};
use dql::{Diagnostic, Span};
use functions::NoteId;

use super::name::column;
use super::source::{SOURCE_TIME, source_column};
use super::{Bind, BindContext, Binder, Names, wrong};
use crate::bound::{Eval, Notes, SeriesPlan, SeriesSchema, number_column};
use crate::types::{Type, Typed};

/// Binds expressions over the columns of series.
pub(super) struct SeriesNames<'a>(Binder<'a>);

impl<'a> SeriesNames<'a> {
    pub(super) fn new(context: &'a BindContext) -> Self {
        let mut binder = Binder::new(&[], context);
        binder.names = Names::Series(Vec::new());
        Self(binder)
    }

    pub(super) fn context(&self) -> &'a BindContext {
        self.0.context
    }

    /// Sets what names stand for.
    pub(super) fn set_columns(&mut self, columns: Vec<(String, Typed)>) {
        self.0.names = Names::Series(columns);
    }

    /// What is known before the function runs, and what running it may meet.
    pub(super) fn into_notes(self) -> Notes {
        self.0.notes
    }

    pub(super) fn number_overflow(&mut self, span: Span) -> NoteId {
        self.0.number_overflow(span)
    }

    pub(super) fn expression(&mut self, written: &AstExpr) -> Bind<Typed> {
        self.0.expression(written)
    }

    /// A condition on a point, as `{…}` would have it.
    pub(super) fn condition(&mut self, written: &AstExpr) -> Bind<Expr> {
        let Names::Series(columns) = &self.0.names else {
            return Err(not_of_points(written.span));
        };
        let names = columns.iter().map(|(name, _)| name.clone());
        let mut condition = written.clone();
        ColumnTexts(names.collect()).visit_expr(&mut condition);
        let mut points = OfPoints(None);
        points.visit_expr(&condition);
        match points.0 {
            Some(span) => Err(not_of_points(span)),
            None => self.0.condition(&condition, false),
        }
    }
}

/// The columns of an answer as those of a source, by their names: columns first, then keys, then the time.
pub(super) fn source_columns(schema: &SeriesSchema) -> Vec<(String, Typed)> {
    let columns = schema.columns.iter().chain(&schema.keys).enumerate();
    let columns = columns.map(|(index, (name, value_type))| {
        (
            name.clone(),
            Typed::new(column(&source_column(index)), *value_type),
        )
    });
    let time = Typed::new(column(SOURCE_TIME), Type::Int);
    let mut named: Vec<(String, Typed)> = Vec::new();
    for (name, value) in columns.chain([("time".to_owned(), time)]) {
        if !named.iter().any(|(known, _)| *known == name) {
            named.push((name, value));
        }
    }
    named
}

/// Puts fields in the place of expressions whose text is the name of a column, such as `count(*)`.
struct ColumnTexts(Vec<String>);

impl VisitMut<'_> for ColumnTexts {
    fn visit_expr(&mut self, expr: &mut AstExpr) {
        let is_constant = matches!(
            expr.kind,
            ExprKind::Nil
                | ExprKind::Bool(_)
                | ExprKind::Int(_)
                | ExprKind::Float(_)
                | ExprKind::String(_)
        );
        let name = dql::column_name(expr);
        if !is_constant && self.0.contains(&name) {
            let path = Vec::new();
            expr.kind = ExprKind::Field(Field { name, path });
        } else {
            walk_expr_mut(self, expr);
        }
    }
}

/// Finds the first part of a condition that is more than a comparison of columns and values.
struct OfPoints(Option<Span>);

impl<'a> Visit<'a> for OfPoints {
    fn visit_expr(&mut self, expr: &'a AstExpr) {
        let is_allowed = match &expr.kind {
            ExprKind::Nil
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::String(_)
            | ExprKind::Field(_)
            | ExprKind::Unary { .. } => true,
            ExprKind::Binary { op, .. } => !matches!(op, BinaryOp::Match | BinaryOp::NotMatch),
            ExprKind::In { set, .. } => matches!(set, InSet::List(_)),
            _ => false,
        };
        match is_allowed {
            true => walk_expr(self, expr),
            false => self.0 = self.0.or(Some(expr.span)),
        }
    }
}

fn not_of_points(span: Span) -> Box<Diagnostic> {
    let message = "`count_filter` compares the columns of points: `n > 5 AND n != 7`";
    let error = Diagnostic::error(Code::InvalidExpression, message, span);
    Box::new(error.with_hint("test text, lists and patterns in the `{…}` of the query"))
}

/// Binds the arithmetic of `eval` between plans.
///
/// # Errors
/// A name that no plan or column has, and what is no arithmetic.
pub(super) fn eval(
    expression: &AstExpr,
    operands: Vec<(String, SeriesPlan)>,
    name: String,
    context: &BindContext,
) -> Bind<Eval> {
    let mut inputs = Inputs {
        schemas: operands
            .iter()
            .map(|(name, plan)| (name.as_str(), plan.schema()))
            .collect(),
        found: Vec::new(),
    };
    let arithmetic = inputs.arithmetic(expression)?;
    let columns = (0..inputs.found.len()).map(|index| {
        let name = number_column(index);
        let value = Typed::new(column(&name), Type::Float);
        (name, value)
    });
    let mut names = SeriesNames::new(context);
    names.set_columns(columns.collect());
    let value = names.expression(&arithmetic)?.expr;
    let inputs = inputs.found;
    Ok(Eval {
        operands,
        inputs,
        value,
        name,
    })
}

/// The columns that an expression of `eval` reads.
struct Inputs<'a> {
    schemas: Vec<(&'a str, SeriesSchema)>,
    /// The index of the operand, and that of its column.
    found: Vec<(usize, usize)>,
}

impl Inputs<'_> {
    /// The expression over the columns of the inputs; all numbers are floats.
    fn arithmetic(&mut self, written: &AstExpr) -> Bind<AstExpr> {
        let kind = match &written.kind {
            ExprKind::Int(number) => ExprKind::Float(*number as f64),
            ExprKind::Float(number) => ExprKind::Float(*number),
            ExprKind::Field(field) => {
                let name = number_column(self.input(field, written.span)?);
                let path = Vec::new();
                ExprKind::Field(Field { name, path })
            }
            ExprKind::Unary {
                op: UnaryOp::Minus,
                operand,
            } => ExprKind::Unary {
                op: UnaryOp::Minus,
                operand: Box::new(self.arithmetic(operand)?),
            },
            ExprKind::Binary { op, left, right } if super::expression::is_arithmetic(*op) => {
                ExprKind::Binary {
                    op: *op,
                    left: Box::new(self.arithmetic(left)?),
                    right: Box::new(self.arithmetic(right)?),
                }
            }
            _ => {
                let message = "`eval` computes with numbers and queries: `A / B * 100`";
                return Err(wrong(Code::InvalidExpression, message, written.span));
            }
        };
        let span = written.span;
        Ok(AstExpr { kind, span })
    }

    /// The index of an input: `A` is the first column of a query, `A.name` one of several.
    fn input(&mut self, field: &Field, span: Span) -> Bind<usize> {
        let (letter, name) = match field.name.split_once('.') {
            Some((letter, name)) => (letter, Some(name)),
            None => (field.name.as_str(), None),
        };
        let operand = self.schemas.iter().position(|(known, _)| *known == letter);
        let Some(operand) = operand else {
            let message = format!("`eval` has no query `{letter}`");
            return Err(wrong(Code::UnknownQuery, message, span));
        };
        let columns = &self.schemas[operand].1.columns;
        let column = match name {
            Some(name) => columns.iter().position(|(known, _)| known == name),
            None => Some(0),
        };
        let Some(column) = column else {
            let message = format!(
                "the query `{letter}` has no column `{}`",
                name.unwrap_or_default()
            );
            return Err(wrong(Code::UnknownField, message, span));
        };
        let input = (operand, column);
        let known = self.found.iter().position(|known| *known == input);
        Ok(known.unwrap_or_else(|| {
            self.found.push(input);
            self.found.len() - 1
        }))
    }
}
