//! The field catalogue: one table from which schema, documentation and name lookup follow.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

/// When the event happened.
pub const DATE: &str = "date";
/// The id of the event.
pub const EVENT_ID: &str = "df_event_id";
/// The workspace that the event belongs to.
pub const WORKSPACE: &str = "df_workspace";
/// The kind of event.
pub const SOURCE: &str = "df_source";
/// The status of the event.
pub const STATUS: &str = "df_status";
/// Everything that no other column holds.
pub const ATTRIBUTES: &str = "attributes";
/// When Vouch began to make the event durable.
pub const RECEIVED: &str = "vouch_received";
/// Who delivered the event.
pub const SENDER: &str = "vouch_sender";
/// The door that the event came through.
pub const DOOR: &str = "vouch_door";
/// The batch that brought the event.
pub const BATCH: &str = "vouch_batch";
/// The id that the producer gave the event, when another event had it.
pub const CONFLICT: &str = "vouch_conflict";

/// The member of [`ATTRIBUTES`] that holds values which a field of the event did not get.
pub const RECORDED: &str = "recorded";
/// The member of [`RECORDED`] with the workspace that a mapping found, where another one was given.
pub const RECORDED_WORKSPACE: &str = "workspace";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// A signed 64-bit integer.
    Int,
    /// Text.
    String,
    /// Text that holds one JSON object.
    Json,
}

impl FieldType {
    /// The type as the documentation calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::String => "string",
            Self::Json => "json",
        }
    }
}

/// What happens when an event does not give a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The event is refused.
    Refused,
    /// The field gets this value.
    Default(&'static str),
    /// The field is derived, or the event is refused; the text says how.
    Derived(&'static str),
    /// The field stays null.
    Null,
}

/// Who sets a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// The producer of the event, or the mapping of its record.
    Producer,
    /// Vouch, about how it got the event. What a producer gives under the name is an attribute.
    Vouch,
}

/// One column of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its number, by which digests tell it from other fields. It is never changed, and never given to
    /// another field, also when the field is gone.
    pub number: u32,
    /// The column's name, and the name in queries.
    pub name: &'static str,
    /// What it holds.
    pub field_type: FieldType,
    /// Other names of the same field, on the way in and in queries.
    pub aliases: &'static [&'static str],
    /// The unit of a number or of the number in a text.
    pub unit: Option<&'static str>,
    /// What a missing value becomes.
    pub absence: Absence,
    /// Who gives the value.
    pub set_by: SetBy,
    /// Whether queries see the field.
    pub in_dql: bool,
    /// What the value means.
    pub meaning: &'static str,
}

impl Field {
    const fn text(number: u32, name: &'static str, meaning: &'static str) -> Self {
        Self {
            number,
            name,
            field_type: FieldType::String,
            aliases: &[],
            unit: None,
            absence: Absence::Null,
            set_by: SetBy::Producer,
            in_dql: true,
            meaning,
        }
    }

    const fn int(number: u32, name: &'static str, meaning: &'static str) -> Self {
        let field = Self::text(number, name, meaning);
        Self {
            field_type: FieldType::Int,
            ..field
        }
    }

    const fn json(number: u32, name: &'static str, meaning: &'static str) -> Self {
        let field = Self::text(number, name, meaning);
        Self {
            field_type: FieldType::Json,
            ..field
        }
    }

    const fn unit(self, unit: &'static str) -> Self {
        Self {
            unit: Some(unit),
            ..self
        }
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn absence(self, absence: Absence) -> Self {
        Self { absence, ..self }
    }

    /// Names of such fields begin with [`VOUCH_PREFIX`].
    const fn set_by_vouch(self) -> Self {
        Self {
            set_by: SetBy::Vouch,
            ..self
        }
    }
}

/// What the names of fields that Vouch sets begin with, those of later versions too.
const VOUCH_PREFIX: &str = "vouch_";

/// Whether Vouch, of this version or a later one, sets the field of that name.
pub(crate) fn is_of_vouch(name: &str) -> bool {
    name.starts_with(VOUCH_PREFIX)
}

/// The position of [`DATE`] in [`FIELDS`].
pub(crate) const DATE_COLUMN: usize = 0;
/// The position of [`EVENT_ID`] in [`FIELDS`].
pub(crate) const EVENT_ID_COLUMN: usize = 6;
/// The position of [`WORKSPACE`] in [`FIELDS`].
pub(crate) const WORKSPACE_COLUMN: usize = 21;
/// The position of [`ATTRIBUTES`] in [`FIELDS`].
pub(crate) const ATTRIBUTES_COLUMN: usize = 37;
/// The position of [`CONFLICT`] in [`FIELDS`].
pub(crate) const CONFLICT_COLUMN: usize = 42;

/// How many of [`FIELDS`], from the first on, the Guance/TrueWatch documentation of audit events
/// lists. The others are Vouch's, for what other audit products record.
pub const DOCUMENTED_FIELDS: usize = 22;

/// How many of [`FIELDS`], from the first on, there were when digests of batches were first kept.
pub(crate) const FIRST_FIELDS: usize = 38;

/// Every column, in the order in which they are stored, which is that of their numbers: a new field comes
/// last. The names, the types and the spelling of
/// `df_query_typeDQL` are those of the Guance/TrueWatch documentation ("Operation audit").
#[rustfmt::skip]
pub static FIELDS: [Field; 43] = [
    Field::int(1, DATE, "when the event happened").unit("ms since 1970-01-01T00:00:00Z").aliases(&["time"]).absence(Absence::Refused),
    Field::int(2, "df_date_range", "length of the time range that the event is about").unit("s"),
    Field::text(3, SOURCE, "kind of event; `audit` for audit events").absence(Absence::Default("audit")),
    Field::text(4, STATUS, "status of the event: `info`, or `error` when what was attempted failed; other products use more values").absence(Absence::Default("info")),
    Field::text(5, "df_origin", "how the action reached the product: `front` (console), `openapi`, `manage` (back office), `inner` (the product itself)"),
    Field::text(6, "df_menu", "part of the product that was used, such as a menu path or a service"),
    Field::text(7, EVENT_ID, "id of the event, unique within its workspace and day").absence(Absence::Derived("a UUID (version 8) derived from where the event came from or from its content, so that a repeated delivery gives the same id; an empty text counts as missing")),
    Field::text(8, "df_title", "title of the event"),
    Field::text(9, "df_message", "description of the event"),
    Field::text(10, "df_user_id", "id of the user who acted"),
    Field::text(11, "df_user_name", "name of the user who acted"),
    Field::text(12, "df_user_email", "e-mail address of the user who acted"),
    Field::text(13, "df_user_team", "team of the user at that time"),
    Field::text(14, "df_role_scope", "roles that the user held at that time"),
    Field::text(15, "df_operation_id", "id of the operation or of the thing operated on"),
    Field::text(16, "df_operation_name", "name of the operation or of the thing operated on"),
    Field::text(17, "df_query_typeDQL", "type of the query, when the event is about a query").aliases(&["df_query_type"]),
    Field::text(18, "df_query", "text of the query that the user ran"),
    Field::text(19, "df_query_range", "time range that the query covered").unit("ms, as text"),
    Field::text(20, "df_cost", "time that the query took").unit("ms, as text"),
    Field::text(21, "df_hit_count", "number of rows that the query hit, as text"),
    Field::text(22, WORKSPACE, "workspace that the event belongs to: 1 to 128 of `A-Z a-z 0-9 _ . -`").absence(Absence::Derived("the workspace given with the import or the request; without one the event is refused. An event that names another workspace than the one given is refused too")),
    Field::text(23, "action", "machine name of what was done, such as `user.login_failed`"),
    Field::text(24, "category", "class of the action"),
    Field::text(25, "product", "product that recorded the event"),
    Field::text(26, "project", "project, account, namespace or repository inside the workspace"),
    Field::text(27, "result", "outcome: `Success`, `Failure`, or the code that the product gave"),
    Field::text(28, "client_ip", "address the request came from, as recorded: it may be a host or service name"),
    Field::text(29, "user_agent", "program that sent the request"),
    Field::text(30, "device_id", "device that was used"),
    Field::text(31, "session_id", "session that the action belongs to"),
    Field::text(32, "country", "country the request came from"),
    Field::text(33, "city", "city the request came from"),
    Field::text(34, "token_id", "key or token that authenticated the request (its id, not its secret)"),
    Field::text(35, "target_user", "user acted upon"),
    Field::text(36, "impersonator", "who acted on the user's behalf"),
    Field::text(37, "comments", "remarks, such as a stated reason"),
    Field::json(38, ATTRIBUTES, "everything else that the event carried, as one JSON object"),
    Field::int(39, RECEIVED, "when Vouch began to make the event durable, by the store's time; of an import the time of its commit").unit("ms since 1970-01-01T00:00:00Z").set_by_vouch(),
    Field::text(40, SENDER, "who delivered the event: the address of the connection").set_by_vouch(),
    Field::text(41, DOOR, "how the event came in: `http`, `grpc`, `otlp_http`, `otlp_grpc`, `import`, or `vouch` for what Vouch itself recorded; with a mapping its name after a colon, such as `http:cloudtrail`").set_by_vouch(),
    Field::text(42, BATCH, "the numbered batch that brought the event, as `producer/number`").set_by_vouch(),
    Field::text(43, CONFLICT, "the id that the producer gave the event, when another event of the day had it already").set_by_vouch(),
];

static BY_NAME: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    let mut columns = HashMap::new();
    for (column, field) in FIELDS.iter().enumerate() {
        for name in std::iter::once(&field.name).chain(field.aliases) {
            columns.insert(*name, column);
        }
    }
    columns
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns = FIELDS.iter().map(|field| {
        let data_type = match field.field_type {
            FieldType::Int => DataType::Int64,
            FieldType::String | FieldType::Json => DataType::Utf8,
        };
        ArrowField::new(field.name, data_type, true)
    });
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
});

static VIEW_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let columns = SCHEMA.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(DataType::Utf8View),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
});

/// The position in [`FIELDS`] of the field with this name or alias. Names are case-sensitive.
pub fn column(name: &str) -> Option<usize> {
    BY_NAME.get(name).copied()
}

/// The field with this name or alias. Names are case-sensitive.
pub fn field(name: &str) -> Option<&'static Field> {
    column(name).map(|column| &FIELDS[column])
}

/// The Arrow schema of events: one column a field, `Int64` or `Utf8`. Every column is nullable,
/// as readers of the files differ in how they treat others; [`crate::Event`] ensures that those
/// that an event must have are there.
pub fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// The [`schema`] as questions read it: text as views, which filter and group faster.
pub fn view_schema() -> SchemaRef {
    Arc::clone(&VIEW_SCHEMA)
}

/// The page `docs/fields.md`.
pub fn fields_markdown() -> String {
    let mut page = include_str!("fields_head.md").to_owned();
    let (documented, added) = FIELDS.split_at(DOCUMENTED_FIELDS);
    let (added, set) = added.split_at(FIRST_FIELDS - DOCUMENTED_FIELDS);
    page.push_str("\n## Documented fields\n\nUnder the names, and with the types, of the Guance/TrueWatch documentation of audit events.\n\n");
    write_table(&mut page, documented);
    page.push_str("\n## Fields of other audit products\n\n");
    write_table(&mut page, added);
    page.push_str("\n## Fields that Vouch sets\n\nWhen, how and from whom Vouch got the event. `*` does not select them; a query names them. They are null in events that came before Vouch set them. What a producer sends under these names, or another one that begins with `vouch_`, is kept in `attributes`, under `recorded`.\n\n");
    write_table(&mut page, set);
    page.push('\n');
    page.push_str(include_str!("fields_tail.md"));
    page
}

fn write_table(page: &mut String, fields: &[Field]) {
    page.push_str("| field | type | unit | other names | meaning | when missing |\n|---|---|---|---|---|---|\n");
    for field in fields {
        let aliases: Vec<String> = field
            .aliases
            .iter()
            .map(|alias| format!("`{alias}`"))
            .collect();
        let absence = match field.absence {
            Absence::Refused => "the event is refused".to_owned(),
            Absence::Default(value) => format!("`{value}`"),
            Absence::Derived(how) => how.to_owned(),
            Absence::Null => "null".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            field.name,
            field.field_type.as_str(),
            field.unit.unwrap_or(""),
            aliases.join(", "),
            field.meaning,
            absence,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The BLAKE3 digest of the numbers and names of the first fields, a line each.
    const FIRST_FIELDS_DIGEST: &str =
        "fa0d4cd487c0f8c155ecab55ac711ec516a8c17a82e0e85926e9009fae996281";

    #[test]
    fn no_name_is_given_twice() {
        let names = FIELDS
            .iter()
            .map(|field| 1 + field.aliases.len())
            .sum::<usize>();
        assert_eq!(BY_NAME.len(), names);
        assert_eq!(schema().fields().len(), FIELDS.len());
    }

    /// Digests that are kept depend on the numbers, and on the order of the first fields.
    #[test]
    fn numbers_stay_and_new_fields_come_last() {
        let names: Vec<String> = FIELDS
            .iter()
            .take(FIRST_FIELDS)
            .map(|field| format!("{} {}", field.number, field.name))
            .collect();
        assert_eq!(
            blake3::hash(names.join("\n").as_bytes()).to_hex().as_str(),
            FIRST_FIELDS_DIGEST
        );
        let numbers: Vec<u32> = FIELDS.iter().map(|field| field.number).collect();
        assert!(
            numbers.is_sorted_by(|left, right| left < right),
            "{numbers:?}"
        );
    }

    #[test]
    fn a_field_is_found_by_name_and_by_alias() {
        assert_eq!(field("time").unwrap().name, DATE);
        assert_eq!(field("df_query_type").unwrap().name, "df_query_typeDQL");
        assert_eq!(field("Date"), None);
        assert_eq!(
            FIELDS[column(ATTRIBUTES).unwrap()].field_type,
            FieldType::Json
        );
        assert_eq!(column(ATTRIBUTES), Some(ATTRIBUTES_COLUMN));
        assert_eq!(column(DATE), Some(DATE_COLUMN));
        assert_eq!(column(EVENT_ID), Some(EVENT_ID_COLUMN));
        assert_eq!(column(WORKSPACE), Some(WORKSPACE_COLUMN));
        assert_eq!(column(CONFLICT), Some(CONFLICT_COLUMN));
        for field in &FIELDS {
            let names = std::iter::once(&field.name).chain(field.aliases);
            let is_set = field.set_by == SetBy::Vouch;
            assert!(
                names.into_iter().all(|name| is_of_vouch(name) == is_set),
                "{}",
                field.name
            );
        }
        let set: Vec<bool> = FIELDS
            .iter()
            .map(|field| field.set_by == SetBy::Vouch)
            .collect();
        assert!(
            set[..FIRST_FIELDS].iter().all(|set| !set)
                && set[FIRST_FIELDS..].iter().all(|set| *set)
        );
        assert_eq!(FIELDS[DOCUMENTED_FIELDS - 1].name, WORKSPACE);
    }

    #[test]
    fn the_committed_page_is_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fields.md");
        let page = fields_markdown();
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == page,
            "docs/fields.md is stale: run UPDATE_EXPECTED=1 cargo test -p events"
        );
    }
}
