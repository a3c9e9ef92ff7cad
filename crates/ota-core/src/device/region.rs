//! Where a device is, as far as a regional batch asks (R72).

use alloc::string::String;
use core::fmt;

use crate::error::{ValueError, check_len};
use crate::limits;

/// A province, or a city in one. The codes are the operator's: no source says which list they are of, so they are
/// compared as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    /// The province's code.
    pub province: String,
    /// The city's code; none is the whole province, or a device of which no more is known.
    pub city: Option<String>,
}

impl Region {
    /// Wraps codes of 1 to 32 letters, digits, `-`, `_`.
    ///
    /// # Errors
    /// [`ValueError::Length`] or [`ValueError::Charset`] of either code.
    pub fn new(province: &str, city: Option<&str>) -> Result<Self, ValueError> {
        for code in core::iter::once(province).chain(city) {
            check_len(code, 1, limits::REGION_CODE_LEN_MAX)?;
            if !code.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
                return Err(ValueError::Charset { allowed: "letters, digits, `-`, `_`" });
            }
        }
        Ok(Self { province: province.into(), city: city.map(Into::into) })
    }

    /// Tells whether a device located at `place` is in this region.
    pub fn holds(&self, place: &Self) -> bool {
        self.province == place.province && (self.city.is_none() || self.city == place.city)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.city {
            Some(city) => write!(f, "{}/{city}", self.province),
            None => f.write_str(&self.province),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(province: &str, city: Option<&str>) -> Region {
        Region::new(province, city).unwrap()
    }

    #[test]
    fn r72_a_province_holds_its_cities_and_a_city_only_itself() {
        let place = region("330000", Some("330100"));
        assert!(region("330000", None).holds(&place));
        assert!(region("330000", Some("330100")).holds(&place));
        assert!(!region("330000", Some("330200")).holds(&place));
        assert!(!region("110000", None).holds(&place));
        assert!(!region("330000", Some("330100")).holds(&region("330000", None)));
    }

    #[test]
    fn a_code_has_1_to_32_plain_characters() {
        assert!(Region::new("a", Some(&"b".repeat(32))).is_ok());
        for bad in ["", "a b", "浙江", &"a".repeat(33)] {
            assert!(Region::new(bad, None).is_err(), "{bad}");
            assert!(Region::new("a", Some(bad)).is_err(), "{bad}");
        }
    }
}
