//! A server, and what is asked of it.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use bench_support::client::{Call, Connection};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::description::{Description, Template, fill};

/// A server that is ready to be measured.
pub(crate) struct Target {
    /// Host and port.
    authority: String,
    /// What stands before every path.
    base: String,
    description: Description,
    names: BTreeMap<String, String>,
    devices: usize,
}

impl Target {
    /// Makes the requests that come before the measured ones.
    pub(crate) async fn new(
        url: &str,
        description: Description,
        names: BTreeMap<String, String>,
        devices: usize,
    ) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is no URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "`{url}` is no http:// URL: others are not spoken here");
        let host = uri.host().with_context(|| format!("`{url}` names no server"))?;
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        let base = uri.path().trim_end_matches('/').to_owned();
        let mut target = Self { authority, base, description, names, devices };
        let mut connection = target.connect().await?;
        for request in target.description.setup.clone() {
            target.prepare(&mut connection, &request).await?;
        }
        Ok(target)
    }

    async fn prepare(&mut self, connection: &mut Connection, request: &Template) -> anyhow::Result<()> {
        let mut answer = Bytes::new();
        for number in 0..request.times {
            let call = self.call(request, number)?;
            let what = format!("{} {}", call.method(), call.uri());
            let (status, body) = connection.exchange(call).await.with_context(|| what.clone())?;
            let expected = request.status;
            ensure!(status == expected, "{what}: {status} {}", String::from_utf8_lossy(&body));
            answer = body;
        }
        if request.capture.is_empty() {
            return Ok(());
        }
        let told: Value = serde_json::from_slice(&answer).context("an answer to be captured is no JSON")?;
        for (name, pointer) in &request.capture {
            let found = told.pointer(pointer).with_context(|| format!("no {pointer} in {told}"))?;
            let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            self.names.insert(name.clone(), found);
        }
        Ok(())
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.authority).await;
        let stream = stream.with_context(|| format!("cannot connect to {}", self.authority))?;
        Connection::over(stream, self.authority.clone()).await
    }

    /// Returns a measured request by its name.
    pub(crate) fn request(&self, name: &str) -> Option<&Template> {
        self.description.request.iter().find(|request| request.name == name)
    }

    /// Writes a request as it is made for the `number`th time.
    pub(crate) fn call(&self, template: &Template, number: usize) -> anyhow::Result<Call> {
        let value = |name: &str| match name {
            "n" => Some(number.to_string()),
            "device" => Some(format!("dev-{:07}", number % self.devices)),
            _ => self.names.get(name).cloned(),
        };
        let fill = |text: &str| fill(text, &value);
        let uri = format!("{}{}", self.base, fill(&template.path)?);
        let mut call = Request::builder().method(template.method.as_bytes()).uri(uri);
        for (name, text) in &template.headers {
            call = call.header(name, fill(text)?);
        }
        Ok(call.body(Full::new(Bytes::from(fill(&template.body)?)))?)
    }
}
