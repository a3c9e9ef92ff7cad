//! The settings of the service.

use minicbor::{Decode, Encode};
use ota_core::settings::{PackageLimits, ServiceSettings};

use super::{Corrupt, Record, read_body, state, write_body};

/// What is absent has its default.
#[derive(Encode, Decode)]
struct SettingsRecord<'a> {
    #[b(0)]
    package_limits: Option<&'a str>,
    #[n(1)]
    fast_push: Option<bool>,
}

impl Record for ServiceSettings {
    fn write(&self, out: &mut Vec<u8>) {
        let record = SettingsRecord {
            package_limits: Some(self.package_limits.as_str()),
            fast_push: Some(self.fast_push),
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: SettingsRecord<'_> = read_body(&bytes)?;
        let default = Self::default();
        Ok(Self {
            package_limits: match record.package_limits {
                None => default.package_limits,
                Some(text) => state(PackageLimits::parse(text), text)?,
            },
            fast_push: record.fast_push.unwrap_or(default.fast_push),
        })
    }
}
