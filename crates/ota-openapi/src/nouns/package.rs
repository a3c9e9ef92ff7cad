//! Packages.

use ota_core::digest::DigestAlgorithm;
use ota_core::limits;
use ota_core::package::VerificationStatus;
use serde_json::json;

use crate::names::{OTHER_UPLOAD_ID, PRODUCT_KEY, UPLOAD_ID};
use crate::operation::{Operation, operation};
use crate::schema::{
    Schema, description, digest, flag, id, list, may, module_name, moment, must, named, object, page,
    product_key, request, text, version, whole, words,
};

/// A package's name: Chinese, Japanese, letters, digits, `-`, `_`, `(`, `)`, beginning with a letter or a digit (R16-R18).
pub(super) fn name() -> Schema {
    let letters = "A-Za-z0-9\u{3400}-\u{4dbf}\u{4e00}-\u{9fff}\u{f900}-\u{faff}\u{3005}\u{3041}-\u{309f}\u{30a1}-\u{30ff}\u{31f0}-\u{31ff}";
    let pattern = format!("^[{letters}][{letters}_()-]*$");
    text().len(1, limits::PACKAGE_NAME_LEN_MAX).pattern(&pattern).says(
        "Chinese, Japanese, letters, digits, `-`, `_`, `(`, `)`, the first a letter or a digit; unique in the account.",
    )
}

fn kind() -> Schema {
    words(["full", "delta"])
}

fn algorithm() -> Schema {
    words([DigestAlgorithm::Sha256, DigestAlgorithm::Md5].map(DigestAlgorithm::as_str))
}

fn file_name() -> Schema {
    text()
        .len(1, limits::PACKAGE_FILE_NAME_LEN_MAX)
        .pattern("^[^/\\\\\"]+$")
        .says("What devices know the file by.")
}

/// A digest that is told beforehand may be written in either case.
fn told_digest() -> Schema {
    text().pattern("^[0-9A-Fa-f]{32}(?:[0-9A-Fa-f]{32})?$").says("Compared with that of the file.")
}

pub(super) fn operations() -> Vec<Operation> {
    let path = "/v1/packages/{package_id}";
    vec![
        operation("createPackage", "POST", "/v1/packages", "Makes a package of what was uploaded")
            .says("Of one file, named by `upload_id`, or of several, named in `files`.")
            .once()
            .body(named("NewPackage"), examples())
            .refuses(&["package.too-many", "package.name-taken", "package.version-taken", "upload.too-many"])
            .faults(&[
                "module.unknown",
                "package.same-versions",
                "package.empty-file",
                "package.file-too-large",
                "package.suffix",
                "package.digest-mismatch",
                "package.size-mismatch",
                "package.delta-not-supported",
                "package.delta-needs-md5",
            ])
            .answers(201, "The package.", named("Package")),
        operation("listPackages", "GET", "/v1/packages", "Lists packages, the newest first")
            .pages(limits::PAGE_SIZE_MAX)
            .query("product_key", text().says("Only packages of this product."))
            .such_as(PRODUCT_KEY)
            .query("target_version", text().says("Only packages that lead to this version."))
            .answers(200, "A page of packages.", page(named("Package"))),
        operation("getPackage", "GET", path, "Shows a package").answers(
            200,
            "The package.",
            named("Package"),
        ),
        operation("deletePackage", "DELETE", path, "Deletes a package")
            .refuses(&["package.in-use", "upload.too-many"])
            .ends(204, "It is gone."),
        operation(
            "getDownloadUrl",
            "GET",
            "/v1/packages/{package_id}/download_url",
            "Issues a URL to download a package from",
        )
        .answers(200, "The URL, or one for each of several files.", named("DownloadUrl")),
    ]
}

fn examples() -> Vec<(&'static str, serde_json::Value)> {
    let one = json!({
        "product_key": PRODUCT_KEY,
        "name": "lamp-1_1_0",
        "target_version": "1.1.0",
        "upload_id": UPLOAD_ID,
        "description": "Warmer light",
    });
    let several = json!({
        "product_key": PRODUCT_KEY,
        "name": "lamp-1_2_0",
        "target_version": "1.2.0",
        "needs_verification": false,
        "files": [
            {"name": "main", "upload_id": UPLOAD_ID},
            {"name": "radio", "upload_id": OTHER_UPLOAD_ID},
        ],
    });
    vec![("A file", one), ("Several files", several)]
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let new_file = request([
        must("name", file_name()),
        must("upload_id", id()),
        may("digest", told_digest()),
        may("size", whole().says("Compared with that of the file.")),
    ]);
    let needs = flag().default(true).says("Whether a trial must come before a batch.");
    let new = request([
        must("product_key", product_key()),
        must("name", name()),
        must("target_version", version()),
        may("upload_id", id().says("The one file.")),
        may("digest", told_digest()),
        may("size", whole().says("Compared with that of the file.")),
        may("files", list(new_file).items(limits::PACKAGE_FILES_MIN, limits::PACKAGE_FILES_MAX)),
        may("module", module_name().default("default")),
        may("kind", kind().default("full")),
        may("source_version", version().says("Of a delta: the version it starts from.")),
        may("digest_algorithm", algorithm().default(DigestAlgorithm::Sha256.as_str())),
        may("description", description()),
        may("udi", udi()),
        may("needs_verification", needs),
    ]);
    let file = object([
        must("name", file_name()),
        must("file_name", text()),
        must("size", whole()),
        must("digest", text()),
        must("md5", digest(32)),
        must("sha256", digest(64)),
    ]);
    let url = object([must("name", file_name()), must("url", text())]);
    let urls = object([
        may("url", text().says("Of the one file.")),
        may("files", list(url).says("Of several files, each its own.")),
        must("expires_at", moment("Until when the URLs can be used.")),
    ]);
    vec![("NewPackage", new), ("Package", package()), ("PackageFile", file), ("DownloadUrl", urls)]
}

fn udi() -> Schema {
    text().len(0, limits::UDI_LEN_MAX).says("Text that devices are told as it is.")
}

fn package() -> Schema {
    let status = words(VerificationStatus::ALL.map(VerificationStatus::as_str));
    object([
        must("package_id", id()),
        must("product_key", product_key()),
        must("name", name()),
        must("module", module_name()),
        must("kind", kind()),
        may("source_version", version()),
        must("target_version", version()),
        must("digest_algorithm", algorithm()),
        may("digest", text().says("By the package's algorithm.")),
        may("md5", digest(32)),
        may("sha256", digest(64)),
        must("size", whole().says("The bytes of all its files.")),
        may(
            "slice_bytes",
            whole().says("Of a delta that the service made: bytes of the target that one slice restores."),
        ),
        may("file_name", text()),
        may("files", list(named("PackageFile")).says("Of a package of several files.")),
        must("description", description()),
        must("udi", udi()),
        must("verification", object([must("status", status), may("batch_id", id())])),
        must("created_at", moment("When it was made.")),
    ])
}
