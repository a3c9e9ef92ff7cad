//! Where the functions are, from the variable `internal_base_url`.

/// An `http` or `https` URL without query, taken apart as `wasi:http` wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether the scheme is `https`.
    pub is_https: bool,
    /// The host, and the port if one is given.
    pub authority: String,
    /// What goes before every path: empty, or begins with `/` and does not end with it.
    pub prefix: String,
}

impl BaseUrl {
    /// Reads `http://host[:port][/prefix]`. A user name in it is not accepted: requests carry a token.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let is_https = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain =
            |c: char| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#' | '"' | '<' | '>' | '\\');
        if authority.is_empty() || !rest.chars().all(is_plain) {
            return None;
        }
        Some(Self { is_https, authority: authority.into(), prefix: prefix.trim_end_matches('/').into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, is_https, authority, prefix) in [
            ("http://127.0.0.1:3000", false, "127.0.0.1:3000", ""),
            ("http://127.0.0.1:3000/", false, "127.0.0.1:3000", ""),
            (" https://ota.example \n", true, "ota.example", ""),
            ("https://ota.example/a/b/", true, "ota.example", "/a/b"),
            ("http://[::1]:80", false, "[::1]:80", ""),
        ] {
            let expected = BaseUrl { is_https, authority: authority.into(), prefix: prefix.into() };
            assert_eq!(BaseUrl::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "ota.example",
            "ftp://h",
            "http://",
            "http:///a",
            "http://u:p@h",
            "http://h?a",
            "http://h/a b",
        ] {
            assert_eq!(BaseUrl::parse(text), None, "{text}");
        }
    }
}
