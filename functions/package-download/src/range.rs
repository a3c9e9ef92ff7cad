//! The `Range` header (RFC 9110, section 14).

use std::ops::Range;

/// Ranges that one request may ask for. Devices ask for one, and clients that fetch in parts for a few; a header with more is
/// ignored, because a hundred small parts cost more than they are worth.
const RANGES_MAX: usize = 16;

/// Which bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them: no range was asked for, or nothing that has to be heeded.
    Whole,
    /// Parts of the file that neither overlap nor touch, in the order they were asked for. At least one, none empty.
    Parts(Vec<Range<u64>>),
    /// Only ranges that lie outside the file.
    Outside,
}

/// Reads a `Range` header for a file of `size` bytes.
///
/// Ignored, as the RFC allows, is what is not well formed, what asks for more than [`RANGES_MAX`] ranges, and what would send
/// more bytes than the file has.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(specs) = header.and_then(byte_ranges) else { return Wanted::Whole };
    let (mut parts, mut asked, mut count) = (Vec::new(), 0_u64, 0);
    // The RFC lets elements of a list be empty.
    for spec in specs.split(',').map(trim).filter(|spec| !spec.is_empty()) {
        count += 1;
        let range = match range(spec, size) {
            Some(range) if count <= RANGES_MAX => range,
            _ => return Wanted::Whole,
        };
        if !range.is_empty() {
            asked = asked.saturating_add(range.end - range.start);
            join(&mut parts, range);
        }
    }
    if count == 0 || asked > size {
        return Wanted::Whole;
    }
    if parts.is_empty() { Wanted::Outside } else { Wanted::Parts(parts) }
}

/// Returns the list behind `bytes=`. Names of units are the same in either case.
fn byte_ranges(header: &str) -> Option<&str> {
    let (unit, specs) = header.split_once('=')?;
    trim(unit).eq_ignore_ascii_case("bytes").then_some(specs)
}

/// Returns the bytes that one element asks for, none when they lie outside; `None` when it is not well formed.
fn range(spec: &str, size: u64) -> Option<Range<u64>> {
    match spec.split_once('-')? {
        ("", last) => Some(size.saturating_sub(number(last)?)..size),
        (first, "") => Some(number(first)?.min(size)..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..last.saturating_add(1).min(size))
        }
    }
}

/// A number too large for any file is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Adds a range. Those that it overlaps or touches become one with it, in the place of the first of them.
fn join(parts: &mut Vec<Range<u64>>, mut range: Range<u64>) {
    let touches = |part: &Range<u64>, range: &Range<u64>| part.start <= range.end && range.start <= part.end;
    let mut place = parts.len();
    // Once grown it may touch one that it did not touch before. Each turn takes one away.
    while let Some(at) = parts.iter().position(|part| touches(part, &range)) {
        let part = parts.remove(at);
        range = range.start.min(part.start)..range.end.max(part.end);
        place = place.min(at);
    }
    parts.insert(place.min(parts.len()), range);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Wanted::{Outside, Parts, Whole};
    use super::*;

    fn parts<const N: usize>(parts: [(u64, u64); N]) -> Wanted {
        Parts(parts.map(|(from, to)| from..to).to_vec())
    }

    #[test]
    fn r161_a_range_names_the_bytes_the_rfc_says() {
        for (header, expected) in [
            ("bytes=0-", parts([(0, 100)])),
            ("bytes=0-0", parts([(0, 1)])),
            ("bytes=10-19", parts([(10, 20)])),
            ("bytes=90-200", parts([(90, 100)])),
            ("bytes=-5", parts([(95, 100)])),
            ("bytes=-500", parts([(0, 100)])),
            ("bytes=99-", parts([(99, 100)])),
            (" Bytes = 5-9 ", parts([(5, 10)])),
            ("bytes=18446744073709551615-18446744073709551615", Outside),
            ("bytes=0-18446744073709551615", parts([(0, 100)])),
            ("bytes=100-", Outside),
            ("bytes=100-200", Outside),
            ("bytes=-0", Outside),
            ("bytes=99999999999999999999-", Outside),
        ] {
            assert_eq!(wanted(Some(header), 100), expected, "{header}");
        }
    }

    #[test]
    fn r161_several_ranges_are_sent_in_the_order_they_are_asked_for() {
        for (header, expected) in [
            ("bytes=0-9,20-29,-5", parts([(0, 10), (20, 30), (95, 100)])),
            ("bytes=-5,20-29,0-9", parts([(95, 100), (20, 30), (0, 10)])),
            ("bytes= 0-9 ,\t20-29 ", parts([(0, 10), (20, 30)])),
            ("bytes=,0-9,,20-29,", parts([(0, 10), (20, 30)])),
            // What lies outside is left out, as long as something lies inside.
            ("bytes=0-9,100-,-0", parts([(0, 10)])),
            ("bytes=100-,200-300,-0", Outside),
        ] {
            assert_eq!(wanted(Some(header), 100), expected, "{header}");
        }
    }

    #[test]
    fn ranges_that_overlap_or_touch_become_one() {
        for (header, expected) in [
            ("bytes=0-9,10-19", parts([(0, 20)])),
            ("bytes=10-19,0-9", parts([(0, 20)])),
            ("bytes=0-9,0-9", parts([(0, 10)])),
            ("bytes=0-9,5-7", parts([(0, 10)])),
            ("bytes=0-9,11-19", parts([(0, 10), (11, 20)])),
            // The last joins the others, in the place of the first of them.
            ("bytes=60-69,0-9,20-29,10-19", parts([(60, 70), (0, 30)])),
            ("bytes=20-29,60-69,0-9,8-20", parts([(0, 30), (60, 70)])),
            ("bytes=0-49,50-", parts([(0, 100)])),
        ] {
            assert_eq!(wanted(Some(header), 100), expected, "{header}");
        }
    }

    #[test]
    fn what_is_not_well_formed_or_too_much_is_ignored() {
        for header in [
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1-2-3",
            "bytes=1 -2",
            "bytes",
            "0-9",
            // One bad element spoils all.
            "bytes=0-9,x",
            "bytes=0-9;20-29",
            // More than the file has.
            "bytes=0-,0-0",
            "bytes=0-79,20-99",
        ] {
            assert_eq!(wanted(Some(header), 100), Whole, "{header}");
        }
        assert_eq!(wanted(None, 100), Whole);
        let list =
            |count: u64| (0..count).map(|n| format!("{}-{}", 3 * n, 3 * n)).collect::<Vec<_>>().join(",");
        let Parts(sixteen) = wanted(Some(&format!("bytes={}", list(16))), 100) else { panic!("no parts") };
        assert_eq!(sixteen.len(), 16);
        assert_eq!(wanted(Some(&format!("bytes={}", list(17))), 100), Whole);
        // Those outside count as well: a list of a million is read no further than the seventeenth.
        assert_eq!(wanted(Some(&format!("bytes={}", "500-,".repeat(17))), 100), Whole);
    }

    #[test]
    fn a_file_without_bytes_has_no_ranges() {
        assert_eq!(wanted(Some("bytes=0-"), 0), Outside);
        assert_eq!(wanted(Some("bytes=-5"), 0), Outside);
    }

    /// The bytes that a header asks for, one by one, after the RFC's words: an independent reading for small numbers.
    fn asked(specs: &[(Option<u64>, Option<u64>)], size: u64) -> Vec<u64> {
        let within = |at: u64| {
            specs.iter().any(|spec| match *spec {
                (Some(first), Some(last)) => first <= at && at <= last,
                (Some(first), None) => first <= at,
                (None, Some(count)) => at + count >= size,
                (None, None) => false,
            })
        };
        (0..size).filter(|at| within(*at)).collect()
    }

    fn spec() -> impl Strategy<Value = (Option<u64>, Option<u64>)> {
        let number = 0..70_u64;
        prop_oneof![
            (number.clone(), number.clone()).prop_map(|(a, b)| (Some(a.min(b)), Some(a.max(b)))),
            number.clone().prop_map(|a| (Some(a), None)),
            number.prop_map(|count| (None, Some(count))),
        ]
    }

    fn check(wanted: &Wanted, size: u64) {
        let Parts(parts) = wanted else { return };
        assert!(!parts.is_empty() && parts.len() <= RANGES_MAX, "{parts:?}");
        let mut sorted = parts.clone();
        sorted.sort_by_key(|part| part.start);
        assert!(sorted.iter().all(|part| part.start < part.end && part.end <= size), "{parts:?} of {size}");
        assert!(sorted.windows(2).all(|two| two[0].end < two[1].start), "{parts:?}");
    }

    proptest! {
        #[test]
        fn any_header_yields_ranges_inside_the_file(header in "(bytes=)?[-0-9, a]{0,60}|.{0,40}", size: u64) {
            check(&wanted(Some(&header), size), size);
            check(&wanted(Some(&header), size % 100), size % 100);
        }

        #[test]
        fn the_parts_are_exactly_the_bytes_asked_for(
            specs in prop::collection::vec(spec(), 1..=RANGES_MAX), size in 1..64_u64,
        ) {
            let text = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
            let list: Vec<String> = specs.iter().map(|(a, b)| format!("{}-{}", text(*a), text(*b))).collect();
            let wanted = wanted(Some(&format!("bytes={}", list.join(","))), size);
            check(&wanted, size);
            let asked = asked(&specs, size);
            match wanted {
                Parts(parts) => {
                    let mut sent: Vec<u64> = parts.into_iter().flatten().collect();
                    sent.sort_unstable();
                    prop_assert_eq!(sent, asked);
                }
                Outside => prop_assert!(asked.is_empty()),
                Whole => {
                    let each = specs.iter().map(|spec| self::asked(&[*spec], size).len() as u64);
                    prop_assert!(each.sum::<u64>() > size, "ignored without need");
                }
            }
        }
    }
}
