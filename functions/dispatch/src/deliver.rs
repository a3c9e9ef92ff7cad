//! Telling webhooks of events.
//!
//! Each webhook has a queue (`ota_core::webhook::queue`). A tick lets it take what the list of events has for it, and makes
//! the requests that are due. What a request came to is noted after it, so a crash makes one twice rather than never. One
//! dispatcher at a time has the turn to deliver to a webhook; nothing but economy depends on that.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream;
use http::{HeaderMap, Request, header};
use ota_core::event::Event;
use ota_core::ids::EventId;
use ota_core::limits;
use ota_core::security::SecretsKey;
use ota_core::time::Timestamp;
use ota_core::webhook::{Answered, Delivery, Outcome, Queue, Secret, Webhook, What, cloud_event, secret};
use ota_http::{Problem, signing};
use ota_platform::line::Line;
use ota_platform::{Platform, whole};
use ota_store::events;
use ota_store::webhooks::{self, StoredWebhook};

use crate::handle::Report;

/// How long a tick begins requests. With the last of them it stays below what the clock waits for an answer.
const BUDGET_MS: u64 = 15_000;
/// Webhooks that are delivered to at once: one that is slow keeps the others waiting only if there are as many of them.
const WEBHOOKS_AT_ONCE: usize = 8;
/// Requests to one webhook at once.
const TRIES_AT_ONCE: usize = 4;
/// Requests to one webhook of which the results are noted together: as many may be made twice after a crash.
const ROUND: usize = 32;
/// Rounds of one webhook in one tick.
const ROUNDS_MAX: usize = 16;
/// Events that one webhook looks at in one tick: a filter may leave nothing of any of them.
const LOOK_MAX: usize = 1_024;

/// Delivers what is due to every webhook. One that fails does not keep the others waiting.
pub(crate) async fn all<P: Platform>(platform: &P, report: &mut Report) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    // Most installations end here, with one read.
    let mut webhooks = webhooks::all(kv).await?.0;
    if webhooks.is_empty() {
        return Ok(());
    }
    // Each is the first now and then, should the time not be enough for all.
    let first = (now.0 / 1_000) as usize % webhooks.len();
    webhooks.rotate_left(first);
    let listed = events::span(kv).await?;
    let deadline = now.plus_ms(BUDGET_MS);
    let mut failed = None;
    let turns = webhooks.iter().map(|stored| one(platform, stored, &listed, deadline));
    let mut turns = pin!(stream::iter(turns).buffer_unordered(WEBHOOKS_AT_ONCE));
    while let Some((id, told)) = turns.next().await {
        match told {
            Ok(told) => {
                report.delivered += told.delivered;
                report.undelivered += told.undelivered;
            }
            Err(problem) => {
                let why = problem.log.as_deref().unwrap_or(&problem.detail);
                let line = Line::of("Delivery").with("webhook", id).with("outcome", "failed");
                line.with("code", problem.code).with("error", why).write(platform);
                failed = Some(problem);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// How many requests were taken by their receivers, and how many not.
#[derive(Default)]
struct Told {
    delivered: u32,
    undelivered: u32,
}

async fn one<P: Platform>(
    platform: &P,
    stored: &StoredWebhook,
    listed: &Range<u64>,
    deadline: Timestamp,
) -> (ota_core::ids::WebhookId, Result<Told, Problem>) {
    let id = stored.webhook.id;
    let told = if stored.deleted {
        let finished = webhooks::finish_deletion(platform.kv(), id, platform.now()).await;
        finished.map(|()| Told::default()).map_err(Problem::from)
    } else if stored.webhook.disabled.is_some() {
        Ok(Told::default())
    } else {
        deliver(platform, &stored.webhook, listed, deadline).await
    };
    (id, told)
}

/// Takes the turn, and what the list has for the webhook; then makes requests in rounds.
async fn deliver<P: Platform>(
    platform: &P,
    webhook: &Webhook,
    listed: &Range<u64>,
    deadline: Timestamp,
) -> Result<Told, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let mut told = Told::default();
    let Some(queue) = webhooks::queue(kv, webhook.id).await? else { return Ok(told) };
    let is_behind = queue.cursor < listed.end && queue.room() > 0;
    if now >= deadline || (!is_behind && queue.due(now, 1).is_empty()) {
        return Ok(told);
    }
    let secrets =
        open_secrets(webhook, &signing::webhooks_key(platform.variable("secrets_key").await)?, now)?;
    let Some(mut queue) = begin(platform, webhook, &queue, listed, is_behind).await? else { return Ok(told) };
    for round in 1..=ROUNDS_MAX {
        let due = queue.due(platform.now(), ROUND);
        let tried = make_round(platform, webhook, &secrets, &due, deadline).await?;
        let gone = tried.iter().any(|(_, outcome)| is_gone(outcome));
        let is_last = due.len() < ROUND || round == ROUNDS_MAX || gone || platform.now() >= deadline;
        let end_of = is_last.then_some(queue.turn_until);
        let Some(after) = note(platform, webhook, &tried, end_of).await? else { break };
        queue = after;
        for (_, outcome) in &tried {
            match outcome {
                Outcome::Answered(answered) if answered.is_taken() => told.delivered += 1,
                _ => told.undelivered += 1,
            }
        }
        if gone {
            let gone = webhooks::gone(kv, webhook.id, &webhook.url, platform.now()).await?;
            let line = Line::of("Delivery").with("webhook", webhook.id).with("outcome", "gone");
            line.with("disabled", gone).write(platform);
        }
        if is_last {
            break;
        }
    }
    Ok(told)
}

fn open_secrets(webhook: &Webhook, key: &SecretsKey, now: Timestamp) -> Result<Vec<Secret>, Problem> {
    let opened = webhook.secrets(now).into_iter().map(|sealed| sealed.open(key, webhook.id));
    opened.collect::<Result<_, _>>().map_err(|error| Problem::of(&error))
}

/// Takes what is new in the list, and the turn; `None` when another has it, nothing is due, or the webhook is gone.
async fn begin<P: Platform>(
    platform: &P,
    webhook: &Webhook,
    queue: &Queue,
    listed: &Range<u64>,
    is_behind: bool,
) -> Result<Option<Queue>, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let (found, next) =
        if is_behind { events::read(kv, queue.cursor, LOOK_MAX).await? } else { (Vec::new(), queue.cursor) };
    let from = queue.cursor;
    let begun = webhooks::change_queue(kv, webhook.id, now, |queue| {
        if !queue.take_turn(now) {
            return None;
        }
        // Somebody may have gone on meanwhile, and what was read is not what comes next.
        if is_behind && queue.cursor == from {
            queue.take(webhook, &found, listed.start, next, now);
        }
        if queue.due(now, 1).is_empty() {
            queue.turn_until = Timestamp(0);
            return None;
        }
        Some(queue.clone())
    });
    Ok(begun.await?.flatten())
}

/// Makes the requests of a round, as many as the time allows.
async fn make_round<P: Platform>(
    platform: &P,
    webhook: &Webhook,
    secrets: &[Secret],
    due: &[Delivery],
    deadline: Timestamp,
) -> Result<Vec<(EventId, Outcome)>, Problem> {
    let mut numbers: Vec<u64> = due.iter().filter_map(number).collect();
    numbers.sort_unstable();
    let events = events::get_all(platform.kv(), &numbers).await?;
    let tries = due.iter().map(|delivery| async {
        if platform.now() >= deadline {
            return None;
        }
        let outcome = match body(webhook, delivery, &events) {
            Some(body) => request(platform, webhook, secrets, delivery.event_id, body).await,
            None => Outcome::Forgotten,
        };
        Some((delivery.event_id, outcome))
    });
    let tried: Vec<_> = stream::iter(tries).buffer_unordered(TRIES_AT_ONCE).collect().await;
    Ok(tried.into_iter().flatten().collect())
}

const fn number(delivery: &Delivery) -> Option<u64> {
    match delivery.what {
        What::Listed { number, .. } => Some(number),
        What::Test => None,
    }
}

/// Renders what is sent; `None` when the list has forgotten the event.
fn body(webhook: &Webhook, delivery: &Delivery, events: &BTreeMap<u64, Event>) -> Option<String> {
    match delivery.what {
        What::Listed { number, .. } => events.get(&number).and_then(cloud_event::render),
        What::Test => Some(cloud_event::render_test(delivery.event_id, webhook.id, delivery.created_at)),
    }
}

/// Makes one request. The answer's body is not read: nothing in it would change anything.
async fn request<P: Platform>(
    platform: &P,
    webhook: &Webhook,
    secrets: &[Secret],
    id: EventId,
    body: String,
) -> Outcome {
    let (id, at) = (id.to_string(), platform.now());
    let request = Request::post(&webhook.url)
        .header(header::CONTENT_TYPE, cloud_event::CONTENT_TYPE)
        .header(header::CONTENT_LENGTH, body.len())
        .header(header::USER_AGENT, concat!("Overair/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &id)
        .header("webhook-timestamp", at.seconds().to_string())
        .header("webhook-signature", secret::signatures(secrets, &id, at, &body))
        .body(whole(body));
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Unanswered(error.to_string()),
    };
    match within(platform, limits::WEBHOOK_TRY_MS, platform.fetch(request)).await {
        None => Outcome::Unanswered(format!("no answer within {} s", limits::WEBHOOK_TRY_MS / 1_000)),
        Some(Err(error)) => Outcome::Unanswered(error.to_string()),
        Some(Ok(answer)) => Outcome::Answered(Answered {
            status: answer.status().as_u16(),
            retry_after_ms: retry_after_ms(answer.headers(), platform.now()),
        }),
    }
}

/// Waits for something, but not longer than this.
async fn within<P: Platform, T>(platform: &P, ms: u64, what: impl Future<Output = T>) -> Option<T> {
    match select(pin!(what), pin!(platform.sleep(ms))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

/// Reads `Retry-After` (RFC 9110): seconds, or a date.
fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at: SystemTime = httpdate::parse_http_date(text).ok()?;
    let wait = at.duration_since(UNIX_EPOCH + Duration::from_millis(now.0)).unwrap_or_default();
    u64::try_from(wait.as_millis()).ok()
}

const fn is_gone(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answered(answered) if answered.is_gone())
}

/// Notes what a round came to, and gives back the turn that is over; returns the queue then, `None` if it is gone.
async fn note<P: Platform>(
    platform: &P,
    webhook: &Webhook,
    tried: &[(EventId, Outcome)],
    end_of: Option<Timestamp>,
) -> Result<Option<Queue>, Problem> {
    // What went wrong is told once a round, and without the URL: it may carry the receiver's own secret.
    if let Some((id, why)) = tried.iter().find_map(failure) {
        let line = Line::of("Delivery").with("webhook", webhook.id).with("event", id);
        line.with("outcome", "not-taken").with("error", why).write(platform);
    }
    let now = platform.now();
    let noted = webhooks::change_queue(platform.kv(), webhook.id, now, |queue| {
        for (id, outcome) in tried {
            queue.settle(webhook.id, *id, outcome, now);
        }
        // A turn is ended by whoever has it.
        if end_of == Some(queue.turn_until) {
            queue.turn_until = Timestamp(0);
        }
        queue.clone()
    });
    Ok(noted.await?)
}

/// Tells why a request was not taken.
fn failure((id, outcome): &(EventId, Outcome)) -> Option<(EventId, String)> {
    let why = match outcome {
        Outcome::Answered(answered) if answered.is_taken() => return None,
        Outcome::Answered(answered) => format!("answered {}", answered.status),
        Outcome::Unanswered(why) => why.clone(),
        Outcome::Forgotten => "the list of events has forgotten it".to_owned(),
    };
    Some((*id, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use ota_platform::fake::FakePlatform;

    const NOW: Timestamp = Timestamp(784_111_777_000);

    #[test]
    fn a_receiver_says_how_long_to_wait_in_seconds_or_by_a_date() {
        for (text, expected) in [
            ("120", Some(120_000)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after_ms(&headers, NOW), expected, "{text}");
        }
        assert_eq!(retry_after_ms(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn what_never_comes_is_waited_for_only_so_long() {
        let platform = FakePlatform::new(NOW);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(within(&platform, 10, std::future::pending::<()>()).await, None);
            assert_eq!(within(&platform, 10, std::future::ready(7)).await, Some(7));
        });
    }
}
