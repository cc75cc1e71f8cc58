//! Random values of each kind.

use dql::ast::{BinaryOp, Expr, ExprKind};

use super::super::tree::{binary, call, expr, field, float, int, text};
use super::{Gives, Questioner};

impl Questioner<'_> {
    /// A value of any kind.
    pub(super) fn any(&mut self, depth: usize) -> (Expr, Gives) {
        match self.random.below(8) {
            0..3 => (self.text(depth), Gives::Text),
            3..6 => {
                let number = self.number(depth);
                let gives = self.number_of(&number);
                (number, gives)
            }
            6 => (self.condition(depth.min(1)), Gives::Bool),
            _ if depth > 0 && self.random.percent(25) => {
                let text = self.text(depth - 1);
                let pattern = self.random.choose(&["[a-z]+", "o(.)", "失|ana|in"]);
                let mut arguments = vec![text, super::super::tree::text(pattern)];
                if pattern == "o(.)" {
                    arguments.push(int(1));
                }
                let list = call("regexp_extract_all", arguments);
                match self.random.percent(40) {
                    true => (call("set", vec![list]), Gives::Json),
                    false => (list, Gives::Json),
                }
            }
            _ if self.names.are_events && self.random.percent(20) => {
                let name = self.random.choose(&["user@tags", "mixed", "code"]);
                (call("set", vec![field(name)]), Gives::Json)
            }
            _ => {
                let jsons = self.names.of(Gives::Json);
                match jsons.is_empty() {
                    true => (field("time"), Gives::Number),
                    false => (field(self.random.choose(&jsons)), Gives::Json),
                }
            }
        }
    }

    /// A name that gives text or an attribute.
    pub(super) fn textual_name(&mut self) -> Option<Expr> {
        let mut names = self.names.of(Gives::Text);
        if self.random.percent(30) || names.is_empty() {
            names.extend(self.names.of(Gives::Json));
        }
        (!names.is_empty()).then(|| field(self.random.choose(&names)))
    }

    /// A name that gives numbers, all or some of the time.
    pub(super) fn numeric_name(&mut self) -> Expr {
        let mut names = self.names.of(Gives::Number);
        names.extend(self.names.of(Gives::Fraction));
        if self.random.percent(60) {
            names.extend(self.names.of(Gives::Json));
        }
        field(self.random.choose(&names))
    }

    /// A text.
    pub(super) fn text(&mut self, depth: usize) -> Expr {
        let Some(name) = self.textual_name() else {
            return call("concat", vec![text("x"), field("time")]);
        };
        if depth == 0 {
            return name;
        }
        let inner = match self.random.percent(60) {
            true => name.clone(),
            false => self.text(depth - 1),
        };
        let start = i64::try_from(self.random.below(4)).unwrap();
        match self.random.below(13) {
            10 => call("md5", vec![inner]),
            11 => call("string", vec![self.number(depth - 1)]),
            12 => {
                let pattern = self.random.choose(&["([a-z]+)[ _]([a-z]+)", "([0-9])|(.)"]);
                let group = int(i64::try_from(self.random.below(3)).unwrap());
                call("regexp_extract", vec![inner, text(pattern), group])
            }
            0 => call("lower", vec![inner]),
            1 => call("upper", vec![inner]),
            2 => call(self.random.choose(&["trim", "ltrim", "rtrim"]), vec![inner]),
            3 => call("substr", vec![inner, int(start - 2)]),
            4 => call("substr", vec![inner, int(start), int(3)]),
            5 => {
                let other = self.number(0);
                call("concat", vec![inner, text("-"), other])
            }
            6 => {
                let pattern = self
                    .random
                    .choose(&["[aeiou]+", "([a-z]+)( |_)", "失败|in"]);
                call("regexp_extract", vec![inner, text(pattern)])
            }
            7 => {
                let pattern = self.random.choose(&["[0-9]+", "o", "登录"]);
                call("regexp_replace", vec![inner, text(pattern), text("#")])
            }
            8 => {
                let test = self.condition(depth - 1);
                let other = self.text(depth - 1);
                case(test, inner, Some(other))
            }
            _ => name,
        }
    }

    /// A number that a function takes, which a literal is not.
    pub(super) fn argument(&mut self, depth: usize) -> Expr {
        match self.number(depth) {
            Expr {
                kind: ExprKind::Int(_) | ExprKind::Float(_),
                ..
            } => self.numeric_name(),
            number => number,
        }
    }

    /// A number.
    pub(super) fn number(&mut self, depth: usize) -> Expr {
        if depth == 0 {
            return match self.random.percent(80) {
                true => self.numeric_name(),
                false => int(self.random.choose(&[0, 1, 2, -3, 60])),
            };
        }
        let textual = self.textual_name();
        match (self.random.below(12), textual) {
            (0, Some(name)) => call("float", vec![name]),
            (1, Some(name)) => call(self.random.choose(&["int", "uint"]), vec![name]),
            (2, Some(name)) => call("length", vec![name]),
            (3, _) => {
                let inner = self.argument(depth - 1);
                let name = self
                    .random
                    .choose(&["abs", "ceil", "floor", "round", "float", "int"]);
                call(name, vec![inner])
            }
            (4, _) => {
                let inner = self.argument(depth - 1);
                call("round", vec![inner, int(1)])
            }
            (5, _) => {
                let inner = self.argument(depth - 1);
                call(self.random.choose(&["log", "log2", "log10"]), vec![inner])
            }
            (6, Some(name)) if self.random.percent(30) => {
                let one = (text("200"), int(2));
                let two = (text("ana"), call("float", vec![self.numeric_name()]));
                expr(ExprKind::Case {
                    operand: Some(Box::new(name)),
                    branches: vec![one, two],
                    otherwise: self.random.percent(50).then(|| Box::new(float(0.5))),
                })
            }
            (6, _) => {
                let test = self.condition(depth - 1);
                let (left, right) = (self.number(depth - 1), self.number(depth - 1));
                let otherwise = self.random.percent(70).then_some(right);
                case(
                    test,
                    call("float", vec![left]),
                    otherwise.map(|right| call("int", vec![right])),
                )
            }
            (7..10, _) => {
                let op = self.random.choose(&[
                    BinaryOp::Add,
                    BinaryOp::Subtract,
                    BinaryOp::Multiply,
                    BinaryOp::Divide,
                    BinaryOp::Modulo,
                    BinaryOp::Power,
                ]);
                let left = self.number(depth - 1);
                let right = match op {
                    BinaryOp::Power => int(self.random.choose(&[0, 2, 3])),
                    _ if self.random.percent(50) => self.number(depth - 1),
                    _ => float(self.random.choose(&[0.5, 2.0, -1.25, 0.0])),
                };
                binary(op, left, right)
            }
            (10, _) => call("now", Vec::new()),
            _ => self.numeric_name(),
        }
    }
}

fn case(test: Expr, value: Expr, otherwise: Option<Expr>) -> Expr {
    expr(ExprKind::Case {
        operand: None,
        branches: vec![(test, value)],
        otherwise: otherwise.map(Box::new),
    })
}
