//! A line of the log, as programs read it: names and values (logfmt), the operation first.
//!
//! No value is a secret: tokens, keys, signed URLs and what devices say in their own words stay out.

use std::fmt::{Display, Write};

use ota_core::ids::DeviceRef;

use crate::Platform;

/// A line in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Line(String);

impl Line {
    /// Begins a line about an operation.
    pub fn of(operation: &str) -> Self {
        Self(String::new()).with("operation", operation)
    }

    /// Begins a line about what was done for a device.
    pub fn about(operation: &str, device: &DeviceRef) -> Self {
        Self::of(operation).with("product", &device.product_key).with("device", &device.device_name)
    }

    /// Adds a value.
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        let between = if self.0.is_empty() { "" } else { " " };
        let is_plain = !value.is_empty()
            && value.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\'));
        // Writing to a text cannot fail. The escapes of a quoted value are Rust's, of which readers know the common ones.
        let _ = match is_plain {
            true => write!(self.0, "{between}{name}={value}"),
            false => write!(self.0, "{between}{name}={value:?}"),
        };
        self
    }

    /// Adds a value if there is one.
    pub fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Writes it.
    pub fn write(self, platform: &impl Platform) {
        platform.log(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_names_and_values_and_no_value_looks_like_another() {
        let line = Line::of("OTAFirmwarePush").with("cause", "at-start").with_some("code", None::<u8>);
        let line =
            line.with("n", 7).with("error", "no \"way\" out=\n").with("empty", "").with("device", "灯");
        let expected =
            r#"operation=OTAFirmwarePush cause=at-start n=7 error="no \"way\" out=\n" empty="" device=灯"#;
        assert_eq!(line.0, expected);
    }
}
