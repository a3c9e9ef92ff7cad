//! Strings of the manifest that mention variables: `"{{ mqtt_address }}/x"`.

use std::collections::BTreeMap;

/// A string with `{{ name }}` holes, checked when the manifest is read and filled once the variables are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

/// Why a string is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{{` is never closed.
    Unclosed,
    /// What stands between the braces is no variable name.
    BadName(String),
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unclosed => f.write_str("`{{` without `}}`"),
            Self::BadName(name) => write!(f, "`{name}` is no variable name"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("{{") {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let (name, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            let name = name.trim();
            if !is_variable_name(name) {
                return Err(TemplateError::BadName(name.to_owned()));
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The variables that the template mentions.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// Fills the holes. A variable without a value is returned as the error.
    pub fn resolve(&self, values: &BTreeMap<String, String>) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Variable(name) => text.push_str(values.get(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(text)
    }
}

/// Whether `name` follows Spin's rule for variables: lower-case words joined by single underscores.
pub fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> BTreeMap<String, String> {
        [("a".to_owned(), "1".to_owned()), ("b_c".to_owned(), "2".to_owned())].into()
    }

    #[test]
    fn holes_are_filled_with_or_without_spaces() {
        let template = Template::parse("x-{{ a }}{{b_c}}-y").unwrap();
        assert_eq!(template.resolve(&values()).unwrap(), "x-12-y");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["a", "b_c"]);
    }

    #[test]
    fn an_empty_string_is_a_template() {
        assert_eq!(Template::parse("").unwrap().resolve(&values()).unwrap(), "");
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(Template::parse("{{ zzz }}").unwrap().resolve(&values()), Err("zzz".to_owned()));
    }

    #[test]
    fn broken_templates_are_refused() {
        assert_eq!(Template::parse("{{ a } }"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse("{{ A }}"), Err(TemplateError::BadName("A".to_owned())));
        assert_eq!(Template::parse("{{}}"), Err(TemplateError::BadName(String::new())));
    }
}
