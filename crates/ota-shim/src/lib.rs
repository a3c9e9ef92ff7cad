//! What the triggers' shims, and the clock beside the gateway, share: one POST to a function of ours, tried a bounded
//! number of times.
//!
//! A trigger's shim does nothing but hand on what it was called with, so that the rules live behind one door, HTTP,
//! whichever way a message came in. Shims must run on Spin 4.0 and 4.1 alike, which share WASI 0.2 but not 0.3:
//!
//! **Invariant**: nothing here imports an interface of `wasi:*@0.3.0`.
//!
//! [`deliver`] decides and is tested on any machine; `post`, on wasm only, gives it a network.

mod base_url;
mod delivery;
#[cfg(target_arch = "wasm32")]
mod wasi;

pub use base_url::BaseUrl;
pub use delivery::{DeliveryError, Patience, Wire, deliver};
#[cfg(target_arch = "wasm32")]
pub use wasi::{Target, post};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for itself in a URL, by RFC 3986: all else is written as `%` and two digits.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes a text as the value of a query parameter.
pub fn query_value(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_becomes_a_query_value() {
        assert_eq!(
            query_value("/ota/device/inform/a1pk/a.b:c@d"),
            "%2Fota%2Fdevice%2Finform%2Fa1pk%2Fa.b%3Ac%40d"
        );
        assert_eq!(query_value("a&b=c#d 灯%"), "a%26b%3Dc%23d%20%E7%81%AF%25");
    }
}
