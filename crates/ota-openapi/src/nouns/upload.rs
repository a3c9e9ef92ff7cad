//! Uploads, in one request or by the tus protocol.

use ota_core::limits;

use crate::operation::{Operation, operation};
use crate::schema::{Schema, digest, flag, id, may, moment, must, named, object, text, whole, words};

/// What a body of bytes to append is called.
const APPENDED: &str = "application/offset+octet-stream";

/// The version that a tus client speaks.
fn resumable() -> Schema {
    words(["1.0.0"]).says("The version of tus.")
}

fn checksum() -> Schema {
    let says = "The algorithm, and the digest of this request's bytes in base64.";
    text().pattern("^(?:sha1|md5|sha256) [A-Za-z0-9+/]+={0,2}$").says(says)
}

fn hexadecimal(digits: usize) -> Schema {
    text().pattern(&format!("^[0-9A-Fa-f]{{{digits}}}$"))
}

fn file_name() -> Schema {
    let suffixes: Vec<String> = limits::PACKAGE_SUFFIXES.map(|suffix| suffix.replace('.', "\\.")).to_vec();
    let suffixes = format!("^[^/\\\\\"]+\\.(?:{}|{})$", suffixes.join("|"), limits::DEVICE_LIST_SUFFIX);
    text().len(1, limits::FILE_NAME_LEN_MAX).pattern(&suffixes)
}

/// What every request of tus is told.
fn tus(operation: Operation) -> Operation {
    operation.refuses(&["upload.version"]).needs_header("Tus-Resumable", resumable(), "1.0.0")
}

/// What may go wrong while bytes arrive.
const ARRIVING: [&str; 8] = [
    "upload.checksum",
    "upload.checksum-malformed",
    "upload.taken-over",
    "upload.broken-off",
    "upload.beyond-size",
    "upload.length-required",
    "package.digest-mismatch",
    "bucket.unavailable",
];

fn receiving(id: &'static str, method: &'static str) -> Operation {
    operation(id, method, "/v1/uploads", "Uploads a file in one request")
        .bytes("application/octet-stream", false, "not really an image")
        .query(
            "file_name",
            file_name()
                .says("Ends in `.bin`, `.tar`, `.gz`, `.zip` or `.gzip`; a list of devices in `.csv`."),
        )
        .such_as("fw.bin")
        .query("md5", hexadecimal(32).says("A file with another digest is not kept."))
        .query("sha256", hexadecimal(64).says("A file with another digest is not kept."))
        .faults(&["package.suffix", "package.empty-file", "package.file-too-large"])
        .refuses(&["package.file-too-large", "package.empty-file", "package.digest-mismatch"])
        .refuses(&["upload.too-many", "upload.length-required", "bucket.unavailable"])
        .answers(201, "The upload. To a request of tus, no body.", named("Upload"))
}

pub(super) fn operations() -> Vec<Operation> {
    let path = "/v1/uploads/{upload_id}";
    let offset = "How many bytes are there.";
    let expires = "When the upload's time is over.";
    vec![
        receiving("createUpload", "POST")
            .says(
                "The file's bytes are the body. With `Tus-Resumable` the request announces a file instead: `Upload-Length` tells \
                 its bytes, `Upload-Metadata` its `filename`, and if you like its `md5` or `sha256`.",
            )
            .may_tell("Location", "To a request of tus: the upload's path.")
            .may_tell("Upload-Offset", "To a request of tus: how many bytes are there.")
            .may_tell("Upload-Expires", "To a request of tus: when the upload's time is over.")
            .may_tell("Tus-Resumable", "To a request of tus: the version spoken.")
            .header("Tus-Resumable", resumable())
            .header("Upload-Length", whole().says("The bytes of the whole file."))
            .header("Upload-Metadata", text().says("Pairs of a key and a value in base64, with commas between."))
            .header("Upload-Checksum", checksum())
            .refuses(&["upload.version"])
            .refuses(&ARRIVING),
        receiving("putUpload", "PUT"),
        operation("describeUploads", "OPTIONS", "/v1/uploads", "Tells what of tus is possible")
            .ends(204, "In the headers.")
            .tells("Tus-Version", "The version.")
            .tells("Tus-Extension", "The extensions.")
            .tells("Tus-Max-Size", "The most bytes of a file.")
            .tells("Tus-Checksum-Algorithm", "The algorithms of `Upload-Checksum`."),
        tus(operation("appendUpload", "PATCH", path, "Appends bytes to an upload"))
            .says("Who appends while another connection is still open takes its place.")
            .needs_header("Upload-Offset", whole().says(offset), "0")
            .header("Upload-Checksum", checksum())
            .bytes(APPENDED, true, "not really an image")
            .faults(&[])
            .refuses(&["upload.content-type", "upload.offset", "upload.expired"])
            .refuses(&ARRIVING)
            .ends(204, "The bytes are kept.")
            .tells("Upload-Offset", offset)
            .tells("Upload-Expires", expires)
            .tells("Tus-Resumable", "The version."),
        tus(operation("headUpload", "HEAD", path, "Tells how much of an upload is there"))
            .refuses(&["upload.expired", "bucket.unavailable"])
            .ends(200, "In the headers.")
            .tells("Upload-Offset", offset)
            .tells("Upload-Length", "The bytes of the whole file.")
            .tells("Upload-Expires", expires)
            .tells("Tus-Resumable", "The version.")
            .may_tell("Upload-Metadata", "What the file was announced with."),
        operation("getUpload", "GET", path, "Shows an upload")
            .refuses(&["upload.expired", "package.digest-mismatch", "bucket.unavailable"])
            .answers(200, "The upload.", named("Upload")),
        operation("deleteUpload", "DELETE", path, "Gives an upload up")
            .refuses(&["upload.in-use", "bucket.unavailable"])
            .ends(204, "It is gone."),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let upload = object([
        must("upload_id", id()),
        must("file_name", text()),
        must("size", whole().says("The bytes of the whole file.")),
        must("offset", whole().says("How many of them are there.")),
        must("complete", flag().says("Whether all are there.")),
        may("md5", digest(32)),
        may("sha256", digest(64)),
        must("expires_at", moment("When it is collected unless it has become part of a package.")),
    ]);
    vec![("Upload", upload)]
}
