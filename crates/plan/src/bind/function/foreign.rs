//! Functions about other engines and other data.

use super::Function;

/// The reason of functions that have no other.
pub(in crate::bind) const NO_MEANING: &str = "it has no meaning on events yet";

pub(super) const FUNCTIONS: &[Function] = &[
    Function::unsupported("dql", NO_MEANING),
    Function::unsupported("script", NO_MEANING),
    Function::unsupported("with_labels", NO_MEANING),
];
