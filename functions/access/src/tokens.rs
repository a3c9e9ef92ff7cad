//! Tokens.
//!
//! Whoever is bound to products makes, sees and deletes no tokens but those that are bound to some of them.

use bytes::Bytes;
use http::StatusCode;
use ota_core::access::{NewToken, Scope, Token, TokenFields, TokenSecret};
use ota_core::error::{Fault, Faults, ValueError};
use ota_core::ids::TokenId;
use ota_http::{Problem, Request, Response, json, page, respond};
use ota_platform::Platform;
use ota_store::products;
use ota_store::tokens::{self, StoredToken};
use serde::Serialize;

#[derive(Serialize)]
struct TokenJson {
    token_id: String,
    name: String,
    role: &'static str,
    product_keys: Vec<String>,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// Told once, to whoever makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct SelfJson {
    name: String,
    role: &'static str,
    product_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

fn product_keys(scope: &Scope) -> Vec<String> {
    scope.products().iter().map(ToString::to_string).collect()
}

impl From<&Token> for TokenJson {
    fn from(token: &Token) -> Self {
        Self {
            token_id: token.id.to_string(),
            name: token.name.to_string(),
            role: token.role.as_str(),
            product_keys: product_keys(&token.scope),
            created_at: token.created_at.0,
            expires_at: token.expires_at.map(|at| at.0),
            token: None,
        }
    }
}

/// `POST /v1/tokens`
pub(crate) async fn create<P, B>(platform: &P, request: &mut Request<B>) -> Result<Response, Problem>
where
    P: Platform,
    B: http_body::Body<Data = Bytes> + Unpin,
{
    request.only_query(&[])?;
    let document = request.json().await?;
    let (fields, reading) = document.read(|fields, faults| TokenFields {
        name: fields.text("name", faults),
        role: fields.text("role", faults),
        product_keys: fields.texts("product_keys", faults),
        expires_in_days: fields.number("expires_in_days", faults),
    });
    let mut rules = Faults::new();
    let new = NewToken::check(&fields).map_err(|faults| rules = faults).ok();
    check_products(platform, request, &fields, &mut rules).await?;
    let Some(new) = json::join(reading, rules.into_result().map(|()| new))? else {
        return Err(Problem::from(Faults::new()));
    };

    let (id, now) = (TokenId(platform.random()), platform.now());
    let secret = TokenSecret::from_random([platform.random(), platform.random()]);
    let stored = StoredToken { token: new.begin(id, now), digest: secret.digest() };
    request.about.names([id]);
    if let Err(refused) = tokens::create(platform.kv(), &stored, now).await? {
        return Err(Problem::of(&refused));
    }
    let told = TokenJson { token: Some(secret.reveal(id)), ..TokenJson::from(&stored.token) };
    Ok(respond::json(StatusCode::CREATED, &told))
}

/// Refuses products that are not there or not the caller's, and a token for everything by somebody who is bound.
async fn check_products<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    fields: &TokenFields<'_>,
    faults: &mut Faults,
) -> Result<(), Problem> {
    let Some(keys) = &fields.product_keys else {
        if request.caller.is_bound() {
            faults.add("/product_keys", &ValueError::Missing);
        }
        return Ok(());
    };
    let catalog = products::catalog(platform.kv()).await?;
    for (index, key) in keys.iter().enumerate() {
        let pointer = format!("/product_keys/{index}");
        let at_fault = |fault: &Fault| fault.pointer == pointer || fault.pointer == "/product_keys";
        let is_known = || catalog.0.iter().any(|(known, _)| known.as_str() == *key);
        let is_good = request.caller.scope.holds(key) && is_known();
        if !(is_good || faults.0.iter().any(at_fault)) {
            faults.add(&pointer, &ValueError::Malformed { expected: "the key of a product" });
        }
    }
    Ok(())
}

/// `GET /v1/tokens`: newest first.
pub(crate) async fn list<P: Platform, B>(platform: &P, request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&["limit", "cursor"])?;
    let limit = page::limit(request)?;
    let after = page::cursor(request, |text| text.parse::<TokenId>().ok())?;
    let catalog = tokens::catalog(platform.kv()).await?;
    let mine = |token: &&Token| request.caller.scope.covers(&token.scope);
    let mut rest = catalog.0.iter().rev().filter(mine).peekable();
    // The cursor is the last token seen. One that was deleted meanwhile begins anew.
    if after.is_some_and(|after| catalog.0.iter().any(|token| token.id == after)) {
        while rest.next().is_some_and(|token| Some(token.id) != after) {}
    }
    let items: Vec<TokenJson> = rest.by_ref().take(limit).map(TokenJson::from).collect();
    let next_cursor = rest.peek().and(items.last()).map(|last| last.token_id.clone());
    Ok(respond::json(StatusCode::OK, &page::Page { items, next_cursor }))
}

/// `GET /v1/tokens/self`: what the bearer may do.
pub(crate) fn own<B>(request: &Request<B>) -> Result<Response, Problem> {
    request.only_query(&[])?;
    let caller = &request.caller;
    let told = SelfJson {
        name: caller.actor.clone(),
        role: caller.role.as_str(),
        product_keys: product_keys(&caller.scope),
        expires_at: caller.expires_at.map(|at| at.0),
    };
    Ok(respond::json(StatusCode::OK, &told))
}

/// `DELETE /v1/tokens/{token_id}`: it lets nobody in from now on.
pub(crate) async fn delete<P: Platform, B>(
    platform: &P,
    request: &Request<B>,
    id: TokenId,
) -> Result<Response, Problem> {
    let kv = platform.kv();
    // The list, not the record: a deletion that was cut off has left the one and not the other.
    let catalog = tokens::catalog(kv).await?;
    let mine = |token: &&Token| token.id == id && request.caller.scope.covers(&token.scope);
    catalog.0.iter().find(mine).ok_or_else(|| Problem::not_found("token"))?;
    tokens::delete(kv, id, platform.now()).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}
