//! Which component answers a path.
//!
//! A route is exact (`/a/b`), has single-segment wildcards (`/a/:name/b`) or ends in a wildcard (`/a/...`, which also
//! answers `/a`). Of several routes that fit a path, the most specific wins: segment by segment from the left, a
//! literal before a named wildcard before the trailing one. One trailing slash of a path does not count.

use std::cmp::Ordering;

/// A route of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// As the manifest has it.
    raw: String,
    segments: Vec<Segment>,
    /// Ends in `/...`.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Named(String),
}

/// What a path had in the places of a route's wildcards.
#[derive(Debug, PartialEq, Eq)]
pub struct Captures<'a> {
    /// The named wildcards.
    pub named: Vec<(&'a str, &'a str)>,
    /// What the trailing wildcard stands for, with its leading slash; empty if the route has none.
    pub rest: String,
}

impl Route {
    /// Reads a route; the error says what is wrong with it.
    pub fn parse(raw: &str) -> Result<Self, String> {
        if !raw.starts_with('/') {
            return Err(format!("route `{raw}` does not start with `/`"));
        }
        let (path, open) = match raw.strip_suffix("/...") {
            Some(path) => (path, true),
            None => (raw, false),
        };
        let mut segments = Vec::new();
        for segment in path.trim_matches('/').split('/').filter(|_| !path.trim_matches('/').is_empty()) {
            segments.push(match segment.strip_prefix(':') {
                Some(name) if is_wildcard_name(name) => Segment::Named(name.to_owned()),
                Some(name) => {
                    return Err(format!("route `{raw}`: `:{name}` is no wildcard this host supports"));
                }
                None if segment.is_empty() || segment.contains('*') || segment == "..." => {
                    return Err(format!("route `{raw}`: `{segment}` is no segment this host supports"));
                }
                None => Segment::Literal(segment.to_owned()),
            });
        }
        Ok(Self { raw: raw.to_owned(), segments, open })
    }

    /// The route as the manifest has it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The route without its trailing wildcard.
    pub fn prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    /// Fits the route to a path.
    pub fn captures<'a>(&'a self, path: &'a str) -> Option<Captures<'a>> {
        let trimmed = path.trim_matches('/');
        let mut rest = trimmed;
        let mut named = Vec::new();
        for segment in &self.segments {
            if rest.is_empty() {
                return None;
            }
            let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
            match segment {
                Segment::Literal(literal) if literal == first => {}
                Segment::Named(name) if !first.is_empty() => named.push((name.as_str(), first)),
                _ => return None,
            }
            rest = after;
        }
        match (self.open, rest.is_empty()) {
            (false, false) => None,
            (false, true) => Some(Captures { named, rest: String::new() }),
            (true, _) => {
                let slash = if path.ends_with('/') { "/" } else { "" };
                let rest = if rest.is_empty() { slash.to_owned() } else { format!("/{rest}{slash}") };
                Some(Captures { named, rest })
            }
        }
    }

    fn rank(segment: Option<&Segment>) -> u8 {
        match segment {
            Some(Segment::Literal(_)) => 2,
            Some(Segment::Named(_)) => 1,
            None => 0,
        }
    }

    /// Orders the more specific route first.
    fn specificity(&self, other: &Self) -> Ordering {
        let longest = self.segments.len().max(other.segments.len());
        (0..longest)
            .map(|at| Self::rank(other.segments.get(at)).cmp(&Self::rank(self.segments.get(at))))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.open.cmp(&other.open))
    }

    /// Whether both routes answer exactly the same paths.
    pub fn same_paths(&self, other: &Self) -> bool {
        let same = |a: &Segment, b: &Segment| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Named(_), Segment::Named(_)) => true,
            _ => false,
        };
        self.open == other.open
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(a, b)| same(a, b))
    }
}

fn is_wildcard_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Routes with what they lead to, most specific first.
#[derive(Debug)]
pub struct Router<T> {
    routes: Vec<(Route, T)>,
}

impl<T> Router<T> {
    /// Sorts the routes once, so that the first that fits is the one.
    pub fn new(mut routes: Vec<(Route, T)>) -> Self {
        routes.sort_by(|(a, _), (b, _)| a.specificity(b));
        Self { routes }
    }

    /// Returns the most specific route that fits the path.
    pub fn find<'a>(&'a self, path: &'a str) -> Option<(&'a Route, &'a T, Captures<'a>)> {
        self.routes.iter().find_map(|(route, target)| Some((route, target, route.captures(path)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&'static str]) -> Router<&'static str> {
        Router::new(routes.iter().map(|raw| (Route::parse(raw).unwrap(), *raw)).collect())
    }

    fn found<'a>(router: &'a Router<&'static str>, path: &'a str) -> Option<&'static str> {
        router.find(path).map(|(_, target, _)| *target)
    }

    #[test]
    fn a_trailing_wildcard_also_answers_its_own_prefix() {
        let router = router(&["/foo/..."]);
        for (path, rest) in [("/foo", ""), ("/foo/", "/"), ("/foo/bar", "/bar"), ("/foo/bar/", "/bar/")] {
            assert_eq!(router.find(path).unwrap().2.rest, rest, "{path}");
        }
        assert_eq!(found(&router, "/food"), None);
        assert_eq!(found(&router, "/"), None);
    }

    #[test]
    fn the_most_specific_route_wins_whatever_the_order() {
        let router = router(&["/...", "/v1/p/...", "/v1/p/:id/verify", "/v1/p/:id", "/v1/p/new"]);
        for (path, route) in [
            ("/x", "/..."),
            ("/", "/..."),
            ("/v1/p", "/v1/p/..."),
            ("/v1/p/7", "/v1/p/:id"),
            ("/v1/p/new", "/v1/p/new"),
            ("/v1/p/7/verify", "/v1/p/:id/verify"),
            ("/v1/p/7/verify/", "/v1/p/:id/verify"),
            ("/v1/p/7/verify/more", "/v1/p/..."),
            ("/v1/p/7/other", "/v1/p/..."),
        ] {
            assert_eq!(found(&router, path), Some(route), "{path}");
        }
    }

    #[test]
    fn an_early_literal_beats_a_late_one() {
        let router = router(&["/a/:x/c", "/a/b/..."]);
        assert_eq!(found(&router, "/a/b/c"), Some("/a/b/..."));
        assert_eq!(found(&router, "/a/z/c"), Some("/a/:x/c"));
    }

    #[test]
    fn named_wildcards_are_captured() {
        let route = Route::parse("/v1/:kind/x/:id").unwrap();
        assert_eq!(route.captures("/v1/k/x/9").unwrap().named, [("kind", "k"), ("id", "9")]);
        assert_eq!(route.captures("/v1//x/9"), None);
    }

    #[test]
    fn exact_routes_are_exact() {
        let router = router(&["/a/b", "/"]);
        assert_eq!(found(&router, "/a/b"), Some("/a/b"));
        assert_eq!(found(&router, "/a/b/c"), None);
        assert_eq!(found(&router, "/a"), None);
        assert_eq!(found(&router, "/"), Some("/"));
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for bad in ["a", "/a/:x.json", "/a/*", "/a/.../b", "/a//b", "/:"] {
            assert!(Route::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn routes_that_differ_in_names_only_are_the_same() {
        let same = |a: &str, b: &str| Route::parse(a).unwrap().same_paths(&Route::parse(b).unwrap());
        assert!(same("/a/:x", "/a/:y"));
        assert!(same("/a/", "/a"));
        assert!(!same("/a/...", "/a"));
    }
}
