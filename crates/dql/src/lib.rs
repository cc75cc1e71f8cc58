//! DQL as text: the query language of Guance and TrueWatch, from characters to a tree and back.
//!
//! Nothing here knows a store, a clock or a field catalogue. A query goes through [`parse`], which settles
//! everything that spelling alone decides, and [`check()`], which knows the functions; what is left is meaning.
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
//!
//! | module | takes | gives |
//! |---|---|---|
//! | `lexer` | text | tokens: words, quoted texts, symbols |
//! | `grammar` | tokens | the tree, or a diagnostic; one file for each element of the language |
//! | [`ast`] | | the tree, with the place of every part |
//! | `texts` | a finding | the same about the text that its reader knows: the query, or a clause beside it |
//! | [`limits`] | text, the tree | diagnostics about what is too large |
//! | `check` | the tree | diagnostics about functions, their arguments and what cannot stand together |
//! | `print` | the tree | its canonical text, which parses to the same tree |
//! | [`complete()`] | text, a position | what may stand there |
//! | [`diagnostic`], `render` | text, diagnostic | what is wrong, drawn below the line it is about |
//!
//! Small modules hold what several of them must agree on: `keyword` the reserved words, `precedence` how
//! tightly operators bind, `quoting` where a backquoted word is a text, `path` how a JSON path is spelt,
//! `signature` what the functions take.

pub mod ast;
mod check;
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
mod signature;
pub mod span;
mod texts;
mod token;

pub use check::{check, is_query};
pub use complete::{Completion, FunctionRole, FunctionSignature, LiteralKind, Wanted, complete};
pub use diagnostic::{Diagnostic, Origin, Severity};
pub use grammar::{parse, parse_conditions, parse_duration, parse_expression};
pub use limits::{check_limits, check_text};
pub use print::column_name;
pub use render::{Position, position, render};
pub use span::{Span, TextId};
pub use texts::Texts;

#[cfg(test)]
mod tests;
