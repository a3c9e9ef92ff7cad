//! Numbered pages (R174).

use crate::limits::LIST_REACH_MAX;

/// A page by its number: `CurrentPage` and `PageSize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNumber {
    /// The page, from 1.
    pub current: usize,
    /// Items of a page.
    pub size: usize,
}

impl PageNumber {
    /// Reads a page of up to `size_max` items; `None` if there is no such page, or it lies beyond what lists reach.
    pub fn check(current: &str, size: &str, size_max: usize) -> Option<Self> {
        let (current, size) = (current.parse().ok()?, size.parse().ok()?);
        let page = Self { current, size };
        let reach = page.current.checked_mul(page.size)?;
        (page.current >= 1 && (1..=size_max).contains(&page.size) && reach <= LIST_REACH_MAX).then_some(page)
    }

    /// Returns how many items come before the page.
    pub const fn skip(self) -> usize {
        (self.current - 1) * self.size
    }

    /// Returns how many pages `total` items fill.
    pub const fn count(self, total: usize) -> usize {
        total.div_ceil(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r174_a_list_reaches_item_100_000_and_no_further() {
        let page = |current: &str, size: &str| PageNumber::check(current, size, 100);
        assert_eq!(page("1000", "100"), Some(PageNumber { current: 1_000, size: 100 }));
        assert_eq!(page("1001", "100"), None);
        assert_eq!(page("18446744073709551615", "100"), None);
        assert_eq!(page("100000", "1").map(PageNumber::skip), Some(99_999));
        assert_eq!(page("100001", "1"), None);
    }

    #[test]
    fn pages_are_numbered_from_one_and_have_a_largest_size() {
        let page = |current: &str, size: &str| PageNumber::check(current, size, 100);
        for (current, size) in [("0", "10"), ("1", "0"), ("1", "101"), ("", "10"), ("1", "x"), ("-1", "10")] {
            assert_eq!(page(current, size), None, "{current} {size}");
        }
        assert_eq!(page("3", "10").unwrap().skip(), 20);
        assert_eq!(page("3", "10").unwrap().count(21), 3);
        assert_eq!(page("1", "10").unwrap().count(0), 0);
    }
}
