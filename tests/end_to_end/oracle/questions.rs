//! Random queries that are right: every function gets what it takes, every name is one.

mod clause;
mod condition;
mod expression;
mod number;
mod point;
mod rows;
mod statement;
mod vocabulary;
mod window;

pub(crate) use vocabulary::Vocabulary;

use dql::ast::{ByItem, Direction, DurationUnit, Expr, ExprKind, Item, OrderKey, Select, Source};

use super::random::Random;
use super::tree::{call, count, duration, field, ident, select};

/// What a name or an item gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gives {
    Text,
    /// A number that is the same in whatever order it is computed, and so are sums of it.
    Number,
    /// A number that is the same in whatever order it is computed; sums of it are not.
    Fraction,
    /// A number whose last digits depend on the order of additions. It is shown, and nothing else: as a
    /// key, in an order, in a condition or as text it would make other answers of other last digits.
    Estimate,
    Json,
    Bool,
}

impl Gives {
    fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Fraction | Self::Estimate)
    }

    /// Whether the values are the same in whatever order they are computed.
    fn is_exact(self) -> bool {
        self != Self::Estimate
    }
}

/// The names that a query can use.
#[derive(Debug, Clone)]
pub(super) struct Names {
    all: Vec<(String, Gives)>,
    are_events: bool,
}

impl Names {
    fn of_population() -> Self {
        let texts = [
            "df_title",
            "df_user_name",
            "df_message",
            "df_cost",
            "df_status",
            "df_source",
            "df_query_type",
            "client_ip",
            "result",
            "df_workspace",
            "df_event_id",
            "df_hit_count",
        ];
        let numbers = ["df_date_range", "date", "time", "df_date_range"];
        let jsons = [
            "code",
            "score",
            "flag",
            "mixed",
            "user",
            "user.name",
            "user@tags.0",
            "a.b",
            "a.b.c",
            "名字",
            "nowhere",
            "attributes@code",
            "df_message@k",
            "@list.1",
            "df_message@a.b.c",
        ];
        let of = |names: &[&str], gives: Gives| -> Vec<(String, Gives)> {
            names
                .iter()
                .map(|name| ((*name).to_owned(), gives))
                .collect()
        };
        Self {
            all: [
                of(&texts, Gives::Text),
                of(&numbers, Gives::Number),
                of(&jsons, Gives::Json),
            ]
            .concat(),
            are_events: true,
        }
    }

    fn of(&self, gives: Gives) -> Vec<&str> {
        let fitting = self.all.iter().filter(|(_, own)| *own == gives);
        fitting.map(|(name, _)| name.as_str()).collect()
    }
}

/// Writes queries by chance.
#[derive(Debug)]
pub(crate) struct Questioner<'r> {
    random: &'r mut Random,
    vocabulary: &'r Vocabulary,
    /// What counts as now.
    now_ms: i64,
    names: Names,
    /// How many queries stand around the one that is written.
    depth: usize,
    /// Whether a condition of `{…}` is written, where alone `IN (query)` can stand.
    in_where: bool,
    /// Whether numbers have to be the same to the last digit, because functions around the query tell small
    /// ones from none.
    is_exact: bool,
    /// The named lists that the conditions of the query ask; `None` where no source can be added.
    lists: Option<Vec<Source>>,
}

/// The projection of a query, with what its columns give.
struct Projection {
    items: Vec<Item>,
    gives: Vec<Gives>,
}

impl Projection {
    fn new() -> Self {
        Self {
            items: Vec::new(),
            gives: Vec::new(),
        }
    }

    fn push(&mut self, item: Item, gives: Gives) {
        let name = |item: &Item| match &item.alias {
            Some(alias) => alias.text.clone(),
            None => dql::column_name(&item.expr),
        };
        if !self.items.iter().any(|known| name(known) == name(&item)) {
            self.items.push(item);
            self.gives.push(gives);
        }
    }
}

impl<'r> Questioner<'r> {
    pub(crate) fn new(random: &'r mut Random, vocabulary: &'r Vocabulary, now_ms: i64) -> Self {
        Self {
            random,
            vocabulary,
            now_ms,
            names: vocabulary.names.clone(),
            depth: 0,
            in_where: false,
            is_exact: false,
            lists: None,
        }
    }

    /// One query.
    pub(crate) fn question(&mut self) -> Select {
        self.query().0
    }

    /// One condition of `{…}`.
    pub(crate) fn filter(&mut self) -> Expr {
        self.in_where = true;
        self.condition(2)
    }

    /// A query that is asked page by page: often one for single events.
    pub(crate) fn page_question(&mut self) -> Select {
        if self.random.percent(60) {
            return self.question();
        }
        let mut query = select(self.sources());
        query.window = self.window();
        if self.random.percent(50) {
            query.conditions = Some(vec![self.filter()]);
            self.in_where = false;
        }
        let projection = self.rows(&mut query);
        if !projection.items.is_empty() {
            query.target = Some(projection.items);
        }
        query
    }

    /// A query, and the names that a query around it can use.
    fn query(&mut self) -> (Select, Names) {
        let over_query = self.depth < 2 && self.random.percent(12);
        let mut query = if over_query {
            self.depth += 1;
            let (inner, names) = self.query();
            self.depth -= 1;
            self.names = names;
            select(vec![Source::Subquery {
                query: Box::new(inner),
                alias: None,
            }])
        } else {
            self.names = self.vocabulary.names.clone();
            select(self.sources())
        };
        query.window = self.window();
        if self.random.percent(70) {
            let count = 1 + self.random.below(2);
            self.in_where = true;
            self.lists = Some(Vec::new());
            query.conditions = Some((0..count).map(|_| self.condition(2)).collect());
            query.sources.extend(self.lists.take().unwrap_or_default());
            self.in_where = false;
        }
        // Over a query with a window of its own, one without has none that could be moved.
        let has_range = !over_query || query.window.is_some();
        if has_range && self.random.percent(4) {
            let units = [DurationUnit::Hour, DurationUnit::Day, DurationUnit::Week];
            let unit = self.random.choose(&units);
            query.shift = Some(duration(1 + u32::from(self.random.percent(40)), unit));
        }
        let names = self.names.clone();
        let projection = match self.random.below(10) {
            0..4 => self.summary(&mut query),
            4..6 if self.random.percent(10) => self.points_of_rows(&mut query),
            4..6 => self.rows(&mut query),
            6 => self.newest(&mut query),
            7 => match self.random.below(4) {
                0 => self.collapsed(&mut query),
                1 => self.histogram(&mut query),
                _ => self.distinct(&mut query),
            },
            8 => self.extreme(&mut query),
            _ => self.points(&mut query),
        };
        self.names = names;
        let names = self.outputs(&query, &projection);
        if !projection.items.is_empty() {
            query.target = Some(projection.items);
        }
        self.limits(&mut query);
        (query, names)
    }

    fn sources(&mut self) -> Vec<Source> {
        let name = |name: &str| Source::Name(ident(name));
        match self.random.below(8) {
            0 => vec![name("audit")],
            1 => vec![name("audit"), name("monitor")],
            2 => vec![Source::Regex(ident("audit.*"))],
            3 => vec![Source::Regex(ident("mon.*")), name("audit")],
            4 => vec![Source::Regex(ident(".*"))],
            _ => vec![Source::All(dql::Span::default())],
        }
    }

    /// The names that a query gives to the one around it.
    fn outputs(&mut self, query: &Select, projection: &Projection) -> Names {
        let mut all: Vec<(String, Gives)> = Vec::new();
        let mut add = |name: String, gives: Gives| {
            let is_name = !name.contains('@') && !name.contains('(');
            if is_name && !all.iter().any(|(known, _)| *known == name) {
                all.push((name, gives));
            }
        };
        if projection.items.is_empty() {
            let stars = self.names.all.iter().filter(|(name, _)| {
                !self.names.are_events
                    || events::field(name).is_some_and(|field| field.name == name)
            });
            stars
                .cloned()
                .for_each(|(name, gives)| match name.as_str() {
                    "date" | "time" => {}
                    _ => add(name, gives),
                });
        }
        for (item, gives) in projection.items.iter().zip(&projection.gives) {
            match &item.alias {
                Some(alias) => add(alias.text.clone(), *gives),
                None => add(dql::column_name(&item.expr), *gives),
            }
        }
        for key in &query.by {
            let gives = self.gives(&key.expr);
            match &key.alias {
                Some(alias) => add(alias.text.clone(), gives),
                None => add(dql::column_name(&key.expr), gives),
            }
        }
        add("time".to_owned(), Gives::Number);
        Names {
            all,
            are_events: false,
        }
    }

    /// A name by whose values rows can be told apart.
    fn name(&mut self) -> (String, Gives) {
        let exact = self.names.all.iter().filter(|(_, gives)| gives.is_exact());
        let exact: Vec<&(String, Gives)> = exact.collect();
        self.random.choose(&exact).clone()
    }

    /// What a key gives: keys are names, or functions of text.
    fn gives(&self, key: &Expr) -> Gives {
        let name = dql::column_name(key);
        let known = self.names.all.iter().find(|(known, _)| *known == name);
        match (known, &key.kind) {
            (Some((_, gives)), _) => *gives,
            (None, ExprKind::Call(_)) => Gives::Text,
            _ => Gives::Json,
        }
    }

    fn alias(&mut self, place: usize) -> Option<String> {
        let style = self.random.below(10);
        match style {
            0 => Some(format!("列{place}{}", self.depth)),
            1 => Some(format!("total count {place}{}", self.depth)),
            // The rows of a query have no functions as names.
            _ if style < 6 || self.depth > 0 => Some(format!("c{place}{}", self.depth)),
            _ => None,
        }
    }

    fn order_key(&mut self, expr: Expr) -> OrderKey {
        let direction = match self.random.percent(50) {
            true => Direction::Ascending,
            false => Direction::Descending,
        };
        OrderKey { expr, direction }
    }

    /// Orders by columns of the projection, by their names or what they say.
    fn order_by_columns(&mut self, query: &mut Select, projection: &Projection) {
        for _ in 0..self.random.below(3) {
            if let Some(expr) = self.column(projection) {
                let key = self.order_key(expr);
                query.order_by.push(key);
            }
        }
    }

    fn column(&mut self, projection: &Projection) -> Option<Expr> {
        let has_many_columns = |item: &Item| item.expr.to_string().starts_with("histogram_auto(");
        if projection.items.is_empty() || projection.items.iter().any(has_many_columns) {
            return None;
        }
        let columns = projection.items.iter().zip(&projection.gives);
        let exact = columns.filter(|(_, gives)| gives.is_exact());
        let exact: Vec<&Item> = exact.map(|(item, _)| item).collect();
        if exact.is_empty() {
            return None;
        }
        let item = self.random.choose(&exact);
        Some(match &item.alias {
            Some(alias) => field(&alias.text),
            None => item.expr.clone(),
        })
    }

    fn keys(&mut self, query: &mut Select) {
        for place in 0..=self.random.below(2) {
            let (expr, alias) = match self.random.below(18) {
                15 if self.textual_name().is_some() => {
                    let template = self.template();
                    (template, Some(format!("k{place}{}", self.depth)))
                }
                0..3 => {
                    let texts = self.names.of(Gives::Text);
                    match texts.is_empty() {
                        true => (field("time"), None),
                        false => {
                            let name = self.random.choose(&texts).to_owned();
                            let lower = call("lower", vec![field(&name)]);
                            (lower, Some(format!("k{place}{}", self.depth)))
                        }
                    }
                }
                _ => (field(&self.name().0), None),
            };
            let alias = match alias {
                None if self.random.percent(20) => Some(format!("k{place}{}", self.depth)),
                alias => alias,
            };
            let name = |key: &ByItem| key.expr.to_string();
            if !query.by.iter().any(|key| name(key) == expr.to_string()) {
                query.by.push(ByItem {
                    expr,
                    alias: alias.as_deref().map(ident),
                    direction: None,
                });
            }
        }
        // Two names of one field are one key.
        if query.by.len() == 2 && self.random.percent(50) {
            query.by.pop();
        }
    }

    fn limits(&mut self, query: &mut Select) {
        let mut number = |percent: usize, least: usize, below: usize| {
            let written = self.random.percent(percent);
            let number = least + self.random.below(below);
            written.then(|| count(u64::try_from(number).unwrap()))
        };
        query.limit = number(35, 1, 12);
        query.offset = number(15, 0, 4);
        if !query.by.is_empty() {
            query.slimit = number(35, 1, 5);
            query.soffset = number(15, 0, 3);
        }
    }
}
