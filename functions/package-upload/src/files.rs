//! The files of a new package: one upload, or several with a name each (R31).

use ota_core::error::{Faults, ValueError};
use ota_core::ids::UploadId;
use ota_core::package::{FileFields, FilesFields, NewPackage, PackageFile, check_file_name, is_device_list};
use ota_core::settings::PackageLimits;
use ota_http::Problem;
use ota_http::json::Fields;
use ota_platform::Platform;
use ota_store::blobs::{self, Blob};

/// Reads what a request says of the files.
pub(crate) fn read<'a>(fields: &mut Fields<'a>, faults: &mut Faults) -> FilesFields<'a> {
    let one = FileFields {
        name: None,
        upload_id: fields.text("upload_id", faults),
        digest: fields.text("digest", faults),
        size: fields.number("size", faults),
    };
    let several = fields.objects("files", faults, |file, faults| FileFields {
        name: file.text("name", faults),
        upload_id: file.text("upload_id", faults),
        digest: file.text("digest", faults),
        size: file.number("size", faults),
    });
    // A list that could not be read was meant as one all the same: an `upload_id` is not missed then.
    let unreadable = || faults.0.iter().any(|fault| fault.pointer == "/files").then(Vec::new);
    FilesFields { one, several: several.or_else(unreadable) }
}

/// Looks for the uploads, and returns each file's, with the faults of what is said of the list and of the uploads.
pub(crate) async fn find<P: Platform>(
    platform: &P,
    told: &FilesFields<'_>,
    limits: PackageLimits,
) -> Result<(Vec<Option<Blob>>, Faults), Problem> {
    let mut faults = told.check();
    let mut found = Vec::new();
    for (at, file) in told.each() {
        match find_blob(platform, &at, file.upload_id, limits).await? {
            Ok(blob) => found.push(Some(blob)),
            Err(fault) => {
                faults.0.extend(fault.0);
                found.push(None);
            }
        }
    }
    Ok((found, faults))
}

/// Checks what is said of each file against the file that arrived, where one did.
pub(crate) fn check(new: &NewPackage, told: &FilesFields<'_>, found: &[Option<Blob>]) -> Faults {
    let mut faults = Faults::new();
    for ((at, file), blob) in told.each().iter().zip(found) {
        let Some(blob) = blob else { continue };
        if let Err(wrong) = new.check_file(at, file.digest, file.size, &blob.digests, blob.size) {
            faults.0.extend(wrong.0);
        }
    }
    faults
}

/// Returns the files of a package of several by their names; none of a package of one file, which has no name.
pub(crate) fn named(told: &FilesFields<'_>, found: &[Blob]) -> Vec<PackageFile> {
    let names = told.several.iter().flatten().filter_map(|file| file.name);
    let files = names.zip(found).map(|(name, blob)| PackageFile {
        name: name.to_owned(),
        file_name: blob.file_name.clone(),
        size: blob.size,
        digests: blob.digests.clone(),
    });
    files.collect()
}

/// Returns the fault of an upload that is not there, or somebody else's; it is told of at `at`.
pub(crate) fn upload_unknown(at: &str) -> Faults {
    let expected = "the id of an upload that is not a package yet";
    fault(at, &ValueError::Malformed { expected })
}

fn fault(at: &str, fault: &ValueError) -> Faults {
    let mut faults = Faults::new();
    faults.add(&format!("{at}/upload_id"), fault);
    faults
}

/// Returns the upload of this id if it may become a file of a package; the id is told at `at`.
pub(crate) async fn find_blob<P: Platform>(
    platform: &P,
    at: &str,
    id: Option<&str>,
    limits: PackageLimits,
) -> Result<Result<Blob, Faults>, Problem> {
    let Some(id) = id else { return Ok(Err(fault(at, &ValueError::Missing))) };
    let Ok(id) = id.parse::<UploadId>() else { return Ok(Err(upload_unknown(at))) };
    let blob = blobs::get(platform.kv(), id).await?;
    // A device list is no image, whatever it is asked to be.
    let fit = |blob: &Blob| blob.expires_at() > platform.now() && !is_device_list(&blob.file_name);
    let Some(blob) = blob.filter(fit) else { return Ok(Err(upload_unknown(at))) };
    // The limits may have changed since the upload.
    let mut faults = Faults::new();
    faults.take(&format!("{at}/upload_id"), check_file_name(&blob.file_name, limits));
    Ok(faults.into_result().map(|()| blob))
}
