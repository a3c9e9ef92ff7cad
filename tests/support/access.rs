//! Tokens that a story makes.

use serde_json::Value;

use crate::{Answer, Call, World, json};

/// A token of the story.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
}

impl World {
    /// Makes a token of this role, bound to these products, or to none if there are none. Its name tells the role.
    #[track_caller]
    pub fn token(&self, role: &str, products: &[&str]) -> Token {
        let mut body = json!({"name": self.next(role), "role": role});
        if !products.is_empty() {
            body["product_keys"] = products.into();
        }
        let made = self.try_token(&body).expect(201);
        Token { id: made.text_of("token_id"), text: made.text_of("token") }
    }

    /// Asks for a token.
    pub fn try_token(&self, body: &Value) -> Answer {
        self.send(&Call::post("/v1/tokens", body))
    }

    /// Sends a request that bears a token.
    pub fn send_as(&self, token: &Token, call: Call) -> Answer {
        self.send(&call.token(Some(&token.text)))
    }

    /// Returns what the audit log says of changes, the oldest first, in words: who, which action, on what, of which
    /// product if of one, and the status.
    #[track_caller]
    pub fn audited(&self) -> Vec<String> {
        let mut entries = self.list("/v1/audit", 200);
        entries.reverse();
        let words = |entry: &Value| {
            let texts = ["actor", "action", "subject", "product_key"].map(|name| entry[name].as_str());
            let status = entry["status"].as_u64().map_or("open".to_owned(), |status| status.to_string());
            let texts = texts.iter().flatten().map(|text| (*text).to_owned());
            texts.chain([status]).collect::<Vec<_>>().join(" ")
        };
        entries.iter().map(words).collect()
    }
}
