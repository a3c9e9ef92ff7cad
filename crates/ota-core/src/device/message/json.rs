//! The JSON of device messages, read without a tree: texts are borrowed from the payload, members nobody asks for are
//! skipped, and a member of an unexpected type is not the end of the message.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A member whose type devices do not agree on.
#[derive(Default)]
pub(in crate::device) enum Scalar<'a> {
    /// Missing, or `null`.
    #[default]
    Absent,
    /// A string.
    Text(Cow<'a, str>),
    /// A number without a fraction, be it written `50` or `50.0`.
    Integer(i128),
    /// Anything else.
    Other,
}

impl Scalar<'_> {
    /// Returns the text of a string.
    pub(in crate::device) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Integer(_) | Self::Other => None,
        }
    }

    /// Returns a number that is not negative.
    pub(in crate::device) fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Absent | Self::Text(_) | Self::Other => None,
        }
    }

    /// Returns how the value begins, for the log.
    pub(in crate::device) fn beginning(&self, len_max: usize) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Text(text) => super::beginning(text, len_max),
            Self::Integer(number) => super::beginning(&format!("{number}"), len_max),
            Self::Other => "(no whole number)".into(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.into())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        // Beyond 2^53 neighbouring whole numbers look alike. The cast saturates and drops the fraction.
        let whole = number as i64;
        let is_exact =
            whole.unsigned_abs() <= 1 << 53 && (whole as f64).to_bits() == (number + 0.0).to_bits();
        Ok(if is_exact { Scalar::Integer(whole.into()) } else { Scalar::Other })
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// Reads a JSON object member by member. Derived code would refuse a repeated name and take an array for an object.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($member:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Default)]
        #[allow(non_snake_case, reason = "the members' names as they are in JSON")]
        pub(in crate::device) struct $name<'a> {
            $(pub(in crate::device) $member: $kind,)*
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(field_identifier)]
                #[expect(non_camel_case_types, reason = "the members' names as they are in JSON")]
                enum Member {
                    $($member,)*
                    #[serde(other)]
                    Unknown,
                }

                struct ObjectVisitor;

                impl<'de> Visitor<'de> for ObjectVisitor {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                        Ok($name::default())
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        while let Some(member) = members.next_key::<Member>()? {
                            match member {
                                $(Member::$member => object.$member = members.next_value()?,)*
                                Member::Unknown => {
                                    members.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_any(ObjectVisitor)
            }
        }
    };
}

object!(
    /// What every message from a device is wrapped in.
    Envelope {
        id: Scalar<'a>,
        params: Params<'a>,
    }
);

object!(
    /// The members of `params` of all messages together.
    Params {
        version: Scalar<'a>,
        module: Scalar<'a>,
        step: Scalar<'a>,
        desc: Scalar<'a>,
    }
);

object!(
    /// The broker's word about a connection.
    Presence {
        status: Scalar<'a>,
        session: Scalar<'a>,
        at: Scalar<'a>,
    }
);

object!(
    /// What a request for a block is wrapped in.
    BlockEnvelope {
        id: Scalar<'a>,
        params: BlockParams<'a>,
    }
);

object!(
    /// The members of `params` of a request for a block.
    BlockParams {
        fileToken: Scalar<'a>,
        fileInfo: FileInfo<'a>,
        fileBlock: FileBlock<'a>,
    }
);

object!(
    /// Which file.
    FileInfo {
        streamId: Scalar<'a>,
        fileId: Scalar<'a>,
    }
);

object!(
    /// Which bytes of it.
    FileBlock {
        size: Scalar<'a>,
        offset: Scalar<'a>,
    }
);
