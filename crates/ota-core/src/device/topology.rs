//! Which devices stand behind a gateway (拓扑关系).
//!
//! Every device that has to do with a gateway has a [`Topology`]. What counts is the sub-device's own word in
//! [`Topology::gateway`]: there is room for one gateway, so it has at most one. The gateway's list is there to be shown
//! and counted; while a change is half done it may name a device that does not name the gateway.

use alloc::vec::Vec;
use core::fmt;

use crate::error::Coded;
use crate::ids::DeviceRef;
use crate::limits;

/// A device's place between gateways and sub-devices. A device has a gateway, or sub-devices, or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The gateway it stands behind.
    pub gateway: Option<DeviceRef>,
    /// The devices behind it, in the order they came; at most [`limits::SUB_DEVICES_MAX`].
    pub sub_devices: Vec<DeviceRef>,
}

/// Why a device does not become another's sub-device. All of them speak of one device of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyError {
    /// There is no such device.
    Unknown {
        /// The device.
        device: DeviceRef,
    },
    /// The device that should become a gateway stands behind one itself.
    IsSubDevice {
        /// That gateway.
        gateway: DeviceRef,
    },
    /// The device that should become a sub-device has sub-devices itself, or is the gateway.
    IsGateway {
        /// The device.
        device: DeviceRef,
    },
    /// The device stands behind another gateway.
    HasGateway {
        /// That gateway.
        gateway: DeviceRef,
    },
    /// The gateway has [`limits::SUB_DEVICES_MAX`] sub-devices.
    TooMany,
}

impl Coded for TopologyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "device.unknown",
            Self::IsSubDevice { .. } => "device.is-sub-device",
            Self::IsGateway { .. } => "device.is-gateway",
            Self::HasGateway { .. } => "device.has-gateway",
            Self::TooMany => "device.too-many-sub-devices",
        }
    }
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { device } => write!(f, "there is no device {device}"),
            Self::IsSubDevice { gateway } => {
                write!(f, "the device stands behind the gateway {gateway} itself")
            }
            Self::IsGateway { device } => write!(f, "{device} is a gateway itself"),
            Self::HasGateway { gateway } => write!(f, "the device stands behind the gateway {gateway}"),
            Self::TooMany => write!(f, "a gateway has at most {} sub-devices", limits::SUB_DEVICES_MAX),
        }
    }
}

impl core::error::Error for TopologyError {}

impl Topology {
    /// Puts devices on this gateway's list; returns whether it has changed. Either all find room or none does.
    ///
    /// # Errors
    /// [`TopologyError::IsSubDevice`], [`TopologyError::TooMany`].
    pub fn list(&mut self, sub_devices: &[DeviceRef]) -> Result<bool, TopologyError> {
        if let Some(gateway) = &self.gateway {
            return Err(TopologyError::IsSubDevice { gateway: gateway.clone() });
        }
        let new: Vec<DeviceRef> =
            sub_devices.iter().filter(|device| !self.sub_devices.contains(device)).cloned().collect();
        if self.sub_devices.len() + new.len() > limits::SUB_DEVICES_MAX {
            return Err(TopologyError::TooMany);
        }
        let changed = !new.is_empty();
        self.sub_devices.extend(new);
        Ok(changed)
    }

    /// Takes devices off this gateway's list; returns whether it has changed.
    pub fn unlist(&mut self, sub_devices: &[DeviceRef]) -> bool {
        let before = self.sub_devices.len();
        self.sub_devices.retain(|device| !sub_devices.contains(device));
        self.sub_devices.len() < before
    }

    /// Tells whether `device`, whose place this is, can stand behind `gateway`.
    ///
    /// # Errors
    /// [`TopologyError::IsGateway`], [`TopologyError::HasGateway`].
    pub fn check_join(&self, device: &DeviceRef, gateway: &DeviceRef) -> Result<(), TopologyError> {
        if device == gateway || !self.sub_devices.is_empty() {
            return Err(TopologyError::IsGateway { device: device.clone() });
        }
        match &self.gateway {
            Some(other) if other != gateway => Err(TopologyError::HasGateway { gateway: other.clone() }),
            _ => Ok(()),
        }
    }

    /// Puts `device`, whose place this is, behind `gateway`; returns whether it was not there before.
    ///
    /// # Errors
    /// Those of [`Self::check_join`].
    pub fn join(&mut self, device: &DeviceRef, gateway: &DeviceRef) -> Result<bool, TopologyError> {
        self.check_join(device, gateway)?;
        Ok(self.gateway.replace(gateway.clone()).is_none())
    }

    /// Takes this device from behind `gateway`; returns whether it was there.
    pub fn leave(&mut self, gateway: &DeviceRef) -> bool {
        let was_there = self.gateway.as_ref() == Some(gateway);
        if was_there {
            self.gateway = None;
        }
        was_there
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::ids::{DeviceName, ProductKey};

    fn device(name: &str) -> DeviceRef {
        let (product_key, device_name) = (ProductKey::new("a1").unwrap(), DeviceName::new(name).unwrap());
        DeviceRef { product_key, device_name }
    }

    #[test]
    fn r168_a_sub_device_has_at_most_one_gateway() {
        let (sub, first, second) = (device("sub-1"), device("gate-1"), device("gate-2"));
        let mut place = Topology::default();
        assert_eq!(place.join(&sub, &first), Ok(true));
        assert_eq!(place.join(&sub, &first), Ok(false), "once more is no change");
        assert_eq!(place.join(&sub, &second), Err(TopologyError::HasGateway { gateway: first.clone() }));
        assert!(!place.leave(&second));
        assert!(place.leave(&first));
        assert_eq!(place.join(&sub, &second), Ok(true));
    }

    #[test]
    fn r168_a_gateway_stands_behind_no_gateway() {
        let (sub, gateway, above) = (device("sub-1"), device("gate-1"), device("gate-2"));
        let mut place = Topology::default();
        assert_eq!(place.list(&[sub]), Ok(true));
        assert_eq!(place.join(&gateway, &above).unwrap_err().code(), "device.is-gateway");
        let mut place = Topology::default();
        assert_eq!(
            place.join(&gateway, &gateway).unwrap_err().code(),
            "device.is-gateway",
            "nor behind itself"
        );
        assert_eq!(place.join(&gateway, &above), Ok(true));
        assert_eq!(place.list(&[device("sub-2")]), Err(TopologyError::IsSubDevice { gateway: above }));
    }

    #[test]
    fn r168_a_gateway_has_at_most_1500_sub_devices_and_takes_all_or_none() {
        let devices: Vec<DeviceRef> = (0..1_501).map(|n| device(&format!("sub-{n}"))).collect();
        let mut place = Topology::default();
        assert_eq!(place.list(&devices[..1_499]), Ok(true));
        assert_eq!(place.list(&devices[1_499..]), Err(TopologyError::TooMany));
        assert_eq!(place.sub_devices.len(), 1_499);
        assert_eq!(place.list(&devices[1_498..1_500]), Ok(true), "one of them is listed already");
        assert_eq!(place.list(&devices[1_500..]), Err(TopologyError::TooMany));
        assert!(place.unlist(&devices[..1]));
        assert!(!place.unlist(&devices[..1]));
        assert_eq!(place.list(&devices[1_500..]), Ok(true));
    }
}
