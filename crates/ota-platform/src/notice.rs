//! The upgrade notice of a batch's package: made in one place for pushes and for answers to devices that ask.

use ota_core::batch::{Batch, DownloadProtocol};
use ota_core::device::block;
use ota_core::device::message::MessageId;
use ota_core::device::push::{Source, UpgradeNotice, render_get_reply, render_push};
use ota_core::download;
use ota_core::package::Package;

use crate::{Platform, PlatformError};

/// What the devices of a batch are told of their upgrade, with all that it is made of.
pub struct Notice<'a> {
    package: &'a Package,
    tags: Vec<(String, String)>,
    place: Place,
    signature: Option<String>,
}

/// Where devices find the bytes.
enum Place {
    Url(String),
    Stream(u32),
    Files(Vec<String>),
}

impl<'a> Notice<'a> {
    /// Makes the notice, with download URLs that are issued now, and the signature of the package while its product signs.
    ///
    /// # Errors
    /// A variable of the application that is not there.
    pub async fn make<P: Platform>(
        platform: &P,
        batch: &Batch,
        package: &'a Package,
        signature: Option<String>,
    ) -> Result<Self, PlatformError> {
        let place = place(platform, batch, package).await?;
        Ok(Self { package, tags: batch.tag_pairs(), place, signature })
    }

    /// Renders it as a push with this id.
    pub fn push(&self, id: u64) -> String {
        render_push(&self.told(), id)
    }

    /// Renders it as the answer to a request with this id.
    pub fn get_reply(&self, id: &MessageId) -> String {
        render_get_reply(id, Some(&self.told()))
    }

    fn told(&self) -> UpgradeNotice<'_> {
        let source = match &self.place {
            Place::Url(url) => Source::Url(url),
            Place::Stream(id) => Source::Stream(*id),
            Place::Files(urls) => Source::Files { files: &self.package.files, urls },
        };
        UpgradeNotice::of(self.package, &self.tags, source).signed(self.signature.as_deref())
    }
}

async fn place<P: Platform>(platform: &P, batch: &Batch, package: &Package) -> Result<Place, PlatformError> {
    // A package of several files gets no batch that downloads over MQTT (R31).
    if package.files.is_empty() && batch.download == DownloadProtocol::Mqtt {
        return Ok(Place::Stream(block::stream_id(batch.id)));
    }
    let key = platform.variable("url_signing_key").await?;
    let base = platform.variable("public_base_url").await?;
    let (key, now) = (key.as_bytes(), platform.now());
    if package.files.is_empty() {
        return Ok(Place::Url(download::issue(&base, key, package.id, now)));
    }
    let numbers = (1..=u8::MAX).take(package.files.len());
    Ok(Place::Files(numbers.map(|n| download::issue_file(&base, key, package.id, n, now)).collect()))
}
