//! The client of the REST API.
//!
//! What may be sent twice without harm is sent again when the service is busy or the connection breaks: reads, changes
//! that say how it is to be, and whatever is made under an `Idempotency-Key`.

use std::time::Duration;

use anyhow::{Context, anyhow};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// How often one request is sent at most.
pub(crate) const TRIES_MAX: u32 = 5;
/// The pause before the second try, which doubles each time.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that a service's `Retry-After` is obeyed: who waits at a terminal would rather be told.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// How long one answer may take. Uploads and downloads have none: they take as long as they move.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer: far more than 200 items of any list.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Items asked for with one page: what every list gives.
const PAGE_ITEMS: usize = 100;
/// Pages of one list at most: a page may be empty and still have a next one.
const PAGES_MAX: usize = 1_000_000;

/// What of a path's segment needs no encoding.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client with a server and a token.
pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

/// A request in the making.
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
    repeatable: bool,
}

/// The body of a successful answer, as it came.
pub(crate) struct Answer {
    /// The text; JSON unless it is empty.
    pub(crate) text: String,
}

/// Items of a list as they came.
pub(crate) struct Listed {
    /// The items.
    pub(crate) items: Vec<Box<RawValue>>,
    /// Where the rest begins, if there is more.
    pub(crate) next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Joins the segments of a path, whatever is in them.
pub(crate) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT))).collect()
}

/// Returns a key under which a request can be repeated.
pub(crate) fn random_key() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(hex::encode(bytes))
}

impl Client {
    /// Makes a client.
    pub(crate) fn new(server: &str, token: Option<String>) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&server).ok();
        let scheme = url.as_ref().filter(|url| url.has_host()).map(|url| url.scheme().to_owned());
        match scheme.as_deref() {
            Some("http") => {}
            Some("https") if cfg!(feature = "tls") => {}
            Some("https") => {
                let how = "this program was built without TLS: `cargo install --path crates/overair --features tls`";
                return Err(Failure::Usage(how.to_owned()));
            }
            _ => return Err(Failure::Usage(format!("`{server}` is no URL of a server"))),
        }
        let builder = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(10));
        let http = builder.build().context("no HTTP client")?;
        Ok(Self { http, server, token })
    }

    /// Returns the server's URL, without a slash at its end.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the server's host.
    pub(crate) fn host(&self) -> String {
        let url = reqwest::Url::parse(&self.server).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Reads.
    pub(crate) fn get(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::GET, segments)
    }

    /// Makes or does something; see [`Call::once_only`] and [`Call::repeatable`].
    pub(crate) fn post(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::POST, segments)
    }

    /// Changes what is named.
    pub(crate) fn patch(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::PATCH, segments)
    }

    /// Replaces.
    pub(crate) fn put(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::PUT, segments)
    }

    /// Removes.
    pub(crate) fn delete(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::DELETE, segments)
    }

    fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let repeatable = method != Method::POST;
        let (query, headers) = (Vec::new(), Vec::new());
        Call { client: self, method, path: path(segments), query, headers, body: None, repeatable }
    }

    /// Begins a request to a path of the server, with the token: for bodies that are no JSON.
    pub(crate) fn raw(&self, method: Method, path: &str) -> RequestBuilder {
        self.authorized(self.http.request(method, format!("{}{path}", self.server)))
    }

    /// Begins a request to a signed URL, which needs no token and is given none.
    pub(crate) fn signed(&self, url: &str) -> RequestBuilder {
        self.http.get(url)
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

impl Call<'_> {
    /// Adds a parameter if it is given.
    pub(crate) fn query(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Sets the body.
    pub(crate) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Makes something under a key of its own, so that it is made once however often the request is sent.
    pub(crate) fn once_only(mut self) -> Result<Self, Failure> {
        self.headers.push(("idempotency-key", random_key()?));
        self.repeatable = true;
        Ok(self)
    }

    /// Says that the request does no harm when it is sent twice.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Sends it, several times if it must be, and reads the answer.
    pub(crate) async fn send(&self) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let again = self.repeatable && tries < TRIES_MAX;
            match self.request().send().await {
                Err(_) if again => pause(tries, None).await,
                Err(error) => return Err(unreachable_because(error)),
                Ok(response) if again && is_busy(response.status()) => {
                    pause(tries, Some(response.headers())).await;
                }
                Ok(response) => match read(response).await {
                    Err(Failure::Unreachable(_)) if again => pause(tries, None).await,
                    read => return read,
                },
            }
        }
    }

    fn request(&self) -> RequestBuilder {
        let mut request =
            self.client.raw(self.method.clone(), &self.path).timeout(TIMEOUT).query(&self.query);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    /// Reads a list, page by page, until there are `limit` items or no more.
    pub(crate) async fn list(mut self, limit: usize) -> Result<Listed, Failure> {
        let given = self.query.len();
        let mut listed = Listed { items: Vec::new(), next_cursor: None };
        for _ in 0..PAGES_MAX {
            self.query.truncate(given);
            let wanted = PAGE_ITEMS.min(limit - listed.items.len());
            let next = listed.next_cursor.take();
            self = self.query("limit", Some(wanted)).query("cursor", next.clone());
            let page: Page = self.send().await?.read()?;
            listed.items.extend(page.items);
            listed.next_cursor = page.next_cursor;
            if listed.next_cursor.is_none() || listed.items.len() >= limit {
                return Ok(listed);
            }
            if listed.next_cursor == next {
                return Err(anyhow!("the list's cursor does not move").into());
            }
        }
        Err(anyhow!("the list has more than {PAGES_MAX} pages").into())
    }
}

impl Answer {
    /// Reads the answer.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_str(&self.text).context("the answer is not as documented").map_err(Failure::Local)
    }

    /// Reads a text field of the answer.
    pub(crate) fn text_of(&self, name: &str) -> Result<String, Failure> {
        let value: Value = self.read()?;
        let text = value.get(name).and_then(Value::as_str);
        Ok(text.with_context(|| format!("the answer has no `{name}`"))?.to_owned())
    }
}

/// Reads an answer, or what the service had against the request.
pub(crate) async fn read(mut response: Response) -> Result<Answer, Failure> {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable_because)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(anyhow!("the answer has more than {ANSWER_BYTES_MAX} bytes").into());
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if status.is_success() {
        Ok(Answer { text })
    } else {
        Err(Failure::Refused { status: status.as_u16(), body: text })
    }
}

/// Tells whether the service, or what stands before it, asks to come again.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// Waits before the next try: as long as the service asks for, or longer each time.
pub(crate) async fn pause(tries: u32, headers: Option<&HeaderMap>) {
    let asked = headers.and_then(|headers| headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok());
    let wait = match asked {
        Some(seconds) => Duration::from_secs(seconds).min(RETRY_AFTER_MAX),
        None => PAUSE * 2_u32.pow(tries.min(TRIES_MAX) - 1),
    };
    tokio::time::sleep(wait).await;
}

/// Says why there was no answer. The URL is left out: a signed one is a secret.
pub(crate) fn unreachable_because(error: reqwest::Error) -> Failure {
    Failure::Unreachable(format!("{:#}", anyhow::Error::new(error.without_url())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_segment_stays_in_it() {
        assert_eq!(path(&["v1", "devices", "a/b?c d:é"]), "/v1/devices/a%2Fb%3Fc%20d%3A%C3%A9");
    }

    #[test]
    fn a_server_is_a_url_with_a_host() {
        for bad in ["", "localhost:3000", "ftp://host", "http://", "nonsense"] {
            let refused = Client::new(bad, None).err().map(|failure| failure.exit_code());
            assert_eq!(refused, Some(2), "{bad}");
        }
        let client = Client::new("http://[::1]:3000/", None).ok().unwrap();
        assert_eq!((client.server(), client.host().as_str()), ("http://[::1]:3000", "[::1]"));
    }
}
