//! What devices are sent: the upgrade notice, pushed or as the answer to a request.
//!
//! The exact text matters. A widely shipped SDK has no JSON parser: it searches the text for `"version":` and takes the
//! value right behind the first hit, in no matter which object. Hence:
//! - no space after a colon, and `/` and `&` unescaped;
//! - `extData` last in `data`, behind it at most `files`, and no tag in it by a name that the notice itself uses or could
//!   have used;
//! - `code` is the string `"1000"` in a push and the number 200 in a reply; the `id` of a push is a number;
//! - `md5` besides `sign`, whatever the algorithm, because another widely shipped SDK reads nothing but `md5`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Serialize, Serializer};

use crate::device::block::STREAM_FILE_ID;
use crate::device::message::MessageId;
use crate::digest::{DigestAlgorithm, Digests};
use crate::ids::{DeviceRef, ModuleName, Version};
use crate::package::{Package, PackageFile};

/// The member of `extData` that carries the package's free text. No tag has this key: tags have no underscores.
const UDI_MEMBER: &str = "_package_udi";

/// Names that no tag may have: SDKs that search the text would take the tag for the notice's own member. The later
/// ones are of kinds of notice that are sent rarely or not yet, and are looked for by devices all the same.
pub const RESERVED_TAG_KEYS: [&str; 25] = [
    "version",
    "size",
    "url",
    "sign",
    "signMethod",
    "module",
    "files",
    "dProtocol",
    "streamId",
    "streamFileId",
    "md5",
    "isDiff",
    "digestsign",
    "code",
    "data",
    "id",
    "message",
    "extData",
    "fileName",
    "fileSize",
    "fileUrl",
    "fileMd5",
    "fileSign",
    "splictSize",
    "dmethod",
];

/// Tells whether no tag may have this key; see [`RESERVED_TAG_KEYS`].
pub fn is_reserved_tag_key(key: &str) -> bool {
    RESERVED_TAG_KEYS.contains(&key)
}

/// Where a device finds the bytes of its upgrade.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// One file, at this URL.
    Url(&'a str),
    /// One file, asked for block by block over MQTT under this number; see [`super::block::stream_id`].
    Stream(u32),
    /// Several files, each at its URL (R31).
    Files {
        /// The files.
        files: &'a [PackageFile],
        /// The URL of each.
        urls: &'a [String],
    },
}

/// What a device needs to know of the upgrade it should make.
#[derive(Clone, Copy, Debug)]
pub struct UpgradeNotice<'a> {
    /// The version after the upgrade.
    pub target_version: &'a Version,
    /// Bytes to download. Not told of several files, each of which has its own.
    pub size: u64,
    /// Where to download.
    pub source: Source<'a>,
    /// Which digest `sign` is.
    pub algorithm: DigestAlgorithm,
    /// The digests of the bytes to download. Not told of several files, each of which has its own.
    pub digests: &'a Digests,
    /// Whether the bytes are a difference to the version before.
    pub is_delta: bool,
    /// Bytes of the target that each slice of the difference restores, if it is sliced (R37).
    pub slice_bytes: Option<u32>,
    /// The module to upgrade.
    pub module: &'a ModuleName,
    /// The batch's tags, as keys and values.
    pub tags: &'a [(String, String)],
    /// The package's free text, empty when there is none.
    pub udi: &'a str,
    /// The signature of the digest by `algorithm` as it goes out, while the product signs (R40).
    pub digest_signature: Option<&'a str>,
}

impl<'a> UpgradeNotice<'a> {
    /// Makes the notice of a package for a device of a batch with these tags, to be downloaded from `source`.
    pub fn of(package: &'a Package, tags: &'a [(String, String)], source: Source<'a>) -> Self {
        Self {
            target_version: &package.target_version,
            size: package.size,
            source,
            algorithm: package.algorithm,
            digests: &package.digests,
            is_delta: package.kind.source_version().is_some(),
            slice_bytes: package.slice_bytes,
            module: &package.module,
            tags,
            udi: &package.udi,
            digest_signature: None,
        }
    }

    /// Adds the signature of the digest; a device takes its absence for "this product does not sign" (R40).
    #[must_use]
    pub fn signed(self, digest_signature: Option<&'a str>) -> Self {
        Self { digest_signature, ..self }
    }
}

/// The topics on which devices, and the service about devices, are told something.
#[derive(Clone, Copy, Debug)]
pub struct Topics;

impl Topics {
    /// Returns the topic of pushes, and of answers to the older request (R159).
    pub fn upgrade(device: &DeviceRef) -> String {
        format!("/ota/device/upgrade/{}/{}", device.product_key, device.device_name)
    }

    /// Returns the topic of answers to `firmware/get`.
    pub fn get_reply(device: &DeviceRef) -> String {
        format!("/sys/{}/{}/thing/ota/firmware/get_reply", device.product_key, device.device_name)
    }

    /// Returns the topic of answers to `file/download`.
    pub fn block_reply(device: &DeviceRef) -> String {
        format!("/sys/{}/{}/thing/file/download_reply", device.product_key, device.device_name)
    }

    /// Returns the topic on which the broker says that the device connected or disconnected.
    pub fn presence(device: &DeviceRef) -> String {
        format!("/overair/presence/{}/{}", device.product_key, device.device_name)
    }
}

/// Renders a push, the message of [`Topics::upgrade`].
pub fn render_push(notice: &UpgradeNotice<'_>, id: u64) -> String {
    to_text(&Push { code: "1000", data: Data::of(notice), id, message: "success" })
}

/// Renders the answer to `firmware/get`, the message of [`Topics::get_reply`]. Without a notice the device has
/// nothing to do. A request without an id is answered with the id `""`, since every SDK expects some id.
pub fn render_get_reply(id: &MessageId, notice: Option<&UpgradeNotice<'_>>) -> String {
    let data = notice.map_or(ReplyData::Nothing {}, |notice| ReplyData::Notice(Data::of(notice)));
    to_text(&Reply { id: EchoedId(id), code: 200, data, message: "success" })
}

fn to_text(message: &impl Serialize) -> String {
    serde_json::to_string(message)
        .expect("texts and numbers under names that are texts can always be written")
}

// The order of the fields below is the order on the wire.

#[derive(Serialize)]
struct Push<'a> {
    code: &'static str,
    data: Data<'a>,
    id: u64,
    message: &'static str,
}

#[derive(Serialize)]
struct Reply<'a> {
    id: EchoedId<'a>,
    code: u16,
    data: ReplyData<'a>,
    message: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, for as long as it is rendered")]
enum ReplyData<'a> {
    Nothing {},
    Notice(Data<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_diff: Option<u8>,
    // The spelling of the devices.
    #[serde(rename = "splictSize", skip_serializing_if = "Option::is_none")]
    slice_bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign: Option<String>,
    sign_method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d_protocol: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_file_id: Option<u64>,
    #[serde(rename = "digestsign", skip_serializing_if = "Option::is_none")]
    digest_signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    // Last: see the top of this file.
    #[serde(skip_serializing_if = "ExtData::is_empty")]
    ext_data: ExtData<'a>,
    // Later still: a text search that finds nothing of its own before finds the first file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileData<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileData<'a> {
    file_size: u64,
    file_url: &'a str,
    file_md5: String,
    file_sign: String,
    // Last, so that a file may be called like one of the members before.
    file_name: &'a str,
}

impl<'a> Data<'a> {
    fn of(notice: &UpgradeNotice<'a>) -> Self {
        let (url, stream_id, files) = match notice.source {
            Source::Url(url) => (Some(url), None, None),
            Source::Stream(id) => (None, Some(id), None),
            Source::Files { files, urls } => (None, None, Some(file_data(notice.algorithm, files, urls))),
        };
        let one_file = files.is_none();
        Self {
            size: one_file.then_some(notice.size),
            version: notice.target_version.as_str(),
            is_diff: notice.is_delta.then_some(1),
            slice_bytes: notice.slice_bytes.filter(|_| notice.is_delta),
            sign: one_file.then(|| notice.digests.hex(notice.algorithm)),
            sign_method: notice.algorithm.wire_name(),
            md5: one_file.then(|| notice.digests.hex(DigestAlgorithm::Md5)),
            url,
            d_protocol: stream_id.map(|_| "mqtt"),
            stream_id,
            stream_file_id: stream_id.map(|_| STREAM_FILE_ID),
            digest_signature: notice.digest_signature,
            module: (!notice.module.is_default()).then(|| notice.module.as_str()),
            ext_data: ExtData { tags: notice.tags, udi: notice.udi },
            files,
        }
    }
}

fn file_data<'a>(
    algorithm: DigestAlgorithm,
    files: &'a [PackageFile],
    urls: &'a [String],
) -> Vec<FileData<'a>> {
    let data = files.iter().zip(urls).map(|(file, url)| FileData {
        file_size: file.size,
        file_url: url,
        file_md5: file.digests.hex(DigestAlgorithm::Md5),
        file_sign: file.digests.hex(algorithm),
        file_name: &file.name,
    });
    data.collect()
}

struct ExtData<'a> {
    tags: &'a [(String, String)],
    udi: &'a str,
}

impl<'a> ExtData<'a> {
    fn members(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let udi = (!self.udi.is_empty()).then_some((UDI_MEMBER, self.udi));
        tags.filter(|(key, _)| !is_reserved_tag_key(key) && *key != UDI_MEMBER).chain(udi)
    }

    fn is_empty(&self) -> bool {
        self.members().next().is_none()
    }
}

impl Serialize for ExtData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

/// An id on its way back, of the type it came with (R169).
pub(super) struct EchoedId<'a>(pub(super) &'a MessageId);

impl Serialize for EchoedId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MessageId::Text(text) => serializer.serialize_str(text),
            MessageId::Number(number) => serializer.serialize_u64(*number),
            MessageId::Absent => serializer.serialize_str(""),
        }
    }
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
