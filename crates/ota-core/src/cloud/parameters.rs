//! The parameters of a request, which are all it says.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;

use percent_encoding::percent_decode_str;

use super::GatewayError;
use crate::limits;

/// The parameters of a request by name, decoded. There is no `Debug`: they say what an operator does, and how it was
/// signed.
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads the query and the form of a request; each parameter may stand in either, once.
    ///
    /// # Errors
    /// [`GatewayError::Malformed`].
    pub fn parse(parts: &[&str]) -> Result<Self, GatewayError> {
        let malformed = |why| GatewayError::Malformed { why };
        let mut all = BTreeMap::new();
        for pair in parts.iter().flat_map(|part| part.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(malformed("not UTF-8"));
            };
            if all.insert(name, value).is_some() {
                return Err(malformed("one of them stands there twice"));
            }
            if all.len() > limits::CLOUD_PARAMETERS_MAX {
                return Err(malformed("there are too many"));
            }
        }
        Ok(Self(all))
    }

    /// Returns a parameter; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns all parameters, sorted by name, those that are empty too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns a list, `Name.1`, `Name.2` and so on, by its numbers; gaps are closed.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.numbered(name).into_values().filter_map(|mut item| item.remove(""))
    }

    /// Returns a list of objects, `Name.1.Field` and so on, by its numbers: the fields of each.
    pub fn objects(&self, name: &str) -> impl Iterator<Item = BTreeMap<&str, &str>> {
        self.numbered(name).into_values()
    }

    /// Returns what begins with `Name.` and a number, by number: what stands behind the number, and the value.
    fn numbered(&self, name: &str) -> BTreeMap<u32, BTreeMap<&str, &str>> {
        let mut items: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
        for (full, value) in self.iter() {
            let Some(rest) = full.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            if let Ok(number) = number.parse() {
                items.entry(number).or_default().insert(field, value);
            }
        }
        items
    }
}

/// Undoes the encoding of a form, in which `+` is a space.
fn decode(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec::Vec;

    #[test]
    fn query_and_form_are_read_as_one() {
        let read = Parameters::parse(&["Action=Pub&A=%E7%81%AF+x", "B=a%26b=c&Empty="]).ok().unwrap();
        assert_eq!(read.get("A"), Some("灯 x"));
        assert_eq!(read.get("B"), Some("a&b=c"));
        assert_eq!(read.get("Empty"), None);
        assert_eq!(read.iter().count(), 4);
    }

    #[test]
    fn lists_go_by_their_numbers() {
        let read =
            Parameters::parse(&["V.10=c&V.2=b&V.1=a&V.x=no&Vx.1=no&Tag.1.Key=k&Tag.1.Value=v&Tag.2.Key=l"]);
        let read = read.ok().unwrap();
        assert_eq!(read.list("V").collect::<Vec<_>>(), ["a", "b", "c"]);
        let tags: Vec<_> = read.objects("Tag").map(|tag| (tag.get("Key").copied(), tag.len())).collect();
        assert_eq!(tags, [(Some("k"), 2), (Some("l"), 1)]);
        assert_eq!(read.list("None").count(), 0);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(Parameters::parse(&["A=%ff"]).is_err());
        assert!(Parameters::parse(&["A=1", "A=1"]).is_err());
        let many: Vec<String> = (0..=limits::CLOUD_PARAMETERS_MAX).map(|n| format!("P.{n}=1")).collect();
        assert!(Parameters::parse(&[&many[1..].join("&")]).is_ok());
        assert!(Parameters::parse(&[&many.join("&")]).is_err());
    }
}
