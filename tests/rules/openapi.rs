//! Keeps `docs/openapi.json` true: it is what the code says. `UPDATE_DOCS=1` writes it anew, as for the other documents.

use std::fs;
use std::path::Path;

#[test]
fn openapi_doc_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let current = ota_openapi::text();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, current).expect("docs/openapi.json can be written");
    } else {
        let present = fs::read_to_string(&path).expect("docs/openapi.json is there");
        assert!(
            present == current,
            "docs/openapi.json is out of date: UPDATE_DOCS=1 cargo test -p ota-tests --test rules"
        );
    }
}
