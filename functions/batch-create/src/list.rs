//! Device lists: a batch for thousands of named devices takes them from an uploaded file (R66).

use ota_blob::File;
use ota_core::batch::{BatchError, parse_device_list};
use ota_core::error::{Faults, ValueError};
use ota_core::ids::{DeviceName, ProductKey, UploadId};
use ota_core::limits;
use ota_core::package::is_device_list;
use ota_http::Problem;
use ota_platform::Platform;
use ota_store::{blobs, targets};

const POINTER: &str = "/target/device_list";

/// Reads the uploaded list that a request names; `None` if it cannot be used, and then the faults tell why: every bad row,
/// every name that the product does not have.
pub(crate) async fn read<P: Platform>(
    platform: &P,
    upload: &str,
    product: &ProductKey,
    faults: &mut Faults,
) -> Result<Option<Vec<DeviceName>>, Problem> {
    let kv = platform.kv();
    let blob = match upload.parse::<UploadId>() {
        Ok(id) => blobs::get(kv, id).await?,
        Err(_) => None,
    };
    let usable = blob.filter(|blob| {
        is_device_list(&blob.file_name)
            && blob.size <= limits::DEVICE_LIST_BYTES_MAX
            && platform.now() < blob.expires_at()
    });
    let Some(blob) = usable else {
        faults.add(POINTER, &BatchError::ListUnknown);
        return Ok(None);
    };
    let size = blob.size;
    let bytes = File::of(platform, blob).read(0..size).await?;
    let Ok(text) = String::from_utf8(bytes) else {
        faults.add(POINTER, &ValueError::Malformed { expected: "UTF-8 text" });
        return Ok(None);
    };
    let names = match parse_device_list(&text) {
        Ok(names) => names,
        Err(bad) => {
            faults.0.extend(bad.0);
            return Ok(None);
        }
    };
    let unknown = targets::unknown(kv, product, &names, platform.now()).await?;
    if !unknown.is_empty() {
        let names = unknown.iter().map(ToString::to_string).collect();
        faults.add(POINTER, &BatchError::UnknownDevices { names });
        return Ok(None);
    }
    Ok(Some(names))
}
