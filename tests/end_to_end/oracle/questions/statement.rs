//! Random statements: queries, functions around them, and SHOW.

use dql::ast::{
    Arg, BinaryOp, Call, Expr, ExprKind, InSet, Outer, Quoted, Select, Show, Source, Statement,
};
use dql::{Span, TextId};

use super::super::tree::{
    binary, call, count, expr, field, float, ident, int, item, not, select, text,
};
use super::{Gives, Projection, Questioner};

/// The name of a column and what it gives.
type Column = (String, Gives);

impl Questioner<'_> {
    /// One statement.
    pub(crate) fn statement(&mut self) -> Statement {
        match self.random.below(25) {
            0 => Statement::Show(Box::new(self.show())),
            1..4 => Statement::Outer(Box::new(self.outer())),
            _ => Statement::Select(Box::new(self.question())),
        }
    }

    fn show(&mut self) -> Show {
        let name = self.random.choose(&[
            "show_event_source",
            "show_audit_event_source",
            "show_event_field",
            "show_audit_event_field",
            "show_workspaces",
        ]);
        let of_source = name.ends_with("field") && self.random.percent(50);
        let args = match of_source {
            true => vec![argument(text(self.random.choose(&["audit", "monitor"])))],
            false => Vec::new(),
        };
        let is_plain = name == "show_workspaces";
        let mut number = |percent: usize, below: usize| {
            let number = 1 + self.random.below(below);
            let written = !is_plain && self.random.percent(percent);
            written.then(|| count(u64::try_from(number).unwrap()))
        };
        let (limit, offset) = (number(30, 30), number(20, 3));
        Show {
            call: Call {
                name: ident(name),
                args,
            },
            conditions: (!is_plain && self.random.percent(50)).then(|| vec![self.filter()]),
            window: match is_plain {
                true => None,
                false => self.window(),
            },
            limit,
            offset,
            span: Span::default(),
        }
    }

    fn outer(&mut self) -> Outer {
        let is_eval = self.random.percent(35);
        let call = match is_eval {
            true => self.eval(),
            false => self.around_query(),
        };
        let mut chain = Vec::new();
        for _ in 0..self.random.below(3) {
            let (name, args) = match self.outer_function(&[], &[]) {
                // A sum that is 0, or almost, has no logarithm, or almost none.
                ("log" | "log2" | "log10", _) => ("abs", Vec::new()),
                other => other,
            };
            chain.push(Call {
                name: ident(name),
                args,
            });
        }
        let mut number = |percent: usize, least: usize| {
            let number = least + self.random.below(4);
            let written = self.random.percent(percent);
            written.then(|| count(u64::try_from(number).unwrap()))
        };
        Outer {
            call,
            chain,
            limit: number(15, 1),
            offset: number(10, 0),
            slimit: number(15, 1),
            soffset: number(10, 0),
            span: Span::default(),
        }
    }

    fn around_query(&mut self) -> Call {
        let (query, columns) = self.stepped();
        let keys: Vec<String> = query.by.iter().map(key_name).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let has_points = columns.iter().any(|(name, _)| name.starts_with('p'));
        let is_told = |(_, gives): &&Column| gives.is_exact();
        let columns: Vec<Column> = columns.iter().filter(is_told).cloned().collect();
        let (name, others) = match self.outer_function(&keys, &columns) {
            ("log" | "log2" | "log10", _) if has_points => ("cumsum", Vec::new()),
            other => other,
        };
        let query = self.written(query);
        Call {
            name: ident(name),
            args: std::iter::once(argument(query)).chain(others).collect(),
        }
    }

    /// A query as an argument: as it is, or in quotes.
    fn written(&mut self, query: Select) -> Expr {
        match self.random.percent(30) {
            true => expr(ExprKind::Quoted(Box::new(Quoted::Query(
                TextId::QUERY,
                Statement::Select(Box::new(query)),
            )))),
            false => expr(ExprKind::Subquery(Box::new(query))),
        }
    }

    /// A function over series, and what it takes beside them.
    fn outer_function(&mut self, keys: &[&str], columns: &[Column]) -> (&'static str, Vec<Arg>) {
        let names = [
            "abs",
            "avg",
            "bottom",
            "ceil",
            "count",
            "count_filter",
            "count_distinct",
            "cumsum",
            "cumsum",
            "dbscan",
            "derivative",
            "difference",
            "fill",
            "first",
            "floor",
            "increase",
            "irate",
            "last",
            "log",
            "log10",
            "log2",
            "max",
            "min",
            "moving_average",
            "non_negative_derivative",
            "non_negative_difference",
            "rate",
            "round",
            "series_sum",
            "series_sum",
            "sum",
            "top",
            "window",
            "window",
        ];
        let name = match self.random.choose(&names) {
            "count_filter" if columns.is_empty() => "count",
            "dbscan" if keys.is_empty() => "cumsum",
            name => name,
        };
        let whole = int(i64::try_from(1 + self.random.below(4)).unwrap());
        let others = match name {
            "bottom" | "top" | "moving_average" => vec![argument(whole)],
            "fill" => {
                let how = [int(0), float(1.5), field("PREVIOUS"), field("LINEAR")];
                vec![argument(self.random.pick(&how).clone())]
            }
            "round" | "log" if self.random.percent(50) => vec![argument(int(2))],
            "dbscan" if self.random.percent(60) => {
                vec![argument(float(self.random.choose(&[0.05, 0.2, 1.0])))]
            }
            "window" => vec![argument(text(self.random.choose(&["2h", "24h", "7h"])))],
            "count_filter" => vec![argument(self.condition_on_points(keys, columns))],
            "series_sum" if !keys.is_empty() && self.random.percent(60) => {
                let kept = text(self.random.choose(keys));
                vec![Arg {
                    name: Some(ident("sumBy")),
                    ..argument(expr(ExprKind::Array(vec![kept])))
                }]
            }
            _ => Vec::new(),
        };
        (name, others)
    }

    /// A condition on the columns and keys of points.
    fn condition_on_points(&mut self, keys: &[&str], columns: &[Column]) -> Expr {
        let (name, gives) = self.random.pick(columns).clone();
        let test = self.test_of_point(&name, gives);
        let is_simple = |key: &&&str| !key.contains(['(', '@', '.', '[']);
        match keys.iter().find(is_simple) {
            Some(key) if self.random.percent(60) => {
                let op = self.random.choose(&[BinaryOp::And, BinaryOp::Or]);
                // Keys are text, unless the projection has them too.
                let column = columns.iter().find(|(name, _)| name == key);
                let gives = column.map_or(Gives::Text, |(_, gives)| *gives);
                let key = self.test_of_point(key, gives);
                binary(op, test, key)
            }
            _ if self.random.percent(30) || is_equation(&test) => not(test),
            _ => test,
        }
    }

    /// A test of a column or a key: each kind is compared with what it can be compared with.
    fn test_of_point(&mut self, name: &str, gives: Gives) -> Expr {
        let texts = ["ana", "12", "200", "Success", "60.0", "true"].map(text);
        let numbers = [int(0), int(2), int(60), int(200), float(30.5), float(60.0)];
        let number = self.random.pick(&numbers).clone();
        let word = self.random.pick(&texts).clone();
        let orders = [
            BinaryOp::Gt,
            BinaryOp::LtEq,
            BinaryOp::Lt,
            BinaryOp::GtEq,
            BinaryOp::NotEq,
            BinaryOp::Eq,
        ];
        let op = self.random.choose(&orders);
        let equation = self.random.choose(&orders[4..]);
        let tested = field(name);
        match (self.random.below(4), gives) {
            (_, Gives::Bool) => binary(equation, tested, expr(ExprKind::Bool(true))),
            (0, Gives::Number | Gives::Fraction) => in_list(
                tested,
                self.random.percent(40),
                vec![number, text("2"), int(7)],
            ),
            (_, Gives::Number | Gives::Fraction) => binary(op, tested, number),
            (0, _) => in_list(tested, self.random.percent(40), vec![word, number]),
            (1, _) => binary(equation, tested, number),
            (2, Gives::Json) if self.random.percent(50) => binary(op, tested, number),
            (2, Gives::Json) => binary(equation, tested, expr(ExprKind::Bool(true))),
            _ => binary(op, tested, word),
        }
    }

    /// A summary by step, with simple names for its columns.
    fn stepped(&mut self) -> (Select, Vec<Column>) {
        // As a query inside of another, so that every column has a name and no step is chosen by the engine.
        self.depth = 1;
        self.is_exact = true;
        self.names = self.vocabulary.names.clone();
        // Of numbers as large as times, differences are mostly rounding.
        let is_time = |name: &str| matches!(name, "date" | "time");
        self.names.all.retain(|(name, _)| !is_time(name));
        let mut query = select(vec![Source::All(Span::default())]);
        if self.random.percent(40) {
            query.conditions = Some(vec![self.filter()]);
        }
        self.in_where = false;
        let projection = match self.random.percent(85) {
            true => self.points(&mut query),
            false => {
                query.window = Some(self.ranged_window());
                self.summary(&mut query)
            }
        };
        self.depth = 0;
        self.is_exact = false;
        let names = simple_names(&projection);
        query.target = Some(projection.items);
        if self.random.percent(30) {
            self.limits(&mut query);
        }
        (query, names)
    }

    /// Arithmetic between queries of the same groups, or of none.
    fn eval(&mut self) -> Call {
        let (one, columns) = self.stepped();
        let mut other = one.clone();
        other.having.clear();
        other.conditions = Some(vec![self.filter()]);
        self.in_where = false;
        if self.random.percent(30) {
            other.by.clear();
            other.sorder_by = None;
            (other.slimit, other.soffset) = (None, None);
            if let Some(items) = &mut other.target {
                // Keys are no columns where there are no groups.
                items.retain(super::clause::is_summary);
            }
            let is_left = |key: &dql::ast::OrderKey| {
                let items = other.target.iter().flatten();
                let names = items.filter_map(|item| item.alias.as_ref());
                let names: Vec<&str> = names.map(|alias| alias.text.as_str()).collect();
                names.contains(&dql::column_name(&key.expr).as_str())
            };
            let order_by = std::mem::take(&mut other.order_by);
            other.order_by = order_by.into_iter().filter(is_left).collect();
        }
        if self.random.percent(15) {
            other.by.clear();
            other.order_by.clear();
            other.sorder_by = None;
            (other.slimit, other.soffset) = (None, None);
            other.window = Some(self.ranged_window());
            other.target = Some(vec![item(call("count", vec![expr(ExprKind::Star)]), None)]);
        }
        let is_empty = other.target.as_ref().is_none_or(Vec::is_empty);
        let other = match is_empty {
            true => one.clone(),
            false => other,
        };
        let mut operands = vec![field("A"), field("B"), float(100.0), int(2)];
        operands.extend(columns.iter().map(|(name, _)| field(&format!("A.{name}"))));
        let first = self.random.choose(&[BinaryOp::Add, BinaryOp::Divide]);
        let mut expression = binary(first, field("A"), field("B"));
        for _ in 0..=self.random.below(2) {
            let op = self.random.choose(&[
                BinaryOp::Add,
                BinaryOp::Subtract,
                BinaryOp::Multiply,
                BinaryOp::Divide,
            ]);
            let operand = self.random.pick(&operands).clone();
            expression = binary(op, expression, operand);
        }
        let named = |name: &str, value: Expr| Arg {
            name: Some(ident(name)),
            ..argument(value)
        };
        let (one, other) = (self.written(one), self.written(other));
        let mut args = vec![argument(expression), named("A", one), named("B", other)];
        if self.random.percent(50) {
            args.push(named("alias", text("ratio")));
        }
        Call {
            name: ident("eval"),
            args,
        }
    }
}

fn argument(value: Expr) -> Arg {
    Arg {
        name: None,
        value,
        alias: None,
    }
}

fn key_name(key: &dql::ast::ByItem) -> String {
    match &key.alias {
        Some(alias) => alias.text.clone(),
        None => dql::column_name(&key.expr),
    }
}

/// The aliases that can stand behind a letter and a dot.
fn simple_names(projection: &Projection) -> Vec<Column> {
    let columns = projection.items.iter().zip(&projection.gives);
    let aliases = columns.filter_map(|(item, gives)| Some((item.alias.as_ref()?, gives)));
    let names = aliases.map(|(alias, gives)| (alias.text.clone(), *gives));
    names.filter(|(name, _)| !name.contains(' ')).collect()
}

/// Whether a condition looks like a named argument.
fn is_equation(test: &Expr) -> bool {
    matches!(
        test.kind,
        ExprKind::Binary {
            op: BinaryOp::Eq,
            ..
        }
    )
}

fn in_list(tested: Expr, negated: bool, items: Vec<Expr>) -> Expr {
    expr(ExprKind::In {
        expr: Box::new(tested),
        negated,
        set: InSet::List(items),
    })
}
