//! `BY`: the keys of the groups, and the names in expressions over groups.

use dql::ast::{Expr as AstExpr, ExprKind, Field, Select};
use dql::{Code, Diagnostic};

use super::function::has_aggregate;
use super::name::column;
use super::point::Along;
use super::target::alias_of;
use super::{BindResult, Binder, Names, keep, wrong};
use crate::bound::Key;
use crate::types::Typed;

impl<'a> Binder<'a> {
    /// Binds the keys.
    pub(super) fn keys(
        &mut self,
        select: &'a Select,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Vec<Key>> {
        let mut keys: Vec<Key> = Vec::new();
        let before = errors.len();
        for item in &select.by {
            let Some(value) = keep(errors, self.key(&item.expr)) else {
                continue;
            };
            let name = item
                .alias
                .as_ref()
                .map_or_else(|| dql::column_name(&item.expr), |alias| alias.text.clone());
            if keys.iter().any(|key| key.name == name) {
                errors.push(Diagnostic::error(
                    Code::DuplicateKey,
                    format!("`{name}` is a key twice"),
                    item.expr.span,
                ));
            }
            self.key_texts.push((
                item.alias.as_ref().map(|alias| alias.text.as_str()),
                &item.expr,
            ));
            keys.push(Key {
                name,
                expr: value.expr,
                value_type: value.value_type,
            });
        }
        (errors.len() == before).then_some(keys)
    }

    fn key(&mut self, written: &AstExpr) -> BindResult<Typed> {
        if has_aggregate(written) {
            return Err(wrong(
                Code::MisplacedAggregate,
                "a key is a value of one event, not of a group",
                written.span,
            ));
        }
        self.warn_about_own_values(written);
        self.expression(written)
    }

    /// Warns of a key that has another value in nearly every event.
    fn warn_about_own_values(&mut self, written: &AstExpr) {
        let ExprKind::Field(Field { name, path }) = &written.kind else {
            return;
        };
        let hint = match name.as_str() {
            _ if !path.is_empty() || !matches!(self.names, Names::Events) => return,
            "df_event_id" => "leave BY out to list single events",
            "date" | "time" => "a step in the window groups by time: `[1d::1h]`",
            _ => return,
        };
        let message =
            format!("`{name}` has another value in nearly every event, each makes a group");
        let warning = self.warn(Code::GroupByHighCardinality, message, written.span);
        warning.hint = Some(hint.to_owned());
    }

    /// The key that an expression over groups names: by its alias, or because it is equal to the key.
    pub(super) fn matching_key(&mut self, written: &AstExpr) -> Option<Typed> {
        let is_alias = |alias: Option<&str>| {
            matches!(&written.kind,
            ExprKind::Field(field) if field.path.is_empty() && alias == Some(field.name.as_str()))
        };
        let by_text = self
            .key_texts
            .iter()
            .position(|(alias, key)| *key == written || is_alias(*alias));
        let index = by_text.or_else(|| self.key_by_meaning(written))?;
        let key = self.grouping.as_ref()?.keys.get(index)?;
        Some(Typed::new(column(&format!("k{index}")), key.value_type))
    }

    /// The key of another spelling, such as `time` for `date`, or of an alias of the projection.
    fn key_by_meaning(&mut self, written: &AstExpr) -> Option<usize> {
        if !matches!(written.kind, ExprKind::Field(_) | ExprKind::Call(_)) || has_aggregate(written)
        {
            return None;
        }
        let grouping = self.grouping.take()?;
        let along = std::mem::replace(&mut self.along, Along::Nothing);
        let warnings = self.notes.warnings.len();
        let observations = self.notes.observations.len();
        let occurrences = self.notes.occurrences.len();
        let whole_numbers = self.whole_numbers.len();
        let value = self.expression(written);
        self.notes.occurrences.truncate(occurrences);
        self.whole_numbers.truncate(whole_numbers);
        self.notes.warnings.truncate(warnings);
        let index = value
            .ok()
            .and_then(|value| grouping.keys.iter().position(|key| key.expr == value.expr));
        if index.is_none() {
            self.notes.observations.truncate(observations);
        }
        self.grouping = Some(grouping);
        self.along = along;
        index
    }

    /// A field in an expression over groups: an alias of the projection, or an error, because the rows
    /// of a group may differ in it.
    pub(super) fn grouped_field(&mut self, field: &Field, written: &AstExpr) -> BindResult<Typed> {
        if field.path.is_empty() && self.aliases_visible {
            let items = self.items;
            let aliased = items
                .iter()
                .find(|item| alias_of(item).is_some_and(|alias| alias.text == field.name));
            if let Some(item) = aliased {
                self.aliases_visible = false;
                let value = self.item(item);
                self.aliases_visible = true;
                return value;
            }
        }
        let name = dql::column_name(written);
        let hint = match self.key_texts.is_empty() {
            true => {
                format!("group the events with `BY {name}`, or take one value with `last({name})`")
            }
            false => format!("add `{name}` to BY, or take one value with `last({name})`"),
        };
        let message = format!("the events of a group may differ in `{name}`");
        Err(wrong(Code::NotGrouped, message, written.span)
            .with_hint(hint)
            .into())
    }
}
