//! Reading a TOML table key by key, keeping every fault, so that all are reported at once.

use std::cell::RefCell;

use toml::{Table, Value};

use crate::template::Template;

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<String>>);

impl Faults {
    pub(super) fn add(&self, fault: impl Into<String>) {
        self.0.borrow_mut().push(fault.into());
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// A table of the manifest. What is never taken from it is a fault, see [`Section::finish`].
pub(super) struct Section<'f> {
    path: String,
    table: Table,
    faults: &'f Faults,
}

impl<'f> Section<'f> {
    pub(super) fn new(path: impl Into<String>, table: Table, faults: &'f Faults) -> Self {
        Self { path: path.into(), table, faults }
    }

    /// Adds a fault that names this table.
    pub(super) fn fault(&self, text: impl std::fmt::Display) {
        let path = if self.path.is_empty() { "manifest" } else { &self.path };
        self.faults.add(format!("{path}: {text}"));
    }

    fn wrong_type(&self, key: &str, wanted: &str, found: &Value) {
        self.fault(format_args!("`{key}` must be {wanted}, not {}", found.type_str()));
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.table.remove(key)? {
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(key, "a string", &other);
                None
            }
        }
    }

    pub(super) fn required_text(&mut self, key: &str) -> String {
        if !self.table.contains_key(key) {
            self.fault(format_args!("`{key}` is missing"));
        }
        self.text(key).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        match self.table.remove(key) {
            None => false,
            Some(Value::Boolean(flag)) => flag,
            Some(other) => {
                self.wrong_type(key, "true or false", &other);
                false
            }
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Option<i64> {
        match self.table.remove(key)? {
            Value::Integer(number) => Some(number),
            other => {
                self.wrong_type(key, "a number", &other);
                None
            }
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong_type(key, "a list of strings", &value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                Value::String(text) => texts.push(text),
                other => self.wrong_type(key, "a list of strings", &other),
            }
        }
        texts
    }

    /// A string that may mention variables.
    pub(super) fn template(&mut self, key: &str) -> Option<Template> {
        let text = self.text(key)?;
        self.parse_template(key, &text)
    }

    pub(super) fn templates(&mut self, key: &str) -> Vec<Template> {
        let texts = self.texts(key);
        texts.iter().filter_map(|text| self.parse_template(key, text)).collect()
    }

    fn parse_template(&self, key: &str, text: &str) -> Option<Template> {
        Template::parse(text).map_err(|fault| self.fault(format_args!("`{key}`: {fault}"))).ok()
    }

    /// A table inside this one; empty if there is none.
    pub(super) fn section(&mut self, key: &str) -> Section<'f> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.wrong_type(key, "a table", &other);
                Table::new()
            }
        };
        Section::new(path, table, self.faults)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The tables of a `[[list]]`.
    pub(super) fn list(&mut self, key: &str) -> Vec<Section<'f>> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.wrong_type(key, "a list of tables", &value);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::Table(table) => {
                    sections.push(Section::new(format!("{}.{key}[{at}]", self.path), table, self.faults));
                }
                other => self.wrong_type(key, "a list of tables", &other),
            }
        }
        sections
    }

    /// The keys not yet taken.
    pub(super) fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// Leaves a key out of account: it is for other tools.
    pub(super) fn ignore(&mut self, key: &str) {
        self.table.remove(key);
    }

    /// Reports what was not taken.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            self.fault(format_args!("`{key}` is not supported by this host"));
        }
    }
}
