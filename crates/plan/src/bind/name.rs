//! What a name stands for: a column, an alias, or an attribute.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::Expr;
use dql::ast::{Expr as AstExpr, ExprKind, Field, PathStep};
use dql::{Code, Span};
use events::FieldType;
use events::fields::{ATTRIBUTES, DATE, FIELDS, SetBy};
use functions::NoteId;
use functions::json::json_get;

use super::target::alias_of;
use super::{Bind, Binder, Names, wrong};
use crate::bound::{Attribute, Observation};
use crate::types::{Type, Typed};

/// The field that `@path` and a text search without a field mean.
pub(super) const DEFAULT_TEXT: &str = "df_message";

/// A column by its exact name, dots included.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

impl Binder<'_> {
    /// Resolves a field in row position.
    pub(super) fn field(&mut self, field: &Field, span: Span) -> Bind<Typed> {
        let name = if field.name.is_empty() {
            DEFAULT_TEXT
        } else {
            field.name.as_str()
        };
        if let Some(value) = self.column(name) {
            return Ok(match field.path.is_empty() {
                true => value,
                false => self.json_value(value.expr, field.path.clone(), field, span),
            });
        }
        if let Some(value) = self.alias(name)? {
            return Ok(value);
        }
        if let Some(value) = self.key_alias(name)? {
            return Ok(value);
        }
        match &self.names {
            Names::Events => {
                let dotted = name.split('.').map(|key| PathStep::Key(key.to_owned()));
                let path = dotted.chain(field.path.iter().cloned()).collect();
                Ok(self.json_value(column(ATTRIBUTES), path, field, span))
            }
            Names::Query(columns) => {
                let known = columns.iter().map(|(known, _)| known.as_str());
                let error = wrong(
                    Code::UnknownField,
                    format!("the sub-query has no column `{name}`"),
                    span,
                );
                Err(match nearest(name, known) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")).into(),
                    None => error.with_hint("an outer query sees the columns of the inner one by their names or aliases").into(),
                })
            }
            Names::Series(columns) => {
                let known = columns.iter().map(|(known, _)| known.as_str());
                // Every query has a time, which is not worth naming.
                let known: Vec<&str> = known.filter(|known| *known != "time").collect();
                let message = format!("the query has no column `{name}`");
                let error = wrong(Code::UnknownField, message, span);
                let hint = format!("its columns and keys are `{}`", known.join("`, `"));
                Err(Box::new(error.with_hint(hint)))
            }
        }
    }

    /// The column of that name.
    fn column(&self, name: &str) -> Option<Typed> {
        match &self.names {
            Names::Events => events::field(name)
                .map(|field| Typed::new(column(field.name), type_of(field.field_type))),
            Names::Query(columns) | Names::Series(columns) => columns
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone()),
        }
    }

    /// What an alias of the projection stands for, if there is one of that name.
    fn alias(&mut self, name: &str) -> Bind<Option<Typed>> {
        if !self.aliases_visible {
            return Ok(None);
        }
        let items = self.items;
        let item = items
            .iter()
            .find(|item| alias_of(item).is_some_and(|alias| alias.text == name));
        let Some(item) = item else { return Ok(None) };
        self.aliases_visible = false;
        let value = self.expression(&item.expr);
        self.aliases_visible = true;
        value.map(Some)
    }

    /// What an alias of BY stands for in a row, if there is one of that name.
    fn key_alias(&mut self, name: &str) -> Bind<Option<Typed>> {
        let key = self
            .key_texts
            .iter()
            .find(|(alias, _)| *alias == Some(name));
        let Some((_, key)) = key.copied() else {
            return Ok(None);
        };
        // Inside the key its own alias is a field.
        let key_texts = std::mem::take(&mut self.key_texts);
        let value = self.expression(key);
        self.key_texts = key_texts;
        value.map(Some)
    }

    fn json_value(&mut self, json: Expr, path: Vec<PathStep>, field: &Field, span: Span) -> Typed {
        let name = dql::column_name(&AstExpr {
            kind: ExprKind::Field(field.clone()),
            span,
        });
        let depth = i64::from(self.context.depth);
        // Those of a query inside this one are not its own.
        let is_known =
            |known: &&Observation| known.attribute.name == name && known.present.depth() == depth;
        let observation = match self.notes.observations.iter().find(is_known) {
            Some(known) => known.clone(),
            None => {
                let new = Observation {
                    attribute: Arc::new(Attribute { name, span }),
                    present: self.context.resources.next_note(self.context.depth),
                    not_numbers: Vec::new(),
                };
                self.notes.observations.push(new.clone());
                new
            }
        };
        Typed {
            expr: json_get(json, &path, observation.present),
            value_type: Type::Json,
            attribute: Some(observation.attribute),
        }
    }

    /// The note that a value of an attribute is left out of arithmetic because it is no number.
    pub(super) fn not_a_number(&mut self, attribute: &Arc<Attribute>) -> NoteId {
        let (depth, resources) = (self.context.depth, &self.context.resources);
        let observations = &mut self.notes.observations;
        let observed = observations
            .iter_mut()
            .find(|known| Arc::ptr_eq(&known.attribute, attribute));
        let Some(observation) = observed else {
            return resources.next_note(depth);
        };
        let mut known = observation.not_numbers.iter();
        match known.find(|note| note.depth() == i64::from(depth)) {
            Some(note) => *note,
            None => {
                let note = resources.next_note(depth);
                observation.not_numbers.push(note);
                note
            }
        }
    }

    /// The columns that `*` stands for: every one but the time, and those that Vouch sets.
    pub(super) fn all_columns(&self) -> Vec<(String, Typed)> {
        match &self.names {
            Names::Events => FIELDS
                .iter()
                .filter(|field| field.name != DATE && field.set_by == SetBy::Producer)
                .map(|field| {
                    (
                        field.name.to_owned(),
                        Typed::new(column(field.name), type_of(field.field_type)),
                    )
                })
                .collect(),
            Names::Query(columns) | Names::Series(columns) => columns
                .iter()
                .filter(|(name, _)| name != "time")
                .cloned()
                .collect(),
        }
    }
}

fn type_of(field_type: FieldType) -> Type {
    match field_type {
        FieldType::Int => Type::Int,
        FieldType::String => Type::String,
        FieldType::Json => Type::Json,
    }
}

/// The catalogue's field whose name is nearest, when one is near enough to be meant.
pub fn nearest_field(name: &str) -> Option<&'static str> {
    nearest(name, FIELDS.iter().map(|field| field.name))
}

/// The nearest of the known names, when one is near enough to be meant.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = 1 + name.chars().count() / 5;
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
