//! One request on its way through its operation.

use http::Method;
use ota_core::cloud::{GatewayError, PageNumber, Parameters};
use ota_platform::Platform;
use serde_json::{Map, Value, json};

use crate::codes;
use crate::refusal::Refusal;
use crate::rest::{Refused, Rest};

/// What an operation answers beside the envelope: `Data`, mostly.
pub(crate) type Answer = Map<String, Value>;

/// A request that was let in.
pub(crate) struct Call<'a, P> {
    pub(crate) platform: &'a P,
    pub(crate) rest: Rest<'a, P>,
    pub(crate) method: &'a Method,
    pub(crate) action: &'a str,
    pub(crate) parameters: &'a Parameters,
}

impl<'a, P: Platform> Call<'a, P> {
    /// Returns a parameter; an empty one is as good as none.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.parameters.get(name)
    }

    /// Returns the parameters without which the operation means nothing.
    pub(crate) fn need<const N: usize>(&self, names: [&'static str; N]) -> Result<[&'a str; N], Refusal> {
        let missing: Vec<&'static str> =
            names.iter().copied().filter(|name| self.get(name).is_none()).collect();
        if missing.is_empty() {
            return Ok(names.map(|name| self.get(name).unwrap_or_default()));
        }
        Err(GatewayError::Missing { names: missing }.into())
    }

    /// Words the refusal of one of the service's own functions. `unknown` is the vendor's code for what the path names
    /// and is not there.
    pub(crate) fn refuse(&self, unknown: &'static str) -> impl Fn(Refused) -> Refusal {
        move |refused| codes::translate(self.action, self.parameters, unknown, &refused)
    }

    // Parameters as the service's own functions want them. What cannot be read is handed on as it is, so that the rule of
    // that field refuses it.

    pub(crate) fn text(&self, name: &str) -> Value {
        self.get(name).into()
    }

    pub(crate) fn number(&self, name: &str) -> Value {
        let Some(text) = self.get(name) else { return Value::Null };
        text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
    }

    pub(crate) fn flag(&self, name: &str) -> Value {
        self.choice(name, ["false", "true"])
    }

    /// A choice of two, of which the first is `false`.
    pub(crate) fn choice(&self, name: &str, words: [&str; 2]) -> Value {
        let Some(text) = self.get(name) else { return Value::Null };
        match words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
            Some(at) => (at == 1).into(),
            None => text.into(),
        }
    }

    /// A word that the vendor writes in capitals.
    pub(crate) fn word(&self, name: &str) -> Value {
        self.get(name).map(str::to_ascii_lowercase).into()
    }

    pub(crate) fn texts(&self, name: &str) -> Value {
        let texts: Vec<&str> = self.parameters.list(name).collect();
        if texts.is_empty() { Value::Null } else { texts.into() }
    }

    pub(crate) fn tags(&self, name: &str) -> Vec<Value> {
        let tags = self.parameters.objects(name);
        tags.map(|tag| json!({"key": tag.get("Key"), "value": tag.get("Value")})).collect()
    }

    /// Reads `CurrentPage` and `PageSize`.
    pub(crate) fn page(&self, current: &str, size: &str, size_max: usize) -> Result<PageNumber, Refusal> {
        PageNumber::check(current, size, size_max).ok_or_else(|| {
            let last = ota_core::limits::LIST_REACH_MAX;
            let message = format!(
                "CurrentPage counts from 1, PageSize is 1 to {size_max}, and the page must not reach beyond item {last}"
            );
            Refusal::new("iot.common.InvalidPageParams", message)
        })
    }
}

/// Answers with `Data`.
pub(crate) fn data(data: Value) -> Answer {
    [("Data".to_owned(), data)].into_iter().collect()
}

/// Answers with a page of a list of `total` items.
pub(crate) fn page_of(page: PageNumber, total: usize, name: &str, items: Value) -> Answer {
    let paging = json!({
        "CurrentPage": page.current,
        "PageSize": page.size,
        "PageCount": page.count(total),
        "Total": total,
        name: items,
    });
    match paging {
        Value::Object(answer) => answer,
        _ => Answer::new(),
    }
}
