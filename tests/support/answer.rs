//! What a request was answered with.

use http::HeaderMap;
use serde_json::Value;

/// An answer, its body read to the end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// Whether the body broke off.
    pub cut: bool,
}

impl Answer {
    /// Returns the answer if it has this status.
    ///
    /// # Panics
    /// With the whole answer if it has another.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Returns the body as JSON; `null` when there is none.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Returns one text of a JSON body, empty when it is not there.
    #[track_caller]
    pub fn text_of(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_default().to_owned()
    }

    /// Returns a header's text, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the status and the problem's code: `422 batch.no-device`.
    #[track_caller]
    pub fn problem(&self) -> String {
        format!("{} {}", self.status, self.text_of("code"))
    }

    /// Returns the faults of a problem: `/name value.missing`.
    #[track_caller]
    pub fn faults(&self) -> Vec<String> {
        let body = self.json();
        let faults = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let words = |fault: &Value, field: &str| fault[field].as_str().unwrap_or_default().to_owned();
        faults.iter().map(|fault| format!("{} {}", words(fault, "pointer"), words(fault, "code"))).collect()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
