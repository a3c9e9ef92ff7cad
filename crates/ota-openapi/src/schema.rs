//! What a value looks like: JSON Schema (draft 2020-12), as OpenAPI 3.1 has it.

use ota_core::limits;
use serde_json::{Map, Value, json};

/// The schema of one value.
#[derive(Clone, Debug)]
pub(crate) struct Schema(Value);

/// A field of an object.
pub(crate) struct Field {
    name: &'static str,
    schema: Schema,
    required: bool,
}

/// A field that is always there.
pub(crate) fn must(name: &'static str, schema: Schema) -> Field {
    Field { name, schema, required: true }
}

/// A field that may be left out.
pub(crate) fn may(name: &'static str, schema: Schema) -> Field {
    Field { name, schema, required: false }
}

/// A text.
pub(crate) fn text() -> Schema {
    Schema(json!({"type": "string"}))
}

/// A whole number that is not negative.
pub(crate) fn whole() -> Schema {
    Schema(json!({"type": "integer", "minimum": 0}))
}

/// True or false.
pub(crate) fn flag() -> Schema {
    Schema(json!({"type": "boolean"}))
}

/// A moment: milliseconds since 1970 UTC.
pub(crate) fn moment(what: &str) -> Schema {
    whole().says(&format!("{what} In milliseconds since 1970 UTC."))
}

/// An id of ours: random bytes in hexadecimal digits, which have one spelling.
pub(crate) fn id() -> Schema {
    text().pattern("^[0-9a-f]{32}$")
}

/// A digest in hexadecimal digits.
pub(crate) fn digest(digits: usize) -> Schema {
    text().pattern(&format!("^[0-9a-f]{{{digits}}}$"))
}

/// One of some words.
pub(crate) fn words(words: impl IntoIterator<Item = &'static str>) -> Schema {
    let words: Vec<&str> = words.into_iter().collect();
    Schema(json!({"type": "string", "enum": words}))
}

/// One of some numbers.
pub(crate) fn numbers(numbers: impl IntoIterator<Item = u64>) -> Schema {
    let numbers: Vec<u64> = numbers.into_iter().collect();
    Schema(json!({"type": "integer", "enum": numbers}))
}

/// A list.
pub(crate) fn list(items: Schema) -> Schema {
    Schema(json!({"type": "array", "items": items.0}))
}

/// Whatever JSON can say in an object; other pages tell what.
pub(crate) fn anything() -> Schema {
    Schema(json!({"type": "object"}))
}

/// Bytes, as they are.
pub(crate) fn bytes() -> Schema {
    Schema(json!({}))
}

/// A schema that stands under a name in the document.
pub(crate) fn named(name: &str) -> Schema {
    Schema(json!({"$ref": format!("#/components/schemas/{name}")}))
}

/// An object that is answered: it has these fields and no other.
pub(crate) fn object<const N: usize>(fields: [Field; N]) -> Schema {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in fields {
        if field.required {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), field.schema.0);
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    // An empty list of what is required says nothing.
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    Schema(schema)
}

/// An object that is asked for: a field that may be left out may as well be `null`, and a field that is not listed is refused.
pub(crate) fn request<const N: usize>(fields: [Field; N]) -> Schema {
    object(fields.map(|field| match field.required {
        true => field,
        false => Field { schema: field.schema.nullable(), ..field },
    }))
}

/// A page of a list.
pub(crate) fn page(item: Schema) -> Schema {
    object([
        must("items", list(item)),
        may("next_cursor", text().says("Where the next page begins; not there on the last.")),
    ])
}

impl Schema {
    /// Adds what it means.
    pub(crate) fn says(self, words: &str) -> Self {
        self.with("description", words)
    }

    /// Bounds a text's length, in characters.
    pub(crate) fn len(self, min: usize, max: usize) -> Self {
        self.with("minLength", min).with("maxLength", max)
    }

    /// Asks for a form of the text: a regular expression of ECMA 262.
    pub(crate) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    /// Bounds a number.
    pub(crate) fn range(self, min: impl Into<u64>, max: impl Into<u64>) -> Self {
        self.with("minimum", min.into()).with("maximum", max.into())
    }

    /// Bounds a list; what stands in it stands there once.
    pub(crate) fn items(self, min: usize, max: usize) -> Self {
        self.with("minItems", min).with("maxItems", max).with("uniqueItems", true)
    }

    /// Says what holds when the field is left out.
    pub(crate) fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }

    fn with(mut self, keyword: &str, value: impl Into<Value>) -> Self {
        self.0[keyword] = value.into();
        self
    }

    /// Says that it may be `null`.
    pub(crate) fn nullable(mut self) -> Self {
        if let Some(Value::Array(words)) = self.0.get_mut("enum") {
            words.push(Value::Null);
        }
        match self.0.get("type").cloned() {
            Some(kind @ Value::String(_)) => self.with("type", json!([kind, "null"])),
            Some(_) => self,
            None => {
                let says = self.0.get("description").cloned();
                let either = Self(json!({"anyOf": [self.0, {"type": "null"}]}));
                match says {
                    Some(says) => either.with("description", says),
                    None => either,
                }
            }
        }
    }

    /// Returns the schema as it stands in the document.
    pub(crate) fn into_value(self) -> Value {
        self.0
    }
}

// Names, whose forms several nouns share.

/// The characters of names that stand in topics and versions.
const PLAIN: &str = "^[A-Za-z0-9._-]+$";

/// A product's key.
pub(crate) fn product_key() -> Schema {
    text().len(1, limits::PRODUCT_KEY_LEN_MAX).pattern("^[A-Za-z0-9]+$").says("A product's key.")
}

/// A device's name.
pub(crate) fn device_name() -> Schema {
    let name = text().len(limits::DEVICE_NAME_LEN_MIN, limits::DEVICE_NAME_LEN_MAX);
    name.pattern("^[A-Za-z0-9._@:-]+$").says("A device's name, unique in its product.")
}

/// A module's name.
pub(crate) fn module_name() -> Schema {
    let says = "A module's name; `default` is the whole device.";
    text().len(1, limits::MODULE_NAME_LEN_MAX).pattern(PLAIN).says(says)
}

/// A version.
pub(crate) fn version() -> Schema {
    text()
        .len(1, limits::VERSION_LEN_MAX)
        .pattern(PLAIN)
        .says("A version; versions are compared for equality only.")
}

/// A token's name.
pub(crate) fn token_name() -> Schema {
    text().len(1, limits::TOKEN_NAME_LEN_MAX).pattern(PLAIN)
}

/// Text for people.
pub(crate) fn description() -> Schema {
    text().len(0, limits::DESCRIPTION_LEN_MAX).says("For people.")
}

/// A province, or a city in one.
pub(crate) fn region() -> Schema {
    let code = || text().len(1, limits::REGION_CODE_LEN_MAX).pattern("^[A-Za-z0-9_-]+$");
    request([must("province", code()), may("city", code())])
        .says("A province, or a city in one, by codes of the operator's.")
}
