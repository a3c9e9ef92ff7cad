//! Names and ids, as types of their own so that they cannot swap places.
//!
//! A name that somebody chose is checked when it is made; afterwards it can be trusted everywhere.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::access::Caller;
use crate::error::{ValueError, check_len};
use crate::limits;

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// Which rule of the name's form is broken.
            pub fn new(text: &str) -> Result<Self, ValueError> {
                let check: fn(&str) -> Result<(), ValueError> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                let mut bytes = [0; 16];
                // Upper-case digits are refused: an id has one spelling, so that it can be compared as text.
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if !text.bytes().any(|b| b.is_ascii_uppercase()) => Ok(Self(bytes)),
                    _ => Err(ValueError::Malformed { expected: "32 lower-case hexadecimal digits" }),
                }
            }
        }
    };
}

const NAME_CHARS: &str = "letters, digits, `.`, `-`, `_`";

/// Chinese characters: the CJK ideographs with their first extension and the compatibility forms.
pub(crate) fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}')
}

/// The characters of names that stand in topics and versions.
pub(crate) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn check_plain(text: &str, min: usize, max: usize) -> Result<(), ValueError> {
    check_len(text, min, max)?;
    if text.chars().all(is_plain) { Ok(()) } else { Err(ValueError::Charset { allowed: NAME_CHARS }) }
}

checked_name!(
    /// A product's key (ProductKey): issued by the service, part of every device topic.
    ProductKey,
    |text| {
        check_len(text, 1, limits::PRODUCT_KEY_LEN_MAX)?;
        if text.chars().all(|c| c.is_ascii_alphanumeric()) {
            Ok(())
        } else {
            Err(ValueError::Charset { allowed: "letters and digits" })
        }
    }
);

checked_name!(
    /// A device's name (DeviceName), unique within its product: 4 to 32 of letters, digits, `-`, `_`, `@`, `.`, `:`.
    DeviceName,
    |text| {
        check_len(text, limits::DEVICE_NAME_LEN_MIN, limits::DEVICE_NAME_LEN_MAX)?;
        if text.chars().all(|c| is_plain(c) || matches!(c, '@' | ':')) {
            Ok(())
        } else {
            Err(ValueError::Charset { allowed: "letters, digits, `-`, `_`, `@`, `.`, `:`" })
        }
    }
);

checked_name!(
    /// An OTA module's name (模块): 1 to 64 of letters, digits, `.`, `-`, `_` (R1). `default` is the whole device.
    ModuleName,
    |text| check_plain(text, 1, limits::MODULE_NAME_LEN_MAX)
);

checked_name!(
    /// A version (版本号): 1 to 64 of letters, digits, `.`, `-`, `_` (R20). Versions are compared for equality only.
    Version,
    |text| check_plain(text, 1, limits::VERSION_LEN_MAX)
);

checked_name!(
    /// A token's name: 1 to 64 of letters, digits, `.`, `-`, `_`. That of the application's own token is taken.
    TokenName,
    |text| {
        check_plain(text, 1, limits::TOKEN_NAME_LEN_MAX)?;
        if text == Caller::ROOT {
            return Err(ValueError::NotAllowed { why: "the application's own token is called so" });
        }
        Ok(())
    }
);

impl ModuleName {
    /// The name of the module that stands for the whole device (R7).
    pub const DEFAULT: &'static str = "default";

    /// Returns the module that stands for the whole device.
    pub fn default_module() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    /// Tells whether this is the module that stands for the whole device.
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl ProductKey {
    /// Makes a product key from random bytes: `a1` and ten characters, the look of the vendor's keys.
    pub fn from_random(random: [u8; 16]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
        let tail: String = random[..10].iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect();
        Self(format!("a1{tail}"))
    }
}

random_id!(
    /// An upgrade package's id (升级包; FirmwareId in the vendor's API).
    PackageId
);
random_id!(
    /// A batch's id (批次; JobId in the vendor's API).
    BatchId
);
random_id!(
    /// The id of a delta that the service makes; the package and the file made of it have the same.
    DeltaId
);
random_id!(
    /// An upload's id: bytes that have arrived and are not a package yet.
    UploadId
);
random_id!(
    /// A token's id, which is a part of its text.
    TokenId
);

random_id!(
    /// A webhook's id: who is told of events by a request to a URL.
    WebhookId
);

random_id!(
    /// An event's id. It follows from what happened, so that an event told again has the same.
    EventId
);

/// A device: its product and its name in that product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceRef {
    /// The product.
    pub product_key: ProductKey,
    /// The name within the product.
    pub device_name: DeviceName,
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.product_key, self.device_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_module_names_are_1_to_64_of_letters_digits_dot_dash_underscore() {
        for good in ["a", "MCU", "a.b-c_d", &"m".repeat(64)] {
            assert!(ModuleName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "模块", &"m".repeat(65)] {
            assert!(ModuleName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn r20_versions_are_1_to_64_of_letters_digits_dot_dash_underscore() {
        for good in ["1", "1.0.0-rc_1", &"9".repeat(64)] {
            assert!(Version::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1 0", "v+1", "1/0", &"9".repeat(65)] {
            assert!(Version::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn device_names_are_4_to_32_and_may_hold_at_dot_colon() {
        for good in ["abcd", "a-b_c@d.e:f", &"d".repeat(32)] {
            assert!(DeviceName::new(good).is_ok(), "{good}");
        }
        for bad in ["abc", "a/bc", "a+bc", "a bc", "a#bc", &"d".repeat(33)] {
            assert!(DeviceName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = BatchId([0xab; 16]);
        assert_eq!(alloc::string::ToString::to_string(&id).parse(), Ok(id));
        assert!("AB".repeat(16).parse::<BatchId>().is_err());
        assert!("ab".parse::<BatchId>().is_err());
    }

    #[test]
    fn product_keys_look_like_the_vendors() {
        let key = ProductKey::from_random([7; 16]);
        assert_eq!(key.as_str().len(), 12);
        assert!(ProductKey::new(key.as_str()).is_ok());
    }
}
