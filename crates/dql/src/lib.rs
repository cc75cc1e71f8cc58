#![doc = include_str!("../README.md")]
//!
//! # Example
//!
//! ```
//! let script = dql::parse("TAE::re(`.*`):(COUNT(`*`) as n){`df_source` = 'audit'} by df_user_email")?;
//! assert_eq!(
//!     script.to_string(),
//!     "TAE::re('.*'):(count(*) AS n) {df_source = 'audit'} BY df_user_email",
//! );
//! assert!(dql::check(&script).is_empty());
//! # Ok::<(), Vec<dql::Diagnostic>>(())
//! ```

pub mod ast;
mod check;
mod code;
mod complete;
pub mod diagnostic;
mod grammar;
mod keyword;
mod lexer;
pub mod limits;
mod path;
mod precedence;
mod print;
mod quoting;
mod render;
pub mod signature;
pub mod span;
mod texts;
mod token;

pub use check::{check, check_arguments, is_query};
pub use code::{Code, Fault};
pub use complete::{Completion, FunctionRole, FunctionSignature, LiteralKind, Wanted, complete};
pub use diagnostic::{Diagnostic, Origin, Severity};
pub use grammar::{duration_ms, parse, parse_conditions, parse_duration, parse_expression};
pub use limits::{check_limits, check_text};
pub use print::column_name;
pub use render::{Position, position, render};
pub use span::{Span, TextId};
pub use texts::Texts;

#[cfg(test)]
mod tests;
