//! Delivery over `wasi:http@0.2`, as every Spin has it.

use core::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};

use crate::base_url::BaseUrl;
use crate::delivery::{DeliveryError, Patience, Wire, deliver};

mod bindings {
    #![allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated from the WIT files")]

    wit_bindgen::generate!({ path: "../../wit", world: "overair:ota/shim", generate_all });
}

/// Bytes that one blocking write may have, by the definition of `wasi:io/streams`.
const WRITE_LEN_MAX: usize = 4096;

/// How long a connection may take. The functions are in the same process or on the same network.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Posts `body` to a function of ours, at `{internal_base_url}{path_and_query}` with the internal token.
///
/// # Errors
/// Why it was given up.
pub async fn post(path_and_query: &str, body: &[u8], patience: &Patience) -> Result<(), DeliveryError> {
    let base_url = variable("internal_base_url").await?;
    let token = variable("internal_token").await?;
    Target::new(&base_url, token)?.post(path_and_query, body, patience)
}

/// Where our functions are, and what opens them.
pub struct Target {
    base_url: BaseUrl,
    token: String,
}

impl Target {
    /// Reads the URL that stands before every path.
    ///
    /// # Errors
    /// It is none.
    pub fn new(base_url: &str, token: String) -> Result<Self, DeliveryError> {
        Ok(Self { base_url: BaseUrl::parse(base_url).ok_or(DeliveryError::BaseUrl)?, token })
    }

    /// Posts `body` to a function.
    ///
    /// # Errors
    /// Why it was given up.
    pub fn post(self, path_and_query: &str, body: &[u8], patience: &Patience) -> Result<(), DeliveryError> {
        let Self { base_url, token } = self;
        let path_and_query = format!("{}{path_and_query}", base_url.prefix);
        let timeout = patience.answer_timeout;
        deliver(&mut Http { base_url, path_and_query, token, body, timeout }, patience)
    }
}

async fn variable(name: &'static str) -> Result<String, DeliveryError> {
    use bindings::spin::variables::variables::{Error, get};

    get(name.to_owned()).await.map_err(|error| {
        let (Error::InvalidName(why) | Error::Undefined(why) | Error::Provider(why) | Error::Other(why)) =
            error;
        DeliveryError::Variable { name, why }
    })
}

struct Http<'a> {
    base_url: BaseUrl,
    path_and_query: String,
    token: String,
    body: &'a [u8],
    timeout: Duration,
}

impl Wire for Http<'_> {
    fn try_once(&mut self) -> Result<u16, String> {
        let request = self.request()?;
        let outgoing = request.body().map_err(|()| "the request has no body")?;
        let options = RequestOptions::new();
        // A host that knows no such timeout has its own.
        let _ = options.set_connect_timeout(Some(nanoseconds(CONNECT_TIMEOUT)));
        let _ = options.set_first_byte_timeout(Some(nanoseconds(self.timeout)));
        let response = outgoing_handler::handle(request, Some(options)).map_err(without_details)?;
        // Only now: a host need not take a body before the request is on its way.
        send(outgoing, self.body);
        receive(&response)
    }

    fn wait(&mut self, time: Duration) {
        monotonic_clock::subscribe_duration(nanoseconds(time)).block();
    }
}

impl Http<'_> {
    fn request(&self) -> Result<OutgoingRequest, String> {
        // Without a length the body would be sent in chunks.
        let headers = Fields::from_list(&[
            ("authorization".to_owned(), format!("Bearer {}", self.token).into_bytes()),
            ("content-type".to_owned(), b"application/octet-stream".to_vec()),
            ("content-length".to_owned(), self.body.len().to_string().into_bytes()),
        ])
        // The error could quote the header that has the token.
        .map_err(|_| "the host refuses the headers: is there a line end in internal_token?")?;
        let scheme = if self.base_url.is_https { Scheme::Https } else { Scheme::Http };
        let request = OutgoingRequest::new(headers);
        request
            .set_method(&Method::Post)
            .and_then(|()| request.set_scheme(Some(&scheme)))
            .and_then(|()| request.set_authority(Some(&self.base_url.authority)))
            .and_then(|()| request.set_path_with_query(Some(&self.path_and_query)))
            .map_err(|()| "the host refuses the address: is internal_base_url right?")?;
        Ok(request)
    }
}

/// Sends the body. A fault is not told: the answer, or its absence, says more.
fn send(outgoing: OutgoingBody, body: &[u8]) {
    let Ok(stream) = outgoing.write() else { return };
    let is_written = body.chunks(WRITE_LEN_MAX).all(|part| stream.blocking_write_and_flush(part).is_ok());
    // The stream is a part of the body and has to go first.
    drop(stream);
    // A body that is dropped unfinished breaks the request off, which is right for one that is not whole.
    if is_written {
        let _ = OutgoingBody::finish(outgoing, None);
    }
}

fn receive(response: &FutureIncomingResponse) -> Result<u16, String> {
    response.subscribe().block();
    match response.get() {
        Some(Ok(Ok(response))) => Ok(response.status()),
        Some(Ok(Err(error))) => Err(without_details(error)),
        Some(Err(())) | None => Err("the host has no answer".to_owned()),
    }
}

/// Names the error by its kind alone; the details of some kinds quote headers.
fn without_details(error: ErrorCode) -> String {
    let text = format!("{error:?}");
    let end =
        text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ':' | '-')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
