//! How the devices of a batch download their package.

use core::fmt;

use crate::error::{Coded, Faults, ValueError};
use crate::limits;
use crate::package::Package;

/// How devices download (DownloadProtocol).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DownloadProtocol {
    /// From a signed URL.
    #[default]
    Https,
    /// Block by block over their MQTT connection: for devices that speak nothing else.
    Mqtt,
}

/// Why a package is not downloaded over MQTT (R165).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// Its file is larger than 16 MB.
    TooLarge,
    /// It has several files (R31).
    SeveralFiles,
}

impl Coded for DownloadError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "batch.mqtt-too-large",
            Self::SeveralFiles => "batch.mqtt-several-files",
        }
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a file of more than 16 MB is not downloaded over MQTT",
            Self::SeveralFiles => "a package of several files is not downloaded over MQTT",
        })
    }
}

impl core::error::Error for DownloadError {}

impl DownloadProtocol {
    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Mqtt => "mqtt",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Https, Self::Mqtt].into_iter().find(|p| p.as_str() == text)
    }

    /// Reads `download_protocol` of a request, absent being HTTPS, and checks it against the package, if that is there.
    pub fn check(text: Option<&str>, package: Option<&Package>, faults: &mut Faults) -> Self {
        let parsed = text.map_or(Some(Self::default()), Self::parse);
        let parsed = parsed.ok_or(ValueError::NotOneOf { allowed: "https, mqtt" });
        let protocol = faults.take("/download_protocol", parsed).unwrap_or_default();
        if let (Self::Mqtt, Some(package)) = (protocol, package) {
            faults.take("/download_protocol", over_mqtt(package));
        }
        protocol
    }
}

fn over_mqtt(package: &Package) -> Result<(), DownloadError> {
    if !package.files.is_empty() {
        Err(DownloadError::SeveralFiles)
    } else if package.size > limits::MQTT_FILE_BYTES_MAX {
        Err(DownloadError::TooLarge)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for protocol in [DownloadProtocol::Https, DownloadProtocol::Mqtt] {
            assert_eq!(DownloadProtocol::parse(protocol.as_str()), Some(protocol));
        }
        assert_eq!(DownloadProtocol::parse("HTTPS"), None);
    }
}
