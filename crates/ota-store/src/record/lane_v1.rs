//! The claims of the running batches of a product.

use minicbor::{Decode, Encode};
use ota_core::batch::Lane;
use ota_core::ids::{BatchId, ModuleName, PackageId, Version};

use super::{Corrupt, Record, read_body, write_body};
use crate::lanes::Lanes;

#[derive(Encode, Decode)]
struct LaneRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    batch_id: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    package_id: [u8; 16],
    #[b(2)]
    module: &'a str,
    #[b(3)]
    sources: Vec<&'a str>,
    #[n(4)]
    is_dynamic: bool,
}

impl Record for Lanes {
    fn write(&self, out: &mut Vec<u8>) {
        let lanes = self.0.iter().map(|lane| LaneRecord {
            batch_id: lane.batch_id.0,
            package_id: lane.package_id.0,
            module: lane.module.as_str(),
            sources: lane.sources.iter().map(Version::as_str).collect(),
            is_dynamic: lane.is_dynamic,
        });
        write_body(&lanes.collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let lanes: Vec<LaneRecord<'_>> = read_body(&bytes)?;
        let lanes = lanes.into_iter().map(|lane| {
            Ok(Lane {
                batch_id: BatchId(lane.batch_id),
                package_id: PackageId(lane.package_id),
                module: ModuleName::new(lane.module)?,
                sources: lane.sources.into_iter().map(Version::new).collect::<Result<_, _>>()?,
                is_dynamic: lane.is_dynamic,
            })
        });
        Ok(Self(lanes.collect::<Result<_, Corrupt>>()?))
    }
}
