//! A product.

use minicbor::{Decode, Encode};
use ota_core::ids::{ModuleName, ProductKey};
use ota_core::product::{ConflictPolicy, Module, Product, ProductSettings, VerificationMode};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};

#[derive(Encode, Decode)]
struct ProductRecord<'a> {
    #[b(0)]
    key: &'a str,
    #[b(1)]
    name: &'a str,
    #[b(2)]
    modules: Vec<ModuleRecord<'a>>,
    #[n(3)]
    created_at: u64,
    /// Absent in products stored before there were settings.
    #[b(4)]
    settings: Option<SettingsRecord<'a>>,
}

/// What is absent has its default.
#[derive(Default, Encode, Decode)]
struct SettingsRecord<'a> {
    #[b(0)]
    conflict_policy: Option<&'a str>,
    #[b(1)]
    verification_mode: Option<&'a str>,
    #[n(2)]
    forgive_source_version: Option<bool>,
    #[n(3)]
    narrow_retries: Option<bool>,
    #[n(4)]
    strict_retry_interval: Option<bool>,
    #[n(5)]
    lenient_aliases: Option<bool>,
    #[n(6)]
    editable_tags: Option<bool>,
    #[n(7)]
    delta_capable: Option<bool>,
    #[n(8)]
    md5_deltas: Option<bool>,
}

impl From<&ProductSettings> for SettingsRecord<'_> {
    fn from(settings: &ProductSettings) -> Self {
        Self {
            conflict_policy: Some(settings.conflict_policy.as_str()),
            verification_mode: Some(settings.verification_mode.as_str()),
            forgive_source_version: Some(settings.forgive_source_version),
            narrow_retries: Some(settings.narrow_retries),
            strict_retry_interval: Some(settings.strict_retry_interval),
            lenient_aliases: Some(settings.lenient_aliases),
            editable_tags: Some(settings.editable_tags),
            delta_capable: Some(settings.delta_capable),
            md5_deltas: Some(settings.md5_deltas),
        }
    }
}

impl SettingsRecord<'_> {
    fn read(&self) -> Result<ProductSettings, Corrupt> {
        let default = ProductSettings::default();
        Ok(ProductSettings {
            conflict_policy: match self.conflict_policy {
                None => default.conflict_policy,
                Some(text) => state(ConflictPolicy::parse(text), text)?,
            },
            verification_mode: match self.verification_mode {
                None => default.verification_mode,
                Some(text) => state(VerificationMode::parse(text), text)?,
            },
            forgive_source_version: self.forgive_source_version.unwrap_or(default.forgive_source_version),
            narrow_retries: self.narrow_retries.unwrap_or(default.narrow_retries),
            strict_retry_interval: self.strict_retry_interval.unwrap_or(default.strict_retry_interval),
            lenient_aliases: self.lenient_aliases.unwrap_or(default.lenient_aliases),
            editable_tags: self.editable_tags.unwrap_or(default.editable_tags),
            delta_capable: self.delta_capable.unwrap_or(default.delta_capable),
            md5_deltas: self.md5_deltas.unwrap_or(default.md5_deltas),
        })
    }
}

#[derive(Encode, Decode)]
struct ModuleRecord<'a> {
    #[b(0)]
    name: &'a str,
    #[b(1)]
    alias: Option<&'a str>,
    #[b(2)]
    description: &'a str,
    #[n(3)]
    created_at: u64,
}

impl Record for Product {
    fn write(&self, out: &mut Vec<u8>) {
        let modules = self.modules.iter().map(|m| ModuleRecord {
            name: m.name.as_str(),
            alias: m.alias.as_deref(),
            description: &m.description,
            created_at: m.created_at.0,
        });
        let record = ProductRecord {
            key: self.key.as_str(),
            name: &self.name,
            modules: modules.collect(),
            created_at: self.created_at.0,
            settings: Some(SettingsRecord::from(&self.settings)),
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: ProductRecord<'_> = read_body(&bytes)?;
        let modules = record.modules.into_iter().map(|m| {
            Ok(Module {
                name: ModuleName::new(m.name)?,
                alias: m.alias.map(str::to_owned),
                description: m.description.to_owned(),
                created_at: Timestamp(m.created_at),
            })
        });
        Ok(Self {
            key: ProductKey::new(record.key)?,
            name: record.name.to_owned(),
            modules: modules.collect::<Result<_, Corrupt>>()?,
            created_at: Timestamp(record.created_at),
            settings: record.settings.unwrap_or_default().read()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{from_bytes, to_bytes};

    /// A product as it was stored before there were settings.
    #[derive(Encode)]
    struct Former<'a>(#[n(0)] &'a str, #[n(1)] &'a str, #[n(2)] Vec<u8>, #[n(3)] u64);

    fn product(settings: ProductSettings) -> Product {
        let key = ProductKey::from_random([1; 16]);
        Product { key, name: "lamp".into(), modules: Vec::new(), created_at: Timestamp(5), settings }
    }

    #[test]
    fn settings_read_back() {
        let product = product(ProductSettings {
            conflict_policy: ConflictPolicy::SourceVersion,
            verification_mode: VerificationMode::Legacy,
            forgive_source_version: true,
            narrow_retries: true,
            strict_retry_interval: true,
            lenient_aliases: true,
            editable_tags: true,
            delta_capable: false,
            md5_deltas: true,
        });
        assert_eq!(from_bytes(to_bytes(&product, 1)), Ok(product));
    }

    #[test]
    fn a_product_stored_before_there_were_settings_has_the_defaults() {
        let now = product(ProductSettings::default());
        let mut bytes = to_bytes(&now, 1)[..crate::record::HEADER_LEN].to_vec();
        write_body(&Former(now.key.as_str(), &now.name, Vec::new(), 5), &mut bytes);
        assert_eq!(from_bytes(bytes), Ok(now));
    }
}
