//! Reading a JSON request so that every fault is found: wrong types, unknown fields, and then the rules' own.
//!
//! A derived deserializer stops at the first fault, so requests are read field by field: a [`Fields`] notes what is
//! wrong where, and what nobody asked for.

use ota_core::error::{Faults, ValueError};
use serde_json::{Map, Value};

use crate::Problem;

/// A request's body.
pub struct Document {
    bytes: Vec<u8>,
    root: Map<String, Value>,
}

impl Document {
    /// Parses a body, which must be a JSON object. An empty body is an empty object.
    ///
    /// # Errors
    /// `request.malformed`, with the place.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Problem> {
        if bytes.is_empty() {
            return Ok(Self { bytes, root: Map::new() });
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(root)) => Ok(Self { bytes, root }),
            Ok(_) => Err(Problem::new("request.malformed", "the body must be a JSON object")),
            Err(error) => Err(Problem::new("request.malformed", format!("the body is not JSON: {error}"))),
        }
    }

    /// Returns the bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the fields; `read` may be called once for each, and what it does not ask for is a fault.
    ///
    /// # Errors
    /// The faults of types and unknown fields. `read` gets a place to add its own.
    pub fn read<'a, T>(&'a self, read: impl FnOnce(&mut Fields<'a>, &mut Faults) -> T) -> (T, Faults) {
        let mut faults = Faults::new();
        let mut fields = Fields { map: &self.root, prefix: String::new(), known: Vec::new() };
        let answer = read(&mut fields, &mut faults);
        fields.refuse_unknown(&mut faults);
        (answer, faults)
    }
}

/// The fields of one JSON object. `null` is the same as absent.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    prefix: String,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn take<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        faults: &mut Faults,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        self.known.push(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        let read = read(value);
        if read.is_none() {
            faults.add(&self.pointer(name), &ValueError::Malformed { expected });
        }
        read
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.prefix, name.replace('~', "~0").replace('/', "~1"))
    }

    /// Returns what a field says, if it is there at all: where `null` says something, leaving the field out says nothing.
    pub fn said(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name)
    }

    /// Returns a text.
    pub fn text(&mut self, name: &'static str, faults: &mut Faults) -> Option<&'a str> {
        self.take(name, "a string", faults, Value::as_str)
    }

    /// Returns a flag.
    pub fn flag(&mut self, name: &'static str, faults: &mut Faults) -> Option<bool> {
        self.take(name, "true or false", faults, Value::as_bool)
    }

    /// Returns a whole number that fits the type.
    pub fn number<T: TryFrom<u64>>(&mut self, name: &'static str, faults: &mut Faults) -> Option<T> {
        self.take(name, "a whole number that is not negative nor huge", faults, |value| {
            value.as_u64().and_then(|number| T::try_from(number).ok())
        })
    }

    /// Returns a list of texts.
    pub fn texts(&mut self, name: &'static str, faults: &mut Faults) -> Option<Vec<&'a str>> {
        self.take(name, "a list of strings", faults, |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// Reads an object inside.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        read: impl FnOnce(&mut Fields<'a>, &mut Faults) -> T,
    ) -> Option<T> {
        let map = self.take(name, "an object", faults, Value::as_object)?;
        Some(Self::inside(map, self.pointer(name), faults, read))
    }

    /// Reads a list of objects inside.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
        mut read: impl FnMut(&mut Fields<'a>, &mut Faults) -> T,
    ) -> Option<Vec<T>> {
        let maps: Vec<&Map<String, Value>> = self.take(name, "a list of objects", faults, |value| {
            value.as_array()?.iter().map(Value::as_object).collect()
        })?;
        let pointer = self.pointer(name);
        let items = maps.into_iter().enumerate();
        Some(items.map(|(at, map)| Self::inside(map, format!("{pointer}/{at}"), faults, &mut read)).collect())
    }

    fn inside<T>(
        map: &'a Map<String, Value>,
        prefix: String,
        faults: &mut Faults,
        read: impl FnOnce(&mut Fields<'a>, &mut Faults) -> T,
    ) -> T {
        let mut fields = Fields { map, prefix, known: Vec::new() };
        let answer = read(&mut fields, faults);
        fields.refuse_unknown(faults);
        answer
    }

    fn refuse_unknown(&self, faults: &mut Faults) {
        for name in self.map.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let why = "the request has no such field";
            faults.add(&self.pointer(name), &ValueError::NotAllowed { why });
        }
    }
}

/// Reads `tags`: keys and values.
pub fn tags<'a>(fields: &mut Fields<'a>, faults: &mut Faults) -> Vec<(&'a str, &'a str)> {
    let tags = fields.objects("tags", faults, |tag, faults| {
        (tag.text("key", faults).unwrap_or_default(), tag.text("value", faults).unwrap_or_default())
    });
    tags.unwrap_or_default()
}

/// Joins the faults of reading with those of the rules, so that the caller sees all of them. A field that could not be
/// read looks absent to the rules; what they say of it is left out.
///
/// # Errors
/// All faults.
pub fn join<T>(reading: Faults, checked: Result<T, Faults>) -> Result<T, Problem> {
    let mut all = reading;
    let read_pointers: Vec<String> = all.0.iter().map(|fault| fault.pointer.clone()).collect();
    match checked {
        Ok(value) => {
            all.into_result()?;
            Ok(value)
        }
        Err(rules) => {
            all.0.extend(rules.0.into_iter().filter(|fault| !read_pointers.contains(&fault.pointer)));
            Err(all.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(body: &str) -> Vec<String> {
        let document = Document::parse(body.as_bytes().to_vec()).unwrap();
        let ((), faults) = document.read(|fields, faults| {
            fields.text("name", faults);
            fields.number::<u16>("minutes", faults);
            fields.object("retry", faults, |retry, faults| retry.number::<u8>("count", faults));
            fields.objects("tags", faults, |tag, faults| tag.text("key", faults).map(str::len));
        });
        faults.0.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_good_request_has_no_faults_and_null_is_absent() {
        let good = r#"{"name":"a","minutes":5,"retry":{"count":1},"tags":[{"key":"k"}]}"#;
        assert_eq!(faults_of(good), [""; 0]);
        assert_eq!(faults_of(r#"{"name":null}"#), [""; 0]);
    }

    #[test]
    fn every_wrong_type_and_unknown_field_is_found() {
        let bad =
            r#"{"name":1,"minutes":70000,"retry":{"count":-1,"x":1},"tags":[{"key":"k"},{"key":2}],"a/b":1}"#;
        let expected = ["/name", "/minutes", "/retry/count", "/retry/x", "/tags/1/key", "/a~1b"];
        assert_eq!(faults_of(bad), expected);
    }

    #[test]
    fn what_is_not_a_json_object_is_malformed() {
        assert!(Document::parse(b"[]".to_vec()).is_err());
        assert!(Document::parse(b"{".to_vec()).is_err());
        assert!(Document::parse(Vec::new()).is_ok());
    }
}
