//! Tables without lines, as wide as what is in them.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

use super::View;
use crate::failure::clean;
use crate::parse::render_moment;

/// A column: its head, and how a row's cell is found.
pub(crate) struct Column {
    head: &'static str,
    find: Find,
}

enum Find {
    Path(&'static str),
    With(fn(&Value) -> String),
}

/// A field that is a list of things, and the columns it is shown in.
pub(crate) struct Section {
    /// The field.
    pub(crate) field: &'static str,
    /// The columns.
    pub(crate) columns: &'static [Column],
}

impl Column {
    /// A column that shows a field; a dot leads into an object.
    pub(crate) const fn of(head: &'static str, path: &'static str) -> Self {
        Self { head, find: Find::Path(path) }
    }

    fn cell(&self, row: &Value) -> String {
        match self.find {
            Find::Path(path) => cell(row, path),
            Find::With(render) => render(row),
        }
    }

    /// Numbers stand one below the other; times are told as dates.
    fn is_figure(&self, rows: &[Value]) -> bool {
        match self.find {
            Find::Path(path) => {
                !is_moment(path) && rows.iter().any(|row| find(row, path).is_some_and(Value::is_number))
            }
            Find::With(_) => false,
        }
    }
}

/// A column that is put together from several fields.
pub(crate) const fn with(head: &'static str, render: fn(&Value) -> String) -> Column {
    Column { head, find: Find::With(render) }
}

/// Renders the field of a row that a path leads to.
pub(crate) fn cell(row: &Value, path: &str) -> String {
    find(row, path).map_or_else(|| "-".to_owned(), |value| render(path, value))
}

fn find<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    let found = path.split('.').try_fold(row, |value, name| value.get(name))?;
    (!found.is_null()).then_some(found)
}

/// Times are the fields named `at` and `…_at`, in every answer of the service.
fn is_moment(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    name == "at" || name.ends_with("_at")
}

fn render(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => clean(text),
        Value::Number(number) if is_moment(name) => {
            number.as_u64().map_or_else(|| number.to_string(), render_moment)
        }
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => {
            let shown: Vec<String> = items.iter().map(|item| render("", item)).collect();
            shown.join(if items.iter().any(Value::is_object) { "; " } else { ", " })
        }
        Value::Object(fields) => {
            let shown: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} {}", render(name, value))).collect();
            shown.join(", ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Renders a list.
pub(crate) fn many(rows: &[Value], columns: &[Column]) -> String {
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.head));
    for row in rows {
        table.add_row(columns.iter().map(|column| column.cell(row)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(drawn) = table.column_mut(index).filter(|_| column.is_figure(rows)) {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    draw(&mut table)
}

/// Renders one thing, a field a line, and its lists as tables below.
pub(super) fn one(value: &Value, view: &View) -> String {
    let Some(fields) = value.as_object() else { return format!("{}\n", render("", value)) };
    let is_section = |name: &str| view.sections.iter().any(|section| section.field == name);
    let ordered = view.order.iter().copied().filter(|name| fields.contains_key(*name));
    let others = fields.keys().map(String::as_str).filter(|name| !view.order.contains(name));
    let mut table = plain();
    for name in ordered.chain(others).filter(|name| !is_section(name)) {
        table.add_row([name.to_owned(), cell(value, name)]);
    }
    let mut text = draw(&mut table);
    for section in view.sections {
        let rows = fields.get(section.field).and_then(Value::as_array);
        if let Some(rows) = rows.filter(|rows| !rows.is_empty()) {
            text.push_str(&format!("\n{}\n{}", section.field, many(rows, section.columns)));
        }
    }
    text
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// Draws with two spaces between columns and none at either end of a line.
fn draw(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: &[Column] = &[
        Column::of("NAME", "name"),
        Column::of("DEVICES", "counts.total"),
        Column::of("SINCE", "created_at"),
        with("KIND", |row| format!("<{}>", cell(row, "kind"))),
    ];

    #[test]
    fn a_list_has_a_head_and_columns_as_wide_as_their_cells() {
        let rows = [
            json!({ "name": "lamp-1", "counts": { "total": 5 }, "created_at": 0, "kind": "a" }),
            json!({ "name": "a-longer-name", "counts": { "total": 12000 }, "kind": null }),
        ];
        let wanted = "\
NAME           DEVICES  SINCE                 KIND
lamp-1               5  1970-01-01T00:00:00Z  <a>
a-longer-name    12000  -                     <->
";
        assert_eq!(many(&rows, COLUMNS), wanted);
        assert_eq!(many(&[], COLUMNS), "NAME  DEVICES  SINCE  KIND\n");
    }

    #[test]
    fn one_thing_is_shown_a_field_a_line_and_nothing_is_left_out() {
        const VIEW: View = View {
            id: "id",
            order: &["id", "status", "missing"],
            sections: &[Section { field: "modules", columns: &[Column::of("NAME", "name")] }],
        };
        let value = json!({ "added_later": { "on": true, "at": 1000 }, "id": "x", "status": "", "modules": [{ "name": "mcu" }] });
        let wanted = "\
id           x
status       -
added_later  at 1970-01-01T00:00:01Z, on true

modules
NAME
mcu
";
        assert_eq!(one(&value, &VIEW), wanted);
    }

    #[test]
    fn what_devices_wrote_is_not_obeyed_by_the_terminal() {
        assert_eq!(render("x", &json!("\u{1b}]0;title\u{7}")), "\u{fffd}]0;title\u{fffd}");
        assert_eq!(render("x", &json!(["a", "b\n"])), "a, b\u{fffd}");
    }
}
