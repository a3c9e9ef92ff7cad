//! Which test proves which rule of `docs/rules.md`.
//!
//! A test says by its name what it proves: `r116_…`, or `r49_r53_…` for several rules. What no test here can prove stands in
//! the page's section [`REASONS`] with the reason. A rule with neither, a rule with both, and a test or a reason for a rule
//! that does not exist are faults.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::tidy::files::{self, TextFile};
use crate::workspace::Workspace;

/// The page of the rules.
const PAGE: &str = "docs/rules.md";
/// The heading of its section of rules without a test; the rules themselves stand before it.
const REASONS: &str = "## Not proven by a test here, and why";
/// Where tests of rules are.
const HOMES: [&str; 3] = ["crates", "functions", "tests"];

/// Prints the table; tells by the exit code whether it is in order.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let report = Report::of(workspace)?;
    print!("{}", report.render());
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the table, and fails when it is not in order.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let report = Report::of(workspace)?;
    print!("{}", report.render());
    if !report.is_good() {
        bail!("the rules and the tests do not fit: see the lines above");
    }
    Ok(())
}

/// What is known of one rule.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rule {
    /// `file:name` of each test.
    tests: Vec<String>,
    /// Why there is none.
    reason: Option<String>,
}

/// All rules with their tests, and what is wrong beside the open ones.
#[derive(Debug, Default)]
struct Report {
    rules: BTreeMap<u32, Rule>,
    faults: Vec<String>,
}

impl Report {
    fn of(workspace: &Workspace) -> anyhow::Result<Self> {
        let page = std::fs::read_to_string(workspace.root.join(PAGE)).context(PAGE)?;
        let report = Self::read(&page, &files::read(&workspace.root)?);
        if report.rules.is_empty() {
            bail!("{PAGE} has no rules");
        }
        Ok(report)
    }

    fn read(page: &str, files: &[TextFile]) -> Self {
        let (rules, reasons) = page.split_once(REASONS).unwrap_or((page, ""));
        let mut report = Self::default();
        for (number, _) in rows(rules) {
            if report.rules.insert(number, Rule::default()).is_some() {
                report.faults.push(format!("R{number} is listed twice"));
            }
        }
        let is_home =
            |file: &&TextFile| file.is("rs") && HOMES.iter().any(|home| file.path.starts_with(home));
        for file in files.iter().filter(is_home) {
            for name in test_names(&file.text) {
                let test = format!("{}:{name}", file.path.display());
                proven(name).for_each(|number| report.add_test(number, &test));
            }
        }
        rows(reasons).for_each(|(number, reason)| report.add_reason(number, reason));
        report
    }

    fn add_test(&mut self, number: u32, test: &str) {
        match self.rules.get_mut(&number) {
            Some(rule) => rule.tests.push(test.to_owned()),
            None => self.faults.push(format!("{test} names R{number}, and there is no such rule")),
        }
    }

    /// Notes a reason; called when all tests are known.
    fn add_reason(&mut self, number: u32, reason: &str) {
        let fault = match self.rules.get_mut(&number) {
            None => "there is no such rule",
            Some(rule) if !rule.tests.is_empty() => "it has a test as well",
            Some(rule) if rule.reason.is_some() => "it has another one",
            Some(_) if reason.is_empty() => "the reason is empty",
            Some(rule) => {
                rule.reason = Some(reason.to_owned());
                return;
            }
        };
        self.faults.push(format!("{PAGE} gives a reason for R{number}, but {fault}"));
    }

    fn count(&self, wanted: impl Fn(&Rule) -> bool) -> usize {
        self.rules.values().filter(|rule| wanted(rule)).count()
    }

    fn open(&self) -> usize {
        self.count(|rule| rule.tests.is_empty() && rule.reason.is_none())
    }

    fn is_good(&self) -> bool {
        self.open() == 0 && self.faults.is_empty()
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for (number, rule) in &self.rules {
            let told = match (rule.tests.as_slice(), &rule.reason) {
                ([], Some(reason)) => format!("no test: {reason}"),
                ([], None) => "OPEN".to_owned(),
                (tests, _) => tests.join("\n      "),
            };
            line(&mut text, &format!("{:<5} {told}", format!("R{number}")));
        }
        for fault in &self.faults {
            line(&mut text, &format!("fault: {fault}"));
        }
        let proven = self.count(|rule| !rule.tests.is_empty());
        let excused = self.count(|rule| rule.tests.is_empty() && rule.reason.is_some());
        line(&mut text, &format!("rules: {proven} proven, {excused} with a reason, {} open", self.open()));
        text
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes words");
}

/// The numbers of the table rows `| R12 | words | …`, and the words.
fn rows(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.lines().filter_map(|line| {
        let (first, rest) = line.strip_prefix("| ")?.split_once(" |")?;
        Some((number(first, 'R')?, rest.split('|').next().unwrap_or_default().trim()))
    })
}

/// Reads `R12` or `r12`.
fn number(text: &str, letter: char) -> Option<u32> {
    let digits = text.strip_prefix(letter)?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The rules that a test's name begins with.
fn proven(name: &str) -> impl Iterator<Item = u32> {
    name.split('_').map_while(|part| number(part, 'r'))
}

/// The names of a source's tests: functions with an attribute that makes them tests, and none that leaves them out.
///
/// In a `proptest!` block too a function is a test by its attribute only.
fn test_names(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    let mut open_brackets = 0;
    for line in source.lines().map(str::trim) {
        if open_brackets > 0 || line.starts_with("#[") {
            let made = ["#[test]", "#[tokio::test]", "#[tokio::test("];
            is_test |= made.iter().any(|attribute| line.starts_with(attribute));
            is_ignored |= line.starts_with("#[ignore");
            open_brackets += line.matches('[').count();
            open_brackets = open_brackets.saturating_sub(line.matches(']').count());
        } else if !line.is_empty() && !line.starts_with("//") {
            // Whatever stands here is what the attributes before it are about.
            if is_test && !is_ignored {
                names.extend(function(line));
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    names
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let rest = line.strip_prefix("fn ")?;
    rest.split(['(', '<']).next().map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str =
        "| Rule | What |\n|---|---|\n| R1 | One. | a |\n| R2 | Two. | a |\n| R3 | Three. | a |\n";

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    fn test(name: &str) -> String {
        format!("#[test]\nfn {name}() {{}}\n")
    }

    fn report(reasons: &str, sources: &[&str]) -> Report {
        let files: Vec<_> = sources.iter().map(|text| file("tests/a.rs", text)).collect();
        Report::read(&format!("{RULES}\n{REASONS}\n\n| Rule | Why |\n|---|---|\n{reasons}"), &files)
    }

    fn last_line(report: &Report) -> String {
        report.render().lines().last().unwrap_or_default().to_owned()
    }

    #[test]
    fn only_functions_that_are_run_as_tests_are_read() {
        let source = "
            #[test]
            fn r1_a() {}
            fn r2_helper() {}
            #[tokio::test(flavor = \"multi_thread\", worker_threads = 2)]
            async fn r3_b() {}
            #[tokio::test(
                flavor = \"multi_thread\",
            )]
            async fn r4_c() {}
            proptest! {
                #[test]
                /// Said of it.
                #[cfg(unix)]
                fn r5_d(
                    rate in 1..2_u32,
                ) {}
                fn r6_no_test(x: u8) {}
            }
            #[test]
            #[ignore = \"slow\"]
            fn r7_left_out() {}
            // #[test]
            // fn r8_comment() {}
            #[test]
            const R9: u8 = 1;
            fn r9_after_something_else() {}
            #[cfg(test)]
            fn r10_no_test() {}
        ";
        assert_eq!(test_names(source), ["r1_a", "r3_b", "r4_c", "r5_d"]);
    }

    #[test]
    fn a_name_begins_with_the_numbers_it_proves() {
        let read = |name| proven(name).collect::<Vec<_>>();
        assert_eq!(read("r49_r53_all_succeed"), [49, 53]);
        assert_eq!(read("r7"), [7]);
        for none in ["range_is_right", "t9_success", "r_none", "r07_zero", "rr1_x", "r1a_x", "a_r1_later"] {
            assert_eq!(read(none), [0_u32; 0], "{none}");
        }
    }

    #[test]
    fn a_rule_is_proven_or_has_a_reason_or_is_open() {
        let report = report("| R2 | It needs hardware. |\n", &[&test("r1_one")]);
        assert_eq!(last_line(&report), "rules: 1 proven, 1 with a reason, 1 open");
        assert!(!report.is_good());
        let lines = report.render();
        for line in ["R1    tests/a.rs:r1_one\n", "R2    no test: It needs hardware.\n", "R3    OPEN\n"] {
            assert!(lines.contains(line), "{line}{lines}");
        }
    }

    #[test]
    fn a_test_may_prove_several_rules_and_a_rule_have_several_tests() {
        let report = report("", &[&test("r1_r2_r3_all"), &test("r3_again")]);
        assert!(report.is_good(), "{:?}", report.faults);
        assert_eq!(report.rules[&3].tests, ["tests/a.rs:r1_r2_r3_all", "tests/a.rs:r3_again"]);
        assert_eq!(last_line(&report), "rules: 3 proven, 0 with a reason, 0 open");
    }

    #[test]
    fn what_does_not_fit_is_a_fault() {
        let all = test("r1_r2_r3_all");
        for (reasons, source, fault) in [
            ("", test("r4_unknown"), "tests/a.rs:r4_unknown names R4, and there is no such rule"),
            ("| R1 | Why. |\n", String::new(), "gives a reason for R1, but it has a test as well"),
            ("| R5 | Why. |\n", String::new(), "gives a reason for R5, but there is no such rule"),
        ] {
            let report = report(reasons, &[&all, &source]);
            assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
            assert!(report.faults[0].ends_with(fault), "{:?}", report.faults);
            assert!(!report.is_good());
        }
        for reasons in ["| R1 |  |\n", "| R1 | Why. |\n| R1 | Again. |\n"] {
            let report = report(reasons, &[&test("r2_r3_two")]);
            assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
        }
    }

    #[test]
    fn tests_elsewhere_prove_nothing_and_a_rule_is_listed_once() {
        let files = [file("xtask/src/a.rs", &test("r1_one")), file("docs/a.md", &test("r1_one"))];
        let report = Report::read(&format!("{RULES}| R1 | Again. | a |\n"), &files);
        assert_eq!(report.faults, ["R1 is listed twice"]);
        assert_eq!(report.open(), 3);
    }
}
