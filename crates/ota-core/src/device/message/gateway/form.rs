//! The JSON of a gateway's requests, in all the forms it comes in.

use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::device::message::json::Scalar;
use crate::limits;

/// What every request is wrapped in.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) id: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) params: Params<'a>,
}

/// The same, looked at for nothing but the id.
#[derive(Deserialize)]
pub(super) struct IdOnly<'a> {
    #[serde(borrow, default)]
    pub(super) id: Scalar<'a>,
}

/// `params`: an object, or a bare list of devices.
#[derive(Default)]
pub(super) struct Params<'a> {
    pub(super) own: Own<'a>,
    pub(super) bare: Option<Listed<'a>>,
}

/// The members of `params`, and of each device in a list.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Own<'a> {
    #[serde(borrow)]
    pub(super) product_key: Scalar<'a>,
    #[serde(borrow)]
    pub(super) device_name: Scalar<'a>,
    #[serde(borrow)]
    pub(super) client_id: Scalar<'a>,
    #[serde(borrow)]
    pub(super) timestamp: Scalar<'a>,
    /// One SDK writes it as in a client id, all in small letters.
    #[serde(borrow, alias = "signmethod")]
    pub(super) sign_method: Scalar<'a>,
    #[serde(borrow)]
    pub(super) sign: Scalar<'a>,
    #[serde(borrow)]
    pub(super) device_list: Option<Listed<'a>>,
}

/// A list of devices, read as far as it may go.
#[derive(Default)]
pub(super) struct Listed<'a> {
    pub(super) items: Vec<Own<'a>>,
    pub(super) is_too_long: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParamsVisitor;

        impl<'de> Visitor<'de> for ParamsVisitor {
            type Value = Params<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or a list")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Params::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                let own = Own::deserialize(MapAccessDeserializer::new(members))?;
                Ok(Params { own, bare: None })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Ok(Params { own: Own::default(), bare: Some(Listed::read(items)?) })
            }
        }

        deserializer.deserialize_any(ParamsVisitor)
    }
}

impl<'de> Listed<'de> {
    fn read<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let mut listed = Self::default();
        while listed.items.len() < limits::SUB_DEVICES_PER_LOGIN_MAX {
            match items.next_element()? {
                Some(item) => listed.items.push(item),
                None => return Ok(listed),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            listed.is_too_long = true;
        }
        Ok(listed)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Listed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;

        impl<'de> Visitor<'de> for ListVisitor {
            type Value = Listed<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Listed::read(items)
            }
        }

        deserializer.deserialize_seq(ListVisitor)
    }
}
