//! The door: every request comes in here and is let in, or not, and every problem becomes its answer.
//!
//! A function's `handle` names the door its requests come in by, and the function that routes them.

use std::future::Future;

use bytes::Bytes;
use ota_core::access::{AuditEntry, Caller};
use ota_http::about::About;
use ota_http::problem::uuid_text;
use ota_http::routes::{self, Found};
use ota_http::{Problem, Request, Response, auth};
use ota_store::audit;

use crate::Platform;
use crate::audited::Audited;
use crate::line::Line;
use crate::traced::Traced;

/// What a function that has let a caller in by its own means passes on with the requests it makes of others in the same
/// process: it lies among the request's extensions, where nothing from outside gets.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Who it is.
    pub caller: Caller,
    /// The random id of the caller's request.
    pub request: [u8; 16],
}

/// Answers a request of the operators' API. Its bearer is let in by role and product, see [`routes`]; what it changes is
/// listed in the audit log before it is changed, and its outcome before it is told.
pub async fn operator<P, B>(
    platform: &P,
    request: http::Request<B>,
    route: impl AsyncFnOnce(&Audited<Traced<P>>, &mut Request<B>) -> Result<Response, Problem>,
) -> Response
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let platform = &Traced::new(platform, request.headers());
    let passed = request.extensions().get::<Passed>().cloned();
    let id = passed.as_ref().map_or_else(|| platform.random(), |passed| passed.request);
    let (mut request, entry) = match admit(platform, request, passed, id).await {
        Ok(admitted) => admitted,
        Err(problem) => return refuse(platform, problem, id),
    };
    let engine = Audited::new(platform, entry, request.about.clone());
    let answer = route(&engine, &mut request).await.unwrap_or_else(|problem| refuse(platform, problem, id));
    if let Err(error) = engine.end(answer.status().as_u16()).await {
        // The change is listed, and whoever asked for it must be told of it.
        let line = Line::of("AuditLog").with("outcome", "a change stays open");
        line.with("request", uuid_text(id)).with("error", error).write(platform);
    }
    answer
}

/// Lets a request in; returns with it what the audit log is to say of it, if it may change something.
async fn admit<P, B>(
    platform: &P,
    request: http::Request<B>,
    passed: Option<Passed>,
    id: [u8; 16],
) -> Result<(Request<B>, Option<AuditEntry>), Problem>
where
    P: Platform,
{
    let mut request = Request::new(request)?;
    request.caller = match passed {
        Some(passed) => passed.caller,
        None => {
            let root = platform.variable("api_token").await;
            auth::caller(platform.kv(), &request.headers, root, platform.now()).await?
        }
    };
    let path = request.path();
    let found = routes::find(&request.method, &path)?;
    let about = About::new(found.route.noun, found.product, &found.names);
    let is_listed = found.route.is_change() && found.route.listed;
    let entry = is_listed.then(|| entry(&request.caller, &found, &about, platform, id));
    let admitted = found.admit(&request.caller);
    if let (Err(problem), Some(entry)) = (&admitted, &entry)
        && problem.code == "request.forbidden"
        && let Err(error) = audit::refused(platform.kv(), entry, platform.now()).await
    {
        let line = Line::of("AuditLog").with("outcome", "a refused attempt is not listed");
        line.with("request", uuid_text(id)).with("error", error).write(platform);
    }
    admitted?;
    request.about = about;
    Ok((request, entry))
}

fn entry(
    caller: &Caller,
    found: &Found<'_>,
    about: &About,
    platform: &impl Platform,
    request: [u8; 16],
) -> AuditEntry {
    let (subject, product) = about.told();
    AuditEntry {
        request,
        at: platform.now(),
        actor: caller.actor.clone(),
        token: caller.token,
        role: caller.role,
        action: found.route.action(),
        subject,
        product,
        status: None,
    }
}

/// Answers a request of another of the service's own parts, which bears the internal token.
pub async fn internal<P, B>(
    platform: &P,
    request: http::Request<B>,
    route: impl AsyncFnOnce(&Traced<P>, &mut Request<B>) -> Result<Response, Problem>,
) -> Response
where
    P: Platform,
{
    let platform = &Traced::new(platform, request.headers());
    answer(platform, async {
        let mut request = Request::authorized(request, platform.variable("internal_token").await)?;
        route(platform, &mut request).await
    })
    .await
}

/// Answers a request whose route lets it in by itself.
pub async fn signed<P, B>(
    platform: &P,
    request: http::Request<B>,
    route: impl AsyncFnOnce(&Traced<P>, &mut Request<B>) -> Result<Response, Problem>,
) -> Response
where
    P: Platform,
{
    let platform = &Traced::new(platform, request.headers());
    answer(platform, async { route(platform, &mut Request::new(request)?).await }).await
}

async fn answer<P: Platform>(
    platform: &P,
    outcome: impl Future<Output = Result<Response, Problem>>,
) -> Response {
    outcome.await.unwrap_or_else(|problem| refuse(platform, problem, platform.random()))
}

/// Answers with a problem, and tells the log why, under the same id.
pub fn refuse<P: Platform>(platform: &P, problem: Problem, id: [u8; 16]) -> Response {
    if let Some(reason) = problem.reason() {
        let line = Line::of("Problem").with("request", uuid_text(id)).with("code", problem.code);
        line.with("error", reason).write(platform);
    }
    problem.into_response(id)
}
