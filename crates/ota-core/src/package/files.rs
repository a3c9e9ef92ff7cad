//! A package of several files (R31): devices download them one by one and upgrade once.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::digest::Digests;
use crate::error::{Faults, ValueError, check_len};
use crate::limits;

/// One file of a package of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFile {
    /// What devices know it by, unique in its package: 1 to 32 characters.
    pub name: String,
    /// The uploaded file's name.
    pub file_name: String,
    /// Its bytes.
    pub size: u64,
    /// Its digests.
    pub digests: Digests,
}

/// The raw words of a request about one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileFields<'a> {
    /// `name`: of a package of several only.
    pub name: Option<&'a str>,
    /// `upload_id`.
    pub upload_id: Option<&'a str>,
    /// `digest`.
    pub digest: Option<&'a str>,
    /// `size`.
    pub size: Option<u64>,
}

/// The raw words of a request about the files of a package.
#[derive(Clone, Debug, Default)]
pub struct FilesFields<'a> {
    /// What stands in the request itself: the one file.
    pub one: FileFields<'a>,
    /// `files`, of a package of several.
    pub several: Option<Vec<FileFields<'a>>>,
}

impl<'a> FilesFields<'a> {
    /// Returns the words about each file, with the JSON pointer of where they stand. Of more files than a package may
    /// have there are none: such a request is refused whatever they are.
    pub fn each(&self) -> Vec<(String, FileFields<'a>)> {
        match &self.several {
            None => [(String::new(), self.one)].into(),
            Some(files) if files.len() > limits::PACKAGE_FILES_MAX => Vec::new(),
            Some(files) => (0..).zip(files).map(|(at, file): (usize, _)| (pointer(at), *file)).collect(),
        }
    }

    /// Checks what can be said of a list of files before their uploads are looked at: how many, and their names; each
    /// upload is one file of one package (R31).
    pub fn check(&self) -> Faults {
        let mut faults = Faults::new();
        let Some(files) = &self.several else { return faults };
        let told = [
            ("/upload_id", self.one.upload_id.is_some()),
            ("/digest", self.one.digest.is_some()),
            ("/size", self.one.size.is_some()),
        ];
        for (field, _) in told.into_iter().filter(|(_, is_told)| *is_told) {
            faults.add(field, &ValueError::NotAllowed { why: "each of the `files` has its own" });
        }
        let (count, max) = (files.len(), limits::PACKAGE_FILES_MAX);
        if count > max {
            faults.add("/files", &ValueError::TooMany { count, max });
            return faults;
        }
        if count < limits::PACKAGE_FILES_MIN {
            let why = "a package of one file names its upload in `upload_id`";
            faults.add("/files", &ValueError::NotAllowed { why });
        }
        for (at, file) in files.iter().enumerate() {
            let before = files.get(..at).unwrap_or_default();
            let place = format!("{}/name", pointer(at));
            match file.name.ok_or(ValueError::Missing).and_then(|name| check_name(name).map(|()| name)) {
                Err(fault) => faults.add(&place, &fault),
                Ok(name) if before.iter().any(|other| other.name == Some(name)) => {
                    faults.add(&place, &ValueError::Duplicate { item: name.into() });
                }
                Ok(_) => {}
            }
            if let Some(upload) = file.upload_id
                && before.iter().any(|other| other.upload_id == Some(upload))
            {
                let place = format!("{}/upload_id", pointer(at));
                // An id is short; whatever else stands there need not be repeated as a whole.
                let item = upload.chars().take(32).collect();
                faults.add(&place, &ValueError::Duplicate { item });
            }
        }
        faults
    }
}

fn pointer(at: usize) -> String {
    format!("/files/{at}")
}

/// Checks a file's name within its package: 1 to 32 characters that are one name on any device's disk (R31).
fn check_name(name: &str) -> Result<(), ValueError> {
    if name.is_empty() {
        return Err(ValueError::Missing);
    }
    check_len(name, 1, limits::PACKAGE_FILE_NAME_LEN_MAX)?;
    if name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '"')) {
        return Err(ValueError::Charset { allowed: "characters other than `/`, `\\`, `\"` and controls" });
    }
    if matches!(name, "." | "..") {
        return Err(ValueError::Malformed { expected: "the name of a file, not of a folder" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 21] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
        "u",
    ];

    fn named<'a>(names: &[&'a str]) -> FilesFields<'a> {
        let file = |(name, id): (&&'a str, &&'static str)| FileFields {
            name: Some(name),
            upload_id: Some(id),
            ..FileFields::default()
        };
        FilesFields { several: Some(names.iter().zip(&IDS).map(file).collect()), ..FilesFields::default() }
    }

    fn faults(fields: &FilesFields<'_>) -> Vec<(String, &'static str)> {
        fields.check().0.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn r31_a_list_has_2_to_20_files() {
        for (count, code) in [
            (0, Some("value.not-allowed")),
            (1, Some("value.not-allowed")),
            (2, None),
            (20, None),
            (21, Some("value.too-many")),
        ] {
            let found = faults(&named(&IDS[..count]));
            let expected: Vec<_> = code.map(|code| ("/files".into(), code)).into_iter().collect();
            assert_eq!(found, expected, "{count}");
        }
    }

    #[test]
    fn r31_names_have_1_to_32_characters() {
        let (longest, longer) = ("名".repeat(32), "名".repeat(33));
        assert_eq!(faults(&named(&["a", &longest])), []);
        for (name, code) in [
            ("", "value.missing"),
            (longer.as_str(), "value.length"),
            ("a/b", "value.charset"),
            ("a\\b", "value.charset"),
            ("a\"b", "value.charset"),
            ("a\nb", "value.charset"),
            ("..", "value.malformed"),
        ] {
            assert_eq!(faults(&named(&["a", name])), [("/files/1/name".into(), code)], "{name:?}");
        }
        let nameless = FilesFields {
            several: Some(
                [FileFields { name: Some("a"), ..FileFields::default() }, FileFields::default()].into(),
            ),
            ..FilesFields::default()
        };
        assert_eq!(faults(&nameless), [("/files/1/name".into(), "value.missing")]);
    }

    #[test]
    fn r31_names_are_different() {
        assert_eq!(faults(&named(&["a", "b", "a", "A"])), [("/files/2/name".into(), "value.duplicate")]);
    }

    #[test]
    fn an_upload_is_one_file() {
        let mut fields = named(&["a", "b"]);
        fields.several.iter_mut().flatten().for_each(|file| file.upload_id = Some("same"));
        assert_eq!(faults(&fields), [("/files/1/upload_id".into(), "value.duplicate")]);
    }

    #[test]
    fn what_is_said_of_one_file_has_no_place_beside_a_list() {
        let one = FileFields { name: None, upload_id: Some("x"), digest: Some("00"), size: Some(1) };
        let found = faults(&FilesFields { one, ..named(&["a", "b"]) });
        let expected = ["/upload_id", "/digest", "/size"].map(|at| (at.into(), "value.not-allowed"));
        assert_eq!(found, expected);
        assert_eq!(faults(&FilesFields { one, several: None }), []);
    }

    #[test]
    fn of_too_many_files_none_is_looked_at() {
        assert_eq!(named(&IDS).each().len(), 0);
        let each = named(&["a", "b"]).each();
        assert_eq!(each[1].0, "/files/1");
        assert_eq!(FilesFields::default().each()[0].0, "");
    }
}
