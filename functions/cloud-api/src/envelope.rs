//! How answers are written (R178): an envelope, in JSON or XML.

use http::{HeaderValue, StatusCode, header};
use ota_core::cloud::Parameters;
use ota_http::{Response, respond};
use serde_json::{Value, json};

use crate::call::Answer;
use crate::refusal::Refusal;

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// What is meant when nothing is said.
    #[default]
    Json,
    /// The vendor's own default.
    Xml,
}

impl Format {
    /// Reads the form that a request asks for; one that is not known is as good as none.
    pub(crate) fn of(parameters: &Parameters) -> Self {
        match parameters.get("Format") {
            Some(text) if text.eq_ignore_ascii_case("xml") => Self::Xml,
            _ => Self::Json,
        }
    }
}

/// Writes an answer. `id` is the request's.
pub(crate) fn render(format: Format, action: &str, id: &str, outcome: Result<Answer, Refusal>) -> Response {
    let (status, root, told) = match outcome {
        Ok(mut answer) => {
            answer.insert("RequestId".into(), id.into());
            answer.insert("Success".into(), true.into());
            answer.insert("Code".into(), "".into());
            (StatusCode::OK, format!("{action}Response"), Value::Object(answer))
        }
        Err(refusal) => {
            let (code, message) = (refusal.code(), refusal.message());
            match refusal.status() {
                Some(status) => {
                    let told = json!({"RequestId": id, "Code": code, "Message": message});
                    (status, "Error".to_owned(), told)
                }
                None => {
                    let told =
                        json!({"RequestId": id, "Success": false, "Code": code, "ErrorMessage": message});
                    (StatusCode::OK, format!("{action}Response"), told)
                }
            }
        }
    };
    match format {
        Format::Json => respond::json(status, &told),
        Format::Xml => {
            let mut text = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
            write(&root, &told, &mut text);
            let mut response = respond::json(status, &Value::Null);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml;charset=utf-8"));
            *response.body_mut() = respond::full(text);
            response
        }
    }
}

/// Writes a value as an element; a list as one element for each item.
fn write(name: &str, value: &Value, out: &mut String) {
    let text = match value {
        Value::Null => return,
        Value::Array(items) => return items.iter().for_each(|item| write(name, item, out)),
        Value::Object(fields) => {
            out.push_str(&format!("<{name}>"));
            fields.iter().for_each(|(name, value)| write(name, value, out));
            out.push_str(&format!("</{name}>"));
            return;
        }
        Value::String(text) => escaped(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    out.push_str(&format!("<{name}>{text}</{name}>"));
}

/// Escapes a text. Control characters have no place in XML 1.0, whatever they are escaped as.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_elements() {
        let mut text = String::new();
        let told = json!({"A": [{"B": "x<&>\u{1}y"}, {"B": 2}], "C": true, "D": null});
        write("Root", &told, &mut text);
        assert_eq!(text, "<Root><A><B>x&lt;&amp;&gt;y</B></A><A><B>2</B></A><C>true</C></Root>");
    }
}
