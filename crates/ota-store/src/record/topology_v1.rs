//! The place of a device between gateways and sub-devices.

use minicbor::{Decode, Encode};
use ota_core::device::topology::Topology;
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};

use super::{Corrupt, Record, read_body, write_body};

#[derive(Encode, Decode)]
struct TopologyRecord<'a> {
    #[b(0)]
    gateway: Option<RefRecord<'a>>,
    #[b(1)]
    sub_devices: Vec<RefRecord<'a>>,
}

#[derive(Encode, Decode)]
struct RefRecord<'a> {
    #[b(0)]
    product_key: &'a str,
    #[b(1)]
    device_name: &'a str,
}

impl<'a> From<&'a DeviceRef> for RefRecord<'a> {
    fn from(device: &'a DeviceRef) -> Self {
        Self { product_key: device.product_key.as_str(), device_name: device.device_name.as_str() }
    }
}

impl TryFrom<RefRecord<'_>> for DeviceRef {
    type Error = Corrupt;

    fn try_from(record: RefRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            product_key: ProductKey::new(record.product_key)?,
            device_name: DeviceName::new(record.device_name)?,
        })
    }
}

impl Record for Topology {
    fn write(&self, out: &mut Vec<u8>) {
        let record = TopologyRecord {
            gateway: self.gateway.as_ref().map(RefRecord::from),
            sub_devices: self.sub_devices.iter().map(RefRecord::from).collect(),
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: TopologyRecord<'_> = read_body(&bytes)?;
        Ok(Self {
            gateway: record.gateway.map(DeviceRef::try_from).transpose()?,
            sub_devices: record.sub_devices.into_iter().map(DeviceRef::try_from).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{from_bytes, to_bytes};

    fn device(name: &str) -> DeviceRef {
        DeviceRef {
            product_key: ProductKey::new(&"p".repeat(20)).unwrap(),
            device_name: DeviceName::new(name).unwrap(),
        }
    }

    #[test]
    fn r168_the_longest_list_of_sub_devices_fits_in_a_value() {
        let names = (0..ota_core::limits::SUB_DEVICES_MAX).map(|n| device(&format!("{n:032}")));
        let full = Topology { gateway: None, sub_devices: names.collect() };
        let bytes = to_bytes(&full, u64::MAX);
        assert!(bytes.len() < 256 * 1024, "{} bytes", bytes.len());
        assert_eq!(from_bytes::<Topology>(bytes).unwrap(), full);
    }

    #[test]
    fn a_sub_devices_place_is_read_as_it_was_written() {
        let place = Topology { gateway: Some(device("gate-1")), sub_devices: Vec::new() };
        assert_eq!(from_bytes::<Topology>(to_bytes(&place, 1)).unwrap(), place);
    }
}
