//! Many conditions as one: a tree that is as deep as the logarithm of their number.
//!
//! DataFusion's own `conjunction` and `disjunction` make a chain that is as deep as the list is long, and
//! copying, comparing, dropping and evaluating an expression take stack for each level.

use std::collections::HashSet;

use datafusion::logical_expr::{Expr, Operator, binary_expr};

/// How many conditions the optimiser may look at one by one. It takes AND apart and joins the parts again
/// as a chain, in time that grows with the square of their number.
const MOST_SEPARATE: usize = 64;

/// The condition that all of some hold, equal ones only once; `None` for none.
pub fn all_of(conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    balanced(Operator::And, distinct(conditions))
}

/// The condition that at least one of some holds, equal ones only once; `None` for none.
pub(crate) fn any_of(conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    balanced(Operator::Or, distinct(conditions))
}

/// As [`all_of`], for a filter: of very many conditions groups are hidden from the optimiser.
pub(crate) fn all_of_filter(conditions: Vec<Expr>) -> Option<Expr> {
    let conditions = distinct(conditions);
    if conditions.len() <= MOST_SEPARATE {
        return balanced(Operator::And, conditions);
    }
    let size = conditions.len().div_ceil(MOST_SEPARATE);
    let groups = conditions.chunks(size);
    let groups = groups.filter_map(|group| balanced(Operator::And, group.to_vec()));
    balanced(Operator::And, groups.map(Expr::is_true).collect())
}

/// Expressions without their repetitions, in order.
pub(crate) fn distinct(expressions: impl IntoIterator<Item = Expr>) -> Vec<Expr> {
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for expression in expressions {
        if known.insert(expression.clone()) {
            found.push(expression);
        }
    }
    found
}

fn balanced(operator: Operator, mut operands: Vec<Expr>) -> Option<Expr> {
    while operands.len() > 1 {
        let mut pairs = operands.into_iter();
        let mut joined = Vec::with_capacity(pairs.len().div_ceil(2));
        while let Some(left) = pairs.next() {
            joined.push(match pairs.next() {
                Some(right) => binary_expr(left, operator, right),
                None => left,
            });
        }
        operands = joined;
    }
    operands.pop()
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn depth(expr: &Expr) -> usize {
        match expr {
            Expr::BinaryExpr(binary) => 1 + depth(&binary.left).max(depth(&binary.right)),
            Expr::IsTrue(inner) => 1 + depth(inner),
            _ => 0,
        }
    }

    fn tests(count: i64) -> Vec<Expr> {
        (0..count)
            .map(|number| col("a").is_null().or(lit(number).is_null()))
            .collect()
    }

    /// A list of any length is as deep as its logarithm, and keeps its order.
    #[test]
    fn lists_are_joined_balanced() {
        assert_eq!(all_of(Vec::new()), None);
        assert_eq!(
            all_of([col("a"), col("b"), col("c")]),
            Some(col("a").and(col("b")).and(col("c")))
        );
        assert_eq!(any_of(tests(100_000)).map(|all| depth(&all)), Some(18));
        assert_eq!(all_of_filter(tests(2_000)).map(|all| depth(&all)), Some(13));
    }

    /// Equal conditions are put together.
    #[test]
    fn equal_conditions_are_joined_once() {
        assert_eq!(any_of(vec![col("a"); 100_000]), Some(col("a")));
        assert_eq!(
            all_of([col("a"), col("b"), col("a")]),
            Some(col("a").and(col("b")))
        );
    }
}
