//! The text that Prometheus reads, in its format 0.0.4.

use std::fmt::{Display, Write};

use ota_core::time::Timestamp;

use crate::families::Family;

/// The type of the text.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text in the making: one family after the other.
#[derive(Debug, Default)]
pub(crate) struct Exposition(String);

impl Exposition {
    /// Adds a family with its samples: the values of its labels, and the number. One without samples is left out.
    pub(crate) fn add<const N: usize, V: Display>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([String; N], V)>,
    ) {
        let Family { name, kind, help, labels, .. } = family;
        debug_assert_eq!(labels.len(), N, "{name}");
        let mut is_first = true;
        for (values, number) in samples {
            if std::mem::take(&mut is_first) {
                self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
            }
            let labels = labels.iter().zip(&values);
            let labels: Vec<String> =
                labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            self.put(format_args!("{name}{labels} {number}\n"));
        }
    }

    /// Adds a family of one sample without labels.
    pub(crate) fn number(&mut self, family: &Family, number: impl Display) {
        self.add(family, [([], number)]);
    }

    /// Returns the text.
    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn put(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = self.0.write_fmt(line);
    }
}

/// A number of milliseconds, written in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(pub(crate) u64);

impl From<Timestamp> for Seconds {
    fn from(at: Timestamp) -> Self {
        Self(at.0)
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Writes a label's value as it stands between quotation marks.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Kind;

    const DOORS: Family = Family {
        name: "house_doors",
        kind: Kind::Gauge,
        help: "Doors.",
        labels: &["room", "state"],
        unbound: false,
    };

    #[test]
    fn a_family_has_its_help_and_type_once_before_its_samples() {
        let mut text = Exposition::default();
        let sample = |room: &str, state: &str| [room.to_owned(), state.to_owned()];
        text.add(&DOORS, [(sample("hall", "open"), 2), (sample("hall", "shut"), 1)]);
        text.number(&Family { name: "house_age_seconds", labels: &[], ..DOORS }, Seconds(1_700_000_000_050));
        let expected = "# HELP house_doors Doors.\n# TYPE house_doors gauge\n\
                        house_doors{room=\"hall\",state=\"open\"} 2\nhouse_doors{room=\"hall\",state=\"shut\"} 1\n\
                        # HELP house_age_seconds Doors.\n# TYPE house_age_seconds gauge\n\
                        house_age_seconds 1700000000.050\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        let mut text = Exposition::default();
        text.add::<2, u32>(&DOORS, []);
        assert_eq!(text.finish(), "");
    }

    #[test]
    fn no_value_of_a_label_breaks_out_of_its_quotation_marks() {
        let mut text = Exposition::default();
        text.add(&DOORS, [(["a\"} 9\nb".to_owned(), "c\\".to_owned()], 1)]);
        assert!(text.finish().ends_with("\nhouse_doors{room=\"a\\\"} 9\\nb\",state=\"c\\\\\"} 1\n"));
    }
}
