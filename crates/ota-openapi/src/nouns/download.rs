//! Downloads, whose URLs are signed.

use crate::names::{URL_EXPIRES, URL_SIGNATURE};
use crate::operation::{Operation, operation};
use crate::schema::text;

fn download(id: &'static str, method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    let operation = operation(id, method, path, summary)
        .open()
        .refuses(&["download.signature", "download.expired", "download.range", "bucket.unavailable"])
        .query_needed("e", text().says("When the URL expires."), URL_EXPIRES)
        .query_needed("s", text().says("The signature."), URL_SIGNATURE)
        .header("Range", text().says("Up to 16 ranges of bytes."))
        .header("If-Range", text().says("The `ETag` of the file that a part is there of."))
        .header("If-None-Match", text().says("The `ETag` of the file that is there."));
    let types: &[&str] = if method == "HEAD" { &[] } else { &["application/octet-stream"] };
    let parts: &[&str] =
        if method == "HEAD" { &[] } else { &["application/octet-stream", "multipart/byteranges"] };
    operation
        .sends(200, "The file.", types)
        .tells("ETag", "The file's SHA-256.")
        .tells("Accept-Ranges", "`bytes`.")
        .sends(206, "The ranges that were asked for.", parts)
        .tells("ETag", "The file's SHA-256.")
        .may_tell("Content-Range", "Where a single range lies.")
        .ends(304, "The caller has the file already.")
        .tells("ETag", "The file's SHA-256.")
}

pub(super) fn operations() -> Vec<Operation> {
    let (one, several) = ("/d/{package_id}", "/d/{package_id}/{n}");
    vec![
        download("download", "GET", one, "Downloads a package"),
        download("headDownload", "HEAD", one, "Tells of a package's file"),
        download("downloadFile", "GET", several, "Downloads one of several files"),
        download("headDownloadFile", "HEAD", several, "Tells of one of several files"),
    ]
}
