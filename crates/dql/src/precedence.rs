//! How tightly operators bind: the parser builds by it, the printer sets parentheses by it.

use crate::ast::BinaryOp;

/// `NOT`.
pub(crate) const NOT: u8 = 3;
/// Comparisons and `IN`, which do not chain.
pub(crate) const COMPARISON: u8 = 4;
/// The sign, and everything that needs no parentheses anywhere.
pub(crate) const UNARY: u8 = 8;

/// The level of an infix operator; a larger one binds tighter.
pub(crate) fn of(op: BinaryOp) -> u8 {
    use BinaryOp as Op;
    match op {
        Op::Or => 1,
        Op::And => 2,
        Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Match | Op::NotMatch => {
            COMPARISON
        }
        Op::Add | Op::Subtract => 5,
        Op::Multiply | Op::Divide | Op::Modulo => 6,
        Op::Power => 7,
    }
}
