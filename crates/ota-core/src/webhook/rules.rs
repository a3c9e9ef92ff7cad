//! What a new webhook, or a change of one, must look like.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use super::{Disabled, SealedSecret, Webhook, cloud_event};
use crate::error::{Faults, ValueError, check_len};
use crate::event::EventKind;
use crate::ids::{ProductKey, WebhookId};
use crate::limits;
use crate::time::Timestamp;

/// The raw words of a request for a webhook.
#[derive(Clone, Debug)]
pub struct WebhookFields<'a> {
    /// `url`.
    pub url: Option<&'a str>,
    /// `event_types`; absent is all.
    pub event_types: Option<&'a [&'a str]>,
    /// The product that `product_key` names; that it is not there is the fault to tell.
    pub product: Option<Result<ProductKey, ValueError>>,
    /// `description`.
    pub description: Option<&'a str>,
}

/// What an operator asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    url: String,
    event_types: Vec<EventKind>,
    product_key: Option<ProductKey>,
    description: String,
}

/// The raw words of a request to change a webhook; what is absent stays.
#[derive(Clone, Debug)]
pub struct ChangeFields<'a> {
    /// `enabled`.
    pub enabled: Option<bool>,
    /// `url`.
    pub url: Option<&'a str>,
    /// `event_types`.
    pub event_types: Option<&'a [&'a str]>,
    /// `description`.
    pub description: Option<&'a str>,
}

/// A change, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookChange {
    enabled: Option<bool>,
    url: Option<String>,
    event_types: Option<Vec<EventKind>>,
    description: Option<String>,
}

impl NewWebhook {
    /// Checks the words of a request; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: WebhookFields<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let url = faults.take("/url", fields.url.ok_or(ValueError::Missing).and_then(check_url));
        let event_types = match fields.event_types {
            Some(names) => check_event_types(names, &mut faults),
            None => EventKind::ALL.to_vec(),
        };
        let product_key = fields.product.and_then(|product| faults.take("/product_key", product));
        let description = check_description(fields.description.unwrap_or_default());
        let description = faults.take("/description", description).unwrap_or_default();
        faults.into_result()?;
        Ok(Self { url: url.unwrap_or_default(), event_types, product_key, description })
    }

    /// Makes the webhook.
    pub fn begin(self, id: WebhookId, secret: SealedSecret, now: Timestamp) -> Webhook {
        Webhook {
            id,
            url: self.url,
            event_types: self.event_types,
            product_key: self.product_key,
            description: self.description,
            disabled: None,
            secret,
            previous_secret: None,
            created_at: now,
        }
    }
}

impl WebhookChange {
    /// Checks the words of a request; every fault at once.
    ///
    /// # Errors
    /// The faults, with JSON pointers into the request.
    pub fn check(fields: &ChangeFields<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let url = fields.url.and_then(|url| faults.take("/url", check_url(url)));
        let event_types = fields.event_types.map(|names| check_event_types(names, &mut faults));
        let description =
            fields.description.and_then(|text| faults.take("/description", check_description(text)));
        faults.into_result()?;
        Ok(Self { enabled: fields.enabled, url, event_types, description })
    }

    /// Changes a webhook; returns whether anything is different now.
    pub fn apply(&self, webhook: &mut Webhook) -> bool {
        let before = webhook.clone();
        match self.enabled {
            Some(true) => webhook.disabled = None,
            // One whose receiver is gone keeps saying so.
            Some(false) => webhook.disabled = webhook.disabled.or(Some(Disabled::ByOperator)),
            None => {}
        }
        if let Some(url) = &self.url {
            webhook.url.clone_from(url);
        }
        if let Some(event_types) = &self.event_types {
            webhook.event_types.clone_from(event_types);
        }
        if let Some(description) = &self.description {
            webhook.description.clone_from(description);
        }
        *webhook != before
    }
}

fn check_description(text: &str) -> Result<String, ValueError> {
    check_len(text, 0, limits::DESCRIPTION_LEN_MAX).map(|()| text.to_owned())
}

fn check_event_types(names: &[&str], faults: &mut Faults) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    if names.is_empty() {
        faults.add("/event_types", &ValueError::Missing);
    }
    if names.len() > EventKind::ALL.len() {
        faults.add("/event_types", &ValueError::TooMany { count: names.len(), max: EventKind::ALL.len() });
        return kinds;
    }
    for (at, name) in names.iter().enumerate() {
        let pointer = alloc::format!("/event_types/{at}");
        let allowed = "task.finished, version.changed, batch.status";
        let kind = cloud_event::parse_type(name).ok_or(ValueError::NotOneOf { allowed });
        match faults.take(&pointer, kind) {
            Some(kind) if kinds.contains(&kind) => {
                faults.add(&pointer, &ValueError::Duplicate { item: (*name).to_string() });
            }
            Some(kind) => kinds.push(kind),
            None => {}
        }
    }
    kinds
}

/// Checks a URL that requests go to: `http` or `https`, a host, perhaps a port, a path and a query. Which hosts may be
/// reached is said by the application's manifest, and not here.
fn check_url(url: &str) -> Result<String, ValueError> {
    let malformed = ValueError::Malformed {
        expected: "an absolute http or https URL without user, password or fragment, percent-encoded",
    };
    let len = url.len();
    if len > limits::WEBHOOK_URL_LEN_MAX {
        return Err(ValueError::Length { len, min: 1, max: limits::WEBHOOK_URL_LEN_MAX });
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or_else(|| malformed.clone())?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"#<>\\^`{|}".contains(c);
    if check_authority(authority) && path.chars().all(is_plain) { Ok(url.to_owned()) } else { Err(malformed) }
}

fn check_authority(authority: &str) -> bool {
    let host_end = match authority.find(']') {
        Some(at) => at + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            !host.is_empty() && host.chars().all(is_name)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some(port) => {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        }
        None => port.is_empty(),
    };
    is_host && is_port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::tests::webhook;

    const FIELDS: WebhookFields<'_> = WebhookFields {
        url: Some("https://example.com/hook"),
        event_types: None,
        product: None,
        description: None,
    };

    fn faults(fields: WebhookFields<'_>) -> Vec<(String, &'static str)> {
        let refused = NewWebhook::check(fields).err().unwrap_or_default();
        refused.0.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn a_webhook_that_names_only_its_url_is_told_everything() {
        let made = NewWebhook::check(FIELDS).unwrap().begin(
            WebhookId([7; 16]),
            SealedSecret(alloc::vec![1]),
            Timestamp(1),
        );
        assert_eq!(made, webhook());
    }

    #[test]
    fn urls_are_absolute_http_and_carry_no_credentials() {
        let long = |len: usize| alloc::format!("https://h/{}", "a".repeat(len - 10));
        for good in [
            "https://example.com",
            "http://127.0.0.1:8080/a?b=c&d=%20e",
            "https://[::1]:443/",
            "https://h?x=1",
            &long(512),
        ] {
            assert_eq!(check_url(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "HTTPS://example.com",
            "https://",
            "https:///path",
            "https://user@h/",
            "https://user:secret@h/",
            "https://h:0/",
            "https://h:65536/",
            "https://h:+80/",
            "https://h:/",
            "https://[::1/",
            "https://[x]/",
            "https://a]b/",
            "https://h/#part",
            "https://h/a b",
            "https://h/\u{e9}",
            "https://\u{e9}/",
            "https://h\\@evil/",
            "https://h/\r\nx: y",
        ] {
            assert!(matches!(check_url(bad), Err(ValueError::Malformed { .. })), "{bad}");
        }
        assert!(matches!(check_url(&long(513)), Err(ValueError::Length { .. })));
    }

    #[test]
    fn every_fault_of_a_new_webhook_is_told() {
        let bad = WebhookFields {
            url: None,
            event_types: Some(&["task.finished", "task.finished", "task-ended"]),
            product: Some(Err(ValueError::Malformed { expected: "the key of a product" })),
            description: Some(&"x".repeat(101)),
        };
        let expected = [
            ("/url", "value.missing"),
            ("/event_types/1", "value.duplicate"),
            ("/event_types/2", "value.not-one-of"),
            ("/product_key", "value.malformed"),
            ("/description", "value.length"),
        ];
        assert_eq!(faults(bad), expected.map(|(pointer, code)| (pointer.into(), code)));
        let none = WebhookFields { event_types: Some(&[]), ..FIELDS };
        assert_eq!(faults(none), [("/event_types".into(), "value.missing")]);
        let many = WebhookFields { event_types: Some(&["task.finished"; 4]), ..FIELDS };
        assert_eq!(faults(many), [("/event_types".into(), "value.too-many")]);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        const NONE: ChangeFields<'_> =
            ChangeFields { enabled: None, url: None, event_types: None, description: None };
        let change = |fields: ChangeFields<'_>, webhook: &mut Webhook| {
            WebhookChange::check(&fields).unwrap().apply(webhook)
        };
        let mut webhook = webhook();
        let before = webhook.clone();
        assert!(!change(NONE, &mut webhook) && webhook == before);
        assert!(change(ChangeFields { enabled: Some(false), ..NONE }, &mut webhook));
        assert_eq!(webhook.disabled, Some(Disabled::ByOperator));
        webhook.disabled = Some(Disabled::Gone);
        assert!(!change(ChangeFields { enabled: Some(false), ..NONE }, &mut webhook));
        let all = ChangeFields {
            enabled: Some(true),
            url: Some("http://other"),
            event_types: Some(&["batch.status"]),
            description: Some("ours"),
        };
        assert!(change(all, &mut webhook));
        let expected = Webhook {
            url: "http://other".into(),
            event_types: alloc::vec![EventKind::BatchStatus],
            description: "ours".into(),
            ..before
        };
        assert_eq!(webhook, expected);
        let bad = ChangeFields { url: Some("x"), event_types: Some(&[]), ..NONE };
        assert_eq!(WebhookChange::check(&bad).unwrap_err().0.len(), 2);
    }
}
