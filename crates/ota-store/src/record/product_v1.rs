//! A product.

use minicbor::{Decode, Encode};
use ota_core::ids::{ModuleName, ProductKey};
use ota_core::product::{Module, Product};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, write_body};

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
        })
    }
}
