//! Functions over the result of a query.

use dql::ast::{Arg, BinaryOp, Call, Expr, ExprKind, Outer, Quoted, Statement, UnaryOp};

use super::series;
use super::value::{Kind, Value};
use super::{Output, OutputGroup, Run};

impl Run<'_> {
    /// Answers a statement with functions around queries.
    pub(crate) fn outer(&self, outer: &Outer) -> Output {
        let mut output = self.outer_call(&outer.call);
        for call in &outer.chain {
            let arguments: Vec<&Arg> = call.args.iter().collect();
            output = series::applied(self, call, &arguments, output);
        }
        let number = |written: Option<dql::ast::Count>, default: usize| {
            written.map_or(default, |count| usize::try_from(count.value).unwrap())
        };
        let groups = number(outer.slimit, usize::MAX);
        output.groups_cut |= cut(&mut output.groups, number(outer.soffset, 0), groups);
        for group in &mut output.groups {
            let rows = number(outer.limit, usize::MAX);
            output.rows_cut |= cut(&mut group.rows, number(outer.offset, 0), rows);
        }
        output
    }

    fn outer_call(&self, call: &Call) -> Output {
        if call.name.text.eq_ignore_ascii_case("eval") {
            return self.eval(call);
        }
        let inner = self.operand(&call.args[0].value);
        let others: Vec<&Arg> = call.args[1..].iter().collect();
        series::applied(self, call, &others, inner)
    }

    /// The answer of a query that stands as an argument.
    fn operand(&self, written: &Expr) -> Output {
        match &written.kind {
            ExprKind::Subquery(select) => self.answer(select),
            ExprKind::Call(call) => self.outer_call(call),
            ExprKind::Quoted(quoted) => match quoted.as_ref() {
                Quoted::Query(_, Statement::Select(select)) => self.answer(select),
                Quoted::Query(_, Statement::Outer(outer)) => self.outer(outer),
                other => panic!("{other:?} is no query"),
            },
            other => panic!("{other:?} is no query"),
        }
    }

    /// Arithmetic between points of one time, and of one group or of a query without groups.
    fn eval(&self, call: &Call) -> Output {
        let expression = &call.args[0].value;
        let mut name = dql::column_name(expression);
        let mut operands: Vec<(String, Output)> = Vec::new();
        for argument in &call.args[1..] {
            let letter = argument.name.as_ref().unwrap().text.clone();
            match &argument.value.kind {
                ExprKind::String(alias) if letter.eq_ignore_ascii_case("alias") => {
                    name.clone_from(alias);
                }
                _ => operands.push((letter, self.operand(&argument.value))),
            }
        }
        // The query with the most keys tells the groups; a value without a time pairs with every time.
        let timed = |output: &Output| {
            let groups = output.groups.iter();
            groups.filter(|group| !is_timeless(group)).count()
        };
        let widest = operands
            .iter()
            .max_by_key(|(_, output)| (output.keys.len(), timed(output)));
        let widest = &widest.unwrap().1;
        let mut groups = Vec::new();
        for group in &widest.groups {
            let tags = tags(widest, group);
            let partners = operands
                .iter()
                .filter_map(|(_, output)| partner(output, &tags));
            let mut others = partners.filter(|partner| !is_timeless(partner));
            let times = match (is_timeless(group), others.next()) {
                (true, Some(partner)) => partner,
                _ => group,
            };
            let rows = times.rows.iter().filter_map(|row| {
                let value = combined(expression, &operands, &tags, &row[0])?;
                Some(vec![row[0].clone(), value])
            });
            let rows: Vec<Vec<Value>> = rows.collect();
            if !rows.is_empty() {
                groups.push(OutputGroup {
                    keys: group.keys.clone(),
                    rows,
                });
            }
        }
        Output {
            name: None,
            keys: widest.keys.clone(),
            columns: vec![name],
            groups,
            rows_cut: operands.iter().any(|(_, output)| output.rows_cut),
            groups_cut: operands.iter().any(|(_, output)| output.groups_cut),
            hits: operands.iter().map(|(_, output)| output.hits).sum(),
            numbers_by_value: true,
            kinds: vec![Kind::Float],
            key_kinds: widest.key_kinds.clone(),
        }
    }
}

type Tag = (String, serde_json::Value);

fn tags(output: &Output, group: &OutputGroup) -> Vec<Tag> {
    let names = output.keys.iter().cloned();
    names.zip(group.keys.iter().map(Value::tag)).collect()
}

/// The group of a query that has no other tags than these.
fn partner<'o>(output: &'o Output, wanted: &[Tag]) -> Option<&'o OutputGroup> {
    let mut groups = output.groups.iter();
    groups.find(|group| tags(output, group).iter().all(|tag| wanted.contains(tag)))
}

/// Whether a group is one row that summarises the whole window.
fn is_timeless(group: &OutputGroup) -> bool {
    group.rows.len() == 1 && group.rows[0][0].is_missing()
}

/// Drops what OFFSET skips and what LIMIT cuts off; whether that was anything.
fn cut<T>(parts: &mut Vec<T>, offset: usize, limit: usize) -> bool {
    parts.drain(..offset.min(parts.len()));
    let is_cut = parts.len() > limit;
    parts.truncate(limit);
    is_cut
}

/// The value of an expression at a time in the group with these tags; `None` where a query has no point.
fn combined(
    expression: &Expr,
    operands: &[(String, Output)],
    tags: &[Tag],
    time: &Value,
) -> Option<Value> {
    let number = |expression: &Expr| combined(expression, operands, tags, time);
    Some(match &expression.kind {
        ExprKind::Int(number) => Value::Float(*number as f64),
        ExprKind::Float(number) => Value::Float(*number),
        ExprKind::Field(field) => {
            let (letter, column) = match field.name.split_once('.') {
                Some((letter, column)) => (letter, Some(column)),
                None => (field.name.as_str(), None),
            };
            let (_, output) = operands.iter().find(|(name, _)| name == letter).unwrap();
            let column = column.map_or(0, |column| {
                output
                    .columns
                    .iter()
                    .position(|known| known == column)
                    .unwrap()
            });
            let group = partner(output, tags)?;
            let is_it = |row: &&Vec<Value>| is_timeless(group) || row[0] == *time;
            let row = group.rows.iter().find(is_it)?;
            row[1 + column]
                .number()
                .map_or(Value::Missing, Value::Float)
        }
        ExprKind::Unary {
            op: UnaryOp::Minus,
            operand,
        } => match number(operand)? {
            Value::Float(number) => Value::Float(-number),
            _ => Value::Missing,
        },
        ExprKind::Binary { op, left, right } => match (number(left)?, number(right)?) {
            (Value::Float(left), Value::Float(right)) => Value::finite(match op {
                BinaryOp::Add => left + right,
                BinaryOp::Subtract => left - right,
                BinaryOp::Multiply => left * right,
                BinaryOp::Divide => left / right,
                BinaryOp::Modulo => left % right,
                _ => left.powf(right),
            }),
            _ => Value::Missing,
        },
        other => panic!("{other:?} in an `eval`"),
    })
}
