//! Who subscribed to what: filters on one side, subscribers on the other.
//!
//! Nearly all filters of a fleet are plain topics, one or two per device, so those are found by a single look-up.
//! A filter with wildcards is filed under the text before its first wildcard segment; a topic has only as many
//! such prefixes as it has segments, so the search stays short with any number of subscribers, and nothing here
//! recurses over a hostile topic of ten thousand levels.

use std::collections::HashMap;

use crate::topics::{filter_matches, has_wildcard};

/// One subscription: `subscriber` wants what the filter matches, in the manner of `terms`.
#[derive(Debug, Clone)]
pub(crate) struct Route<K, T> {
    /// Who receives.
    pub(crate) subscriber: K,
    /// How to deliver: service level, group and the like.
    pub(crate) terms: T,
}

/// All subscriptions of one broker.
#[derive(Debug)]
pub(crate) struct Routes<K, T> {
    by_filter: HashMap<String, Vec<Route<K, T>>>,
    by_prefix: HashMap<String, Vec<String>>,
}

impl<K, T> Default for Routes<K, T> {
    fn default() -> Self {
        Self { by_filter: HashMap::new(), by_prefix: HashMap::new() }
    }
}

impl<K: PartialEq, T> Routes<K, T> {
    /// Adds a subscription. A second one of the same subscriber to the same filter replaces the first, which is
    /// why a device that subscribes to what it was subscribed to by the broker gets each message once.
    pub(crate) fn insert(&mut self, filter: &str, subscriber: K, terms: T) {
        if let Some(routes) = self.by_filter.get_mut(filter) {
            match routes.iter_mut().find(|route| route.subscriber == subscriber) {
                Some(route) => route.terms = terms,
                None => routes.push(Route { subscriber, terms }),
            }
            return;
        }
        if has_wildcard(filter) {
            self.by_prefix.entry(literal_prefix(filter).to_owned()).or_default().push(filter.to_owned());
        }
        self.by_filter.insert(filter.to_owned(), vec![Route { subscriber, terms }]);
    }

    /// Removes a subscription; tells whether there was one.
    pub(crate) fn remove(&mut self, filter: &str, subscriber: &K) -> bool {
        let Some(routes) = self.by_filter.get_mut(filter) else { return false };
        let before = routes.len();
        routes.retain(|route| route.subscriber != *subscriber);
        let removed = routes.len() < before;
        if routes.is_empty() {
            self.by_filter.remove(filter);
            let prefix = literal_prefix(filter);
            if has_wildcard(filter)
                && let Some(filters) = self.by_prefix.get_mut(prefix)
            {
                filters.retain(|filed| filed != filter);
                if filters.is_empty() {
                    self.by_prefix.remove(prefix);
                }
            }
        }
        removed
    }

    /// Calls `visit` with each filter that matches a topic and one of its routes.
    pub(crate) fn visit<'a>(&'a self, topic: &str, mut visit: impl FnMut(&'a str, &'a Route<K, T>)) {
        let mut visit_filter = |filter: &str| {
            if let Some((filter, routes)) = self.by_filter.get_key_value(filter) {
                for route in routes {
                    visit(filter, route);
                }
            }
        };
        // A topic with a wildcard in it is no topic; it would otherwise find the filter of the same spelling.
        if has_wildcard(topic) {
            return;
        }
        visit_filter(topic);
        if self.by_prefix.is_empty() {
            return;
        }
        let ends = std::iter::once(0).chain(topic.match_indices('/').map(|(at, _)| at + 1));
        // `a/#` also matches `a`, whose own prefixes end before the slash that `a/` has.
        let parent = format!("{topic}/");
        for prefix in ends.map(|end| &topic[..end]).chain(std::iter::once(parent.as_str())) {
            for filter in self.by_prefix.get(prefix).into_iter().flatten() {
                if filter_matches(filter, topic) {
                    visit_filter(filter);
                }
            }
        }
    }

    /// The number of different filters.
    pub(crate) fn filters(&self) -> usize {
        self.by_filter.len()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.by_filter.clear();
        self.by_prefix.clear();
    }
}

/// The text of a filter before its first segment with a wildcard.
fn literal_prefix(filter: &str) -> &str {
    let mut end = 0;
    for segment in filter.split('/') {
        if has_wildcard(segment) {
            break;
        }
        end += segment.len() + 1;
    }
    &filter[..end.min(filter.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(routes: &Routes<u8, ()>, topic: &str) -> Vec<u8> {
        let mut found = Vec::new();
        routes.visit(topic, |_, route| found.push(route.subscriber));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_topic_finds_plain_and_wildcard_filters() {
        let mut routes = Routes::default();
        for (filter, subscriber) in [
            ("/ota/device/inform/pk/d1", 1),
            ("/ota/device/inform/+/+", 2),
            ("/ota/#", 3),
            ("#", 4),
            ("/+/device/inform/pk/d1", 5),
            ("/ota/device/inform/pk/d1/#", 6),
            ("/ota/device/progress/+/+", 7),
            ("/ota/device/inform/pk/d2", 8),
        ] {
            routes.insert(filter, subscriber, ());
        }
        assert_eq!(receivers(&routes, "/ota/device/inform/pk/d1"), [1, 2, 3, 4, 5, 6]);
        assert_eq!(receivers(&routes, "/ota/device/inform/+/+"), [0u8; 0]);
        assert_eq!(receivers(&routes, "$SYS/x"), [0u8; 0]);
    }

    #[test]
    fn the_same_subscriber_and_filter_is_one_route() {
        let mut routes = Routes::default();
        routes.insert("/a/b", 1, "first");
        routes.insert("/a/b", 1, "second");
        let mut found = Vec::new();
        routes.visit("/a/b", |filter, route| found.push((filter.to_owned(), route.terms)));
        assert_eq!(found, [("/a/b".to_owned(), "second")]);
    }

    #[test]
    fn nothing_is_left_of_a_removed_route() {
        let mut routes = Routes::default();
        for filter in ["/a", "/a/+", "#"] {
            routes.insert(filter, 1, ());
            routes.insert(filter, 2, ());
        }
        for filter in ["/a", "/a/+", "#"] {
            assert!(routes.remove(filter, &1));
            assert!(!routes.remove(filter, &1));
        }
        assert_eq!(receivers(&routes, "/a/x"), [2, 2]);
        for filter in ["/a", "/a/+", "#"] {
            assert!(routes.remove(filter, &2));
        }
        assert_eq!((routes.by_filter.len(), routes.by_prefix.len()), (0, 0));
    }
}
