//! Statements and clauses.

use std::fmt;

use super::Printer;
use crate::ast::{
    ByItem, Count, Direction, Expr, Ident, Item, Link, LinkKind, Namespace, OrderKey, Outer,
    Script, Select, Show, Source, Statement, Window,
};

impl Printer<'_> {
    /// All statements.
    pub(super) fn script(&mut self, script: &Script) -> fmt::Result {
        self.all(&script.statements, "; ", Self::statement)
    }

    /// One statement.
    pub(super) fn statement(&mut self, statement: &Statement) -> fmt::Result {
        match statement {
            Statement::Select(select) => self.select(select),
            Statement::Show(show) => self.show(show),
            Statement::Outer(outer) => self.outer(outer),
        }
    }

    /// A query.
    pub(super) fn select(&mut self, select: &Select) -> fmt::Result {
        self.origin(select)?;
        self.conditions(select.conditions.as_deref())?;
        self.optional_window(select.window.as_ref())?;
        if let Some(shift) = &select.shift {
            self.text(" SHIFT ")?;
            self.duration(shift)?;
        }
        self.keys("BY", &select.by, Self::by_item)?;
        self.keys("HAVING", &select.having, Self::expr)?;
        self.keys("ORDER BY", &select.order_by, Self::order_key)?;
        self.keys("SORDER BY", select.sorder_by.as_slice(), Self::order_key)?;
        self.count("LIMIT", select.limit)?;
        self.count("OFFSET", select.offset)?;
        self.count("SLIMIT", select.slimit)?;
        self.count("SOFFSET", select.soffset)?;
        match &select.link {
            Some(link) => self.link(link),
            None => Ok(()),
        }
    }

    /// `namespace::sources:(target)`.
    fn origin(&mut self, select: &Select) -> fmt::Result {
        if let Some(namespace) = &select.namespace {
            self.namespace(namespace)?;
        }
        self.all(&select.sources, ", ", Self::source)?;
        self.target(select.target.as_deref())
    }

    /// `:(items)`.
    fn target(&mut self, target: Option<&[Item]>) -> fmt::Result {
        let Some(items) = target else {
            return Ok(());
        };
        self.text(":(")?;
        self.all(items, ", ", Self::item)?;
        self.text(")")
    }

    /// `name::` or `name('index')::`.
    fn namespace(&mut self, namespace: &Namespace) -> fmt::Result {
        self.name(&namespace.name)?;
        if !namespace.indexes.is_empty() {
            self.text("(")?;
            self.all(&namespace.indexes, ", ", |printer, index| {
                printer.string(&index.text)
            })?;
            self.text(")")?;
        }
        self.text("::")
    }

    /// One source.
    pub(super) fn source(&mut self, source: &Source) -> fmt::Result {
        match source {
            Source::Name(name) => self.name(name),
            Source::All(_) => self.text("*"),
            Source::Regex(pattern) => self.pattern(&pattern.text),
            Source::Subquery { query, alias } => {
                self.text("(")?;
                self.select(query)?;
                self.text(")")?;
                self.alias(alias.as_ref())
            }
        }
    }

    /// One item of the projection.
    pub(super) fn item(&mut self, item: &Item) -> fmt::Result {
        self.expr(&item.expr)?;
        if let Some(shift) = &item.shift {
            self.text(" SHIFT ")?;
            self.duration(shift)?;
        }
        self.alias(item.alias.as_ref())
    }

    /// ` AS alias`.
    pub(super) fn alias(&mut self, alias: Option<&Ident>) -> fmt::Result {
        let Some(alias) = alias else {
            return Ok(());
        };
        self.text(" AS ")?;
        self.name(alias)
    }

    /// ` {a, b}`.
    fn conditions(&mut self, conditions: Option<&[Expr]>) -> fmt::Result {
        let Some(conditions) = conditions else {
            return Ok(());
        };
        self.text(" {")?;
        self.all(conditions, ", ", Self::expr)?;
        self.text("}")
    }

    /// ` [from:to:step:rollup]`.
    fn optional_window(&mut self, window: Option<&Window>) -> fmt::Result {
        let Some(window) = window else {
            return Ok(());
        };
        self.text(" ")?;
        self.window(window)
    }

    /// ` CLAUSE a, b`, or nothing without keys.
    fn keys<T>(
        &mut self,
        clause: &str,
        keys: &[T],
        key: impl Fn(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        if keys.is_empty() {
            return Ok(());
        }
        write!(self.out, " {clause} ")?;
        self.all(keys, ", ", key)
    }

    /// One key of `BY`.
    pub(super) fn by_item(&mut self, item: &ByItem) -> fmt::Result {
        self.expr(&item.expr)?;
        self.alias(item.alias.as_ref())?;
        match item.direction {
            Some(Direction::Ascending) => self.text(" ASC"),
            Some(Direction::Descending) => self.text(" DESC"),
            None => Ok(()),
        }
    }

    /// One key of `ORDER BY` or `SORDER BY`.
    pub(super) fn order_key(&mut self, key: &OrderKey) -> fmt::Result {
        self.expr(&key.expr)?;
        match key.direction {
            Direction::Ascending => Ok(()),
            Direction::Descending => self.text(" DESC"),
        }
    }

    /// ` LIMIT n` and its kin.
    fn count(&mut self, clause: &str, count: Option<Count>) -> fmt::Result {
        match count {
            Some(count) => write!(self.out, " {clause} {}", count.value),
            None => Ok(()),
        }
    }

    /// ` LINK query … WITH {…}`.
    fn link(&mut self, link: &Link) -> fmt::Result {
        for query in &link.queries {
            self.text(match link.kind {
                LinkKind::Filter => " FILTER ",
                LinkKind::Link => " LINK ",
            })?;
            self.select(query)?;
        }
        self.text(" WITH")?;
        self.conditions(Some(&link.conditions))
    }

    /// A SHOW statement.
    pub(super) fn show(&mut self, show: &Show) -> fmt::Result {
        self.call(&show.call)?;
        self.conditions(show.conditions.as_deref())?;
        self.optional_window(show.window.as_ref())?;
        self.count("LIMIT", show.limit)?;
        self.count("OFFSET", show.offset)
    }

    /// An outer function with the functions chained to it.
    pub(super) fn outer(&mut self, outer: &Outer) -> fmt::Result {
        self.call(&outer.call)?;
        for call in &outer.chain {
            self.text(".")?;
            self.call(call)?;
        }
        self.count("LIMIT", outer.limit)?;
        self.count("OFFSET", outer.offset)?;
        self.count("SLIMIT", outer.slimit)?;
        self.count("SOFFSET", outer.soffset)
    }
}
