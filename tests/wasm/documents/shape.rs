//! The shape of what a command says: the words as they are, whatever has a figure in it as a figure.
//!
//! Ids, secrets, versions and times differ from run to run, and all of them have figures; so have the names of the
//! examples' devices. A line of `...` stands for any lines, and `...` within one for the rest of it.

/// Compares what a page shows with what came.
pub(super) fn compare(page: &[String], said: &str) -> Result<(), String> {
    let page: Vec<String> = page.iter().map(|line| shape(line)).collect();
    let came: Vec<String> = said.lines().map(shape).collect();
    if fits(&page, &came) {
        Ok(())
    } else {
        Err(format!("--- the page has:\n{}\n--- the shape that came:\n{}", page.join("\n"), came.join("\n")))
    }
}

fn fits(page: &[String], came: &[String]) -> bool {
    match (page.split_first(), came.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "..." => {
            (0..=came.len()).any(|skipped| fits(rest, &came[skipped..]))
        }
        (Some((first, page)), Some((line, came))) => fits_line(first, line) && fits(page, came),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn fits_line(page: &str, came: &str) -> bool {
    match page.strip_suffix("...").or_else(|| page.strip_suffix("...}")) {
        Some(beginning) => came.starts_with(beginning.trim_end()),
        None => page == came,
    }
}

fn shape(line: &str) -> String {
    let words = line.split_whitespace().map(|word| match word {
        _ if word.starts_with('/') => "/",
        _ if word.bytes().any(|byte| byte.is_ascii_digit()) => "#",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn words_are_compared_and_figures_are_figures() {
    let page = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (shown, said) in [
        ("PACKAGE  SIZE\n5f1d  7", "PACKAGE      SIZE\na49d3a1c65f  12\n"),
        ("...\nend", "end\n"),
        ("begin\n...\nend 1", "begin\na\nb\nend 2\n"),
        ("kept in /home/me/x.json", "kept in /tmp/y/x.json"),
        ("reason ...", "reason the device is busy"),
        ("", ""),
    ] {
        compare(&page(shown), said).unwrap();
    }
    for (shown, said) in
        [("a 1", "b 1"), ("a", "a\nb"), ("...\nend", "end\nmore"), ("reason ...", "cause x"), ("a", "")]
    {
        assert!(compare(&page(shown), said).is_err(), "{shown} / {said}");
    }
}
