//! End-to-end tests: Vouch from outside, by its answers, its command line and its service.
//!
//! | module | tests |
//! |---|---|
//! | `cases` | the language: every question in `tests/cases/*.md` has the answer that stands there |
//! | `oracle` | answers against a second, naive evaluation |

mod cases;
#[cfg(test)]
mod oracle;
