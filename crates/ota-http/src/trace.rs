//! The trace that a request belongs to (W3C Trace Context, level 1): taken from `traceparent`, told in the log, passed on
//! with the requests that are made for it.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Bytes of a header of version 0.
const LEN: usize = 55;

/// A request's place in a trace that somebody else has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub id: [u8; 16],
    /// Whether it is recorded.
    flags: u8,
}

impl Trace {
    /// Reads the header of a request; one that is not as the standard wants it is none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let text = given.next()?.to_str().ok()?;
        if given.next().is_some() || !text.is_ascii() {
            return None;
        }
        let mut parts = text.split('-');
        let version: [u8; 1] = bytes(parts.next()?)?;
        let id: [u8; 16] = bytes(parts.next()?)?;
        let parent: [u8; 8] = bytes(parts.next()?)?;
        let [flags] = bytes(parts.next()?)?;
        // A later version may say more; version 0 does not, and 255 is none.
        let is_long = text.len() > LEN;
        let is_known = match version[0] {
            0 => !is_long,
            255 => false,
            _ => true,
        };
        (is_known && id != [0; 16] && parent != [0; 8]).then_some(Self { id, flags })
    }

    /// Returns the trace's id as it is written.
    pub fn id_text(&self) -> String {
        hex(&self.id)
    }

    /// Renders the header of a request that is made for it, by a part of the trace that is called `span`.
    pub fn header(&self, span: [u8; 8]) -> HeaderValue {
        // Only whether it is recorded is passed on: what the other flags mean is not known here.
        let text = format!("00-{}-{}-{:02x}", self.id_text(), hex(&span), self.flags & 1);
        HeaderValue::try_from(text).expect("hexadecimal digits and hyphens are what a header may have")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads so many bytes in lower-case hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 * N || !text.bytes().all(is_digit) {
        return None;
    }
    let mut read = [0; N];
    for (byte, at) in read.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<Trace> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::try_from(*value).unwrap());
        }
        Trace::of(&headers)
    }

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_is_read_and_passed_on_with_a_span_of_our_own() {
        let trace = read(&[GOOD]).unwrap();
        assert_eq!(trace.id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.header([0xab; 8]), "00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-01");
        let later = read(&["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0f-what-comes"]).unwrap();
        assert_eq!(later.header([1; 8]), "00-4bf92f3577b34da6a3ce929d0e0e4736-0101010101010101-01");
    }

    #[test]
    fn what_is_not_as_the_standard_wants_it_is_none() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[GOOD, GOOD]), None);
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473+-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-001",
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
    }
}
