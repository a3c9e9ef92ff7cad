//! The `Range` header (RFC 9110, section 14), for one range.

/// Which bytes to send: the first and the one behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them: no range, one that is no byte range, or several, which may be ignored.
    Whole,
    /// A part.
    Part {
        /// The first byte.
        from: u64,
        /// One behind the last.
        to: u64,
    },
    /// A range that lies outside the file.
    Outside,
}

/// Reads a `Range` header for a file of `size` bytes. What is not a single well-formed byte range is ignored, as the RFC
/// asks.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(set) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number too large for any file is as good as the largest.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first, last) {
        ("", last) => match number(last) {
            Some(0) => Wanted::Outside,
            Some(count) => Wanted::Part { from: size.saturating_sub(count), to: size },
            None => Wanted::Whole,
        },
        (first, "") => match number(first) {
            Some(from) if from < size => Wanted::Part { from, to: size },
            Some(_) => Wanted::Outside,
            None => Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(from), Some(last)) if from > last => Wanted::Whole,
            (Some(from), Some(_)) if from >= size => Wanted::Outside,
            (Some(from), Some(last)) => Wanted::Part { from, to: last.saturating_add(1).min(size) },
            _ => Wanted::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted::{Outside, Part, Whole};
    use super::*;

    #[test]
    fn r161_a_range_names_the_bytes_the_rfc_says() {
        for (header, expected) in [
            ("bytes=0-", Part { from: 0, to: 100 }),
            ("bytes=0-0", Part { from: 0, to: 1 }),
            ("bytes=10-19", Part { from: 10, to: 20 }),
            ("bytes=90-200", Part { from: 90, to: 100 }),
            ("bytes=-5", Part { from: 95, to: 100 }),
            ("bytes=-500", Part { from: 0, to: 100 }),
            ("bytes=99-", Part { from: 99, to: 100 }),
            ("bytes=100-", Outside),
            ("bytes=100-200", Outside),
            ("bytes=-0", Outside),
            ("bytes=99999999999999999999-", Outside),
        ] {
            assert_eq!(wanted(Some(header), 100), expected, "{header}");
        }
    }

    #[test]
    fn what_is_no_single_byte_range_is_ignored() {
        for header in
            ["bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes=+1-2"]
        {
            assert_eq!(wanted(Some(header), 100), Whole, "{header}");
        }
        assert_eq!(wanted(None, 100), Whole);
    }
}
