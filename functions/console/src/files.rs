//! The files that were put in when this was built (`build.rs`).

/// A file of the application.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path below `assets/`.
    pub(crate) name: &'static str,
    /// Tells its bytes from any others.
    pub(crate) etag: &'static str,
    /// Its bytes.
    pub(crate) plain: &'static [u8],
    /// Its bytes, compressed.
    pub(crate) gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page that everything begins with.
pub(crate) const PAGE: &str = "index.html";
/// The page of the REST API.
pub(crate) const REFERENCE: &str = "reference.html";
/// The document that it is made of.
pub(crate) const OPENAPI: &str = "openapi.json";

impl File {
    /// Finds a file by its path.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        FILES.iter().find(|file| file.name == name)
    }

    /// What kind of file its name says that it is; `None` for what is not meant to be served.
    pub(crate) fn media_type(&self) -> Option<&'static str> {
        match self.name.rsplit_once('.')?.1 {
            "html" => Some("text/html; charset=utf-8"),
            "css" => Some("text/css; charset=utf-8"),
            "js" => Some("text/javascript; charset=utf-8"),
            "json" => Some("application/json"),
            "svg" => Some("image/svg+xml"),
            "txt" => Some("text/plain; charset=utf-8"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_kind() {
        for file in FILES {
            assert!(file.media_type().is_some(), "{}", file.name);
        }
    }

    #[test]
    fn the_pages_know_where_the_other_files_are() {
        for (page, program) in [(PAGE, "main.js"), (REFERENCE, "reference.js")] {
            let page = std::str::from_utf8(File::find(page).unwrap().plain).unwrap();
            assert!(page.contains(&format!("assets/{VERSION}/{program}")), "{page}");
            assert!(!page.contains("{version}"), "{page}");
        }
    }
}
