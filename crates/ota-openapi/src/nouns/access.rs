//! Tokens, and the audit log.

use ota_core::access::Role;
use ota_core::limits;
use serde_json::json;

use crate::names::PRODUCT_KEY;
use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, id, list, may, moment, must, named, object, page, product_key, request, text, token_name, whole,
    words,
};

fn role() -> Schema {
    words(Role::ALL.map(Role::as_str))
}

pub(super) fn operations() -> Vec<Operation> {
    let bound = list(product_key()).items(1, limits::TOKEN_PRODUCTS_MAX);
    let new = request([
        must("name", token_name()),
        must("role", role()),
        may("product_keys", bound.says("The products it is bound to; to none unless given.")),
        may("expires_in_days", whole().range(1_u64, limits::TOKEN_LIFE_DAYS_MAX)),
    ]);
    let example =
        json!({"name": "ci", "role": "operator", "product_keys": [PRODUCT_KEY], "expires_in_days": 90});
    vec![
        operation("createToken", "POST", "/v1/tokens", "Makes a token")
            .body(new, vec![("For one product", example)])
            .refuses(&["token.name-taken", "token.too-many"])
            .answers(201, "The token, with its text.", named("Token")),
        operation("listTokens", "GET", "/v1/tokens", "Lists tokens, the newest first")
            .pages(limits::PAGE_SIZE_MAX)
            .answers(200, "A page of tokens.", page(named("Token"))),
        operation("getOwnToken", "GET", "/v1/tokens/self", "Tells what the bearer may do")
            .faults(&[])
            .answers(200, "The token that this request bears.", named("OwnToken")),
        operation("deleteToken", "DELETE", "/v1/tokens/{token_id}", "Deletes a token")
            .says("It lets nobody in from now on.")
            .ends(204, "It is gone."),
        operation("listAudit", "GET", "/v1/audit", "Lists who has changed what, the newest first")
            .pages(limits::PAGE_SIZE_MAX)
            .query("product_key", product_key())
            .such_as(PRODUCT_KEY)
            .query("actor", text().says("A token's name or id, or `root`."))
            .such_as("root")
            .query("action", text().says("A noun and a verb, such as `batch.create`."))
            .answers(200, "A page of entries.", page(named("AuditEntry"))),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let products =
        || list(product_key()).says("The products it is bound to; empty for a token that is bound to none.");
    let token = object([
        must("token_id", id()),
        must("name", token_name()),
        must("role", role()),
        must("product_keys", products()),
        must("created_at", moment("When it was made.")),
        may("expires_at", moment("When it expires.")),
        may("token", text().says("Its text, told this once.")),
    ]);
    let own = object([
        must("name", text()),
        must("role", role()),
        must("product_keys", products()),
        may("expires_at", moment("When it expires.")),
    ]);
    let entry = object([
        must("at", moment("When it was asked for.")),
        must("actor", text().says("A token's name, `root`, or `cloud-api:` and the id of an access key.")),
        may("token_id", id()),
        must("role", role()),
        must("action", text().says("A noun and a verb.")),
        must("subject", text().says("A noun and an id or name.")),
        may("product_key", product_key()),
        may("status", whole().says("That of the answer; not there while the outcome is not known.")),
        must("request_id", text().says("The UUID in the `instance` of a problem.")),
    ]);
    vec![("Token", token), ("OwnToken", own), ("AuditEntry", entry)]
}
