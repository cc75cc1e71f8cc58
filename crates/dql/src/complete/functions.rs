//! Functions as proposals.

use crate::check::show_names;
use crate::signature::{self, Parameter, Role, Signature};

/// A function and how it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSignature {
    /// Its name, in lower case.
    pub name: String,
    /// Its role.
    pub role: FunctionRole,
    /// How it is called, on one line: `percentile(field, 0 to 100)`.
    pub signature: String,
}

/// The roles of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionRole {
    /// Many rows to one value.
    Aggregate,
    /// Many rows to rows of its own choice.
    Rows,
    /// A series to a series.
    Point,
    /// A value to a value.
    Scalar,
    /// A value to true or false.
    Predicate,
    /// A value from somewhere else.
    Data,
    /// The result of a query to another one.
    Outer,
    /// A statement that lists names.
    Show,
}

impl From<Role> for FunctionRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Aggregate => Self::Aggregate,
            Role::Rows => Self::Rows,
            Role::Point => Self::Point,
            Role::Scalar => Self::Scalar,
            Role::Predicate => Self::Predicate,
            Role::Data => Self::Data,
        }
    }
}

/// The functions inside a query that have one of these roles, in the order of the roles.
pub(super) fn of_roles(roles: &[Role]) -> Vec<FunctionSignature> {
    roles
        .iter()
        .flat_map(|role| signature::function_names().filter_map(move |name| with_role(name, *role)))
        .collect()
}

/// The function, if it has this role.
fn with_role(name: &str, role: Role) -> Option<FunctionSignature> {
    let signature = signature::function(name).filter(|signature| signature.role == role)?;
    Some(FunctionSignature {
        name: name.to_owned(),
        role: role.into(),
        signature: written(name, None, &signature),
    })
}

/// The functions over the result of a query.
pub(super) fn outer() -> Vec<FunctionSignature> {
    signature::outer_names()
        .map(|name| FunctionSignature {
            name: name.to_owned(),
            role: FunctionRole::Outer,
            signature: match signature::outer(name) {
                Some(signature) => written(name, Some("(query)"), &signature),
                None => format!("{name}(expression, A = (query), B = (query))"),
            },
        })
        .collect()
}

/// The functions over the result of a query, as they are chained to one.
pub(super) fn chained() -> Vec<FunctionSignature> {
    signature::outer_names()
        .filter_map(|name| {
            Some(FunctionSignature {
                name: name.to_owned(),
                role: FunctionRole::Outer,
                signature: written(name, None, &signature::outer(name)?),
            })
        })
        .collect()
}

/// The SHOW functions.
pub(super) fn show() -> Vec<FunctionSignature> {
    show_names()
        .map(|name| FunctionSignature {
            signature: if name.ends_with("_field") {
                format!("{name}(['source'])")
            } else {
                format!("{name}()")
            },
            role: FunctionRole::Show,
            name,
        })
        .collect()
}

/// A call with its parameters, after `first`.
fn written(name: &str, first: Option<&str>, signature: &Signature) -> String {
    let mut parts: Vec<String> = first.map(str::to_owned).into_iter().collect();
    parts.extend(signature.required.iter().map(|parameter| named(*parameter)));
    parts.extend(
        signature
            .optional
            .iter()
            .map(|parameter| format!("[{}]", named(*parameter))),
    );
    parts.extend(signature.repeated.map(|_| "…".to_owned()));
    parts.extend(signature.named.iter().map(|name| format!("[{name} = …]")));
    format!("{name}({})", parts.join(", "))
}

/// A parameter in few words.
fn named(parameter: Parameter) -> String {
    match parameter {
        Parameter::Any => "value".to_owned(),
        Parameter::Field => "field".to_owned(),
        Parameter::FieldOrStar => "field or *".to_owned(),
        Parameter::Text => "'text'".to_owned(),
        Parameter::Number => "number".to_owned(),
        Parameter::Whole => "count".to_owned(),
        Parameter::Between(least, most) => format!("{least} to {most}"),
        Parameter::Above(least, f64::MAX) => format!("above {least}"),
        Parameter::Above(least, most) => format!("above {least} to {most}"),
        Parameter::List => "[values]".to_owned(),
    }
}
