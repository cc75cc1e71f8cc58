//! The canonical text of a tree: clauses in one order, keywords in upper case, function names in lower
//! case, quotes and parentheses only where they are needed. Parsing it gives the same tree again.

mod expr;
mod name;
mod statement;
mod window;

use std::fmt;

use crate::ast;

/// Where the text goes, and how names are written.
pub(crate) struct Printer<'a> {
    out: &'a mut dyn fmt::Write,
    quotes_names: bool,
}

impl Printer<'_> {
    /// Writes `text` as it is.
    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }

    /// Writes all `values` with `separator` between them.
    fn all<T>(
        &mut self,
        values: &[T],
        separator: &str,
        one: impl Fn(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        for (position, value) in values.iter().enumerate() {
            if position > 0 {
                self.text(separator)?;
            }
            one(self, value)?;
        }
        Ok(())
    }
}

/// The canonical text of an expression without backquotes, which is the name of its column in an answer:
/// `count(df_title)`, `float(df_cost) / 1000`, `message@request.headers["user-agent"]`.
pub fn column_name(expr: &ast::Expr) -> String {
    let mut name = String::new();
    // Writing into a string does not fail.
    let _ = Printer {
        out: &mut name,
        quotes_names: false,
    }
    .expr(expr);
    name
}

macro_rules! displayed_by {
    ($($type:ident: $method:ident),* $(,)?) => {
        $(impl fmt::Display for ast::$type {
            /// Writes the canonical text.
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                Printer { out: formatter, quotes_names: true }.$method(self)
            }
        })*
    };
}

displayed_by! {
    Script: script,
    Statement: statement,
    Select: select,
    Show: show,
    Outer: outer,
    Source: source,
    Item: item,
    ByItem: by_item,
    OrderKey: order_key,
    Call: call,
    Expr: expr,
    Field: field,
    Window: window,
    TimePoint: time_point,
    Step: step,
    Duration: duration,
}
