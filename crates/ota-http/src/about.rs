//! What a request is about: what the audit log is told of it.

use std::cell::RefCell;
use std::fmt::{Display, Write};
use std::rc::Rc;

use ota_core::ids::ProductKey;
use ota_core::limits;

/// What a request is about: what its path says at first, and more as its handler finds out. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct About(Rc<RefCell<Told>>);

#[derive(Clone, Debug, Default)]
struct Told {
    noun: &'static str,
    subject: String,
    product: Option<ProductKey>,
}

impl About {
    /// Begins with what a request's path says: a noun, the product it names, and what else it names.
    pub fn new(noun: &'static str, product: Option<&str>, names: &[&str]) -> Self {
        let subject = match (names, product) {
            ([], None) => noun.to_owned(),
            ([], Some(product)) => ["product", product].join("/"),
            (names, _) => format!("{noun}/{}", names.join("/")),
        };
        let product = product.and_then(|text| ProductKey::new(text).ok());
        Self(Rc::new(RefCell::new(Told { noun, subject: cut(subject), product })))
    }

    /// Tells what it is about: the id of what was made, or the names of what was changed. Of many names the first few are
    /// told.
    pub fn names<T: Display>(&self, names: impl IntoIterator<Item = T>) {
        let mut told = self.0.borrow_mut();
        let (mut subject, mut count) = (String::new(), 0);
        for name in names {
            if count < limits::AUDIT_SUBJECT_NAMES_MAX {
                let before = if count == 0 { "" } else { "," };
                // Writing to a text cannot fail.
                let _ = write!(subject, "{before}{name}");
            }
            count += 1;
        }
        if count > limits::AUDIT_SUBJECT_NAMES_MAX {
            let _ = write!(subject, " and {} more", count - limits::AUDIT_SUBJECT_NAMES_MAX);
        }
        told.subject = cut(format!("{}/{subject}", told.noun));
    }

    /// Tells which product it belongs to.
    pub fn product(&self, product: &ProductKey) {
        self.0.borrow_mut().product = Some(product.clone());
    }

    /// Returns what has been told so far: the subject, and the product.
    pub fn told(&self) -> (String, Option<ProductKey>) {
        let told = self.0.borrow();
        (told.subject.clone(), told.product.clone())
    }
}

/// A path may be long, and what it names need not exist.
fn cut(mut subject: String) -> String {
    let end = subject.floor_char_boundary(limits::AUDIT_SUBJECT_BYTES_MAX);
    subject.truncate(end);
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_a_request_is_about_until_somebody_knows_better() {
        for (product, names, expected) in [
            (None, vec![], "batch"),
            (Some("a1"), vec![], "product/a1"),
            (Some("a1"), vec!["x", "y"], "batch/x/y"),
            (None, vec!["x"], "batch/x"),
        ] {
            let about = About::new("batch", product, &names);
            let (subject, told) = about.told();
            assert_eq!((subject.as_str(), told.as_ref().map(ProductKey::as_str)), (expected, product));
            about.clone().names([7]);
            about.product(&ProductKey::new("a2").unwrap());
            assert_eq!(about.told(), ("batch/7".to_owned(), ProductKey::new("a2").ok()));
        }
    }

    #[test]
    fn of_many_names_the_first_are_told() {
        let about = About::new("device", None, &[]);
        about.names(0..12);
        assert_eq!(about.told().0, "device/0,1,2,3,4,5,6,7,8,9 and 2 more");
        let long = "灯".repeat(1_000);
        let about = About::new("device", Some(&long), &[&long]);
        assert!(about.told().0.len() <= limits::AUDIT_SUBJECT_BYTES_MAX && about.told().1.is_none());
    }
}
