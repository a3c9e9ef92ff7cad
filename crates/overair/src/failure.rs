//! What can go wrong, and the one place where that becomes an exit code and words.

use std::fmt;

use serde::Deserialize;

/// The exit codes as `--help` tells them. `docs/cli.md` has the same table, and a test compares the two.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something unexpected, such as a file that cannot be read or an answer that is not as documented
  2  the command line is wrong
  3  the service refused: a rule or the present state forbids it
  4  there is no such thing
  5  not authorised: no token, or not the right one
  6  the service cannot be reached, is busy or failed, also after retries
  7  what was watched has ended, and some of it failed
  8  what was watched has ended, and was canceled
  9  what was watched has not ended within --timeout";

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service answered with something else than success.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said: a problem document, unless something else answered in its place.
        body: String,
    },
    /// No answer was to be had.
    Unreachable(String),
    /// The command line asks for what cannot be.
    Usage(String),
    /// What happened on this machine.
    Local(anyhow::Error),
    /// What was watched has ended with failures.
    Failed(String),
    /// What was watched has been canceled.
    Canceled(String),
    /// What was watched goes on.
    TimedOut(String),
    /// Whoever read standard output has enough of it, which is no failure.
    PipeClosed,
}

/// A fault, or a whole problem without its faults.
#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(flatten)]
    whole: Fault,
    #[serde(default)]
    title: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

/// How much is told of an answer that is no problem document.
const QUOTE_CHARS_MAX: usize = 200;

impl Failure {
    /// Returns the exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::PipeClosed => 0,
            Self::Local(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused { status, .. } => match status {
                401 | 403 => 5,
                404 | 410 => 4,
                // Too many requests: it is busy.
                429 => 6,
                400..=499 => 3,
                500..=599 => 6,
                _ => 1,
            },
            Self::Unreachable(_) => 6,
            Self::Failed(_) => 7,
            Self::Canceled(_) => 8,
            Self::TimedOut(_) => 9,
        }
    }

    /// Returns what standard error is told; with `as_json` a problem is the document itself.
    pub(crate) fn in_words(&self, as_json: bool) -> String {
        match self {
            Self::Refused { status, body } => match serde_json::from_str::<Problem>(body) {
                Ok(problem) if !problem.whole.code.is_empty() => {
                    if as_json {
                        body.clone()
                    } else {
                        format!("error: {problem}")
                    }
                }
                _ => {
                    let quoted: String = body.trim().chars().take(QUOTE_CHARS_MAX).collect();
                    format!("error: the answer was {status} {}", clean(&quoted))
                }
            },
            Self::Unreachable(why) => format!("error: the service cannot be reached: {why}"),
            Self::Usage(why) => format!("error: {why}"),
            Self::Local(error) => format!("error: {error:#}"),
            Self::Failed(text) | Self::Canceled(text) | Self::TimedOut(text) => text.clone(),
            Self::PipeClosed => String::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.whole.detail.is_empty() { &self.title } else { &self.whole.detail };
        write!(f, "{}: {}", clean(&self.whole.code), clean(said))?;
        for fault in &self.errors {
            let (at, code) = (clean(&fault.pointer), clean(&fault.code));
            write!(f, "\n  {at}: {code}: {}", clean(&fault.detail))?;
        }
        Ok(())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Local(error)
    }
}

/// Takes the control characters out of a text: much of what is shown was written by devices, and a terminal obeys them.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Failure {
        Failure::Refused { status, body: body.to_owned() }
    }

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        for (status, code) in [
            (400, 3),
            (401, 5),
            (403, 5),
            (404, 4),
            (409, 3),
            (410, 4),
            (413, 3),
            (416, 3),
            (422, 3),
            (429, 6),
            (500, 6),
            (503, 6),
            (302, 1),
        ] {
            assert_eq!(refused(status, "").exit_code(), code, "{status}");
        }
        let text = String::new;
        assert_eq!(Failure::PipeClosed.exit_code(), 0);
        assert_eq!(Failure::Local(anyhow::anyhow!("x")).exit_code(), 1);
        assert_eq!(Failure::Usage(text()).exit_code(), 2);
        assert_eq!(Failure::Unreachable(text()).exit_code(), 6);
        assert_eq!(Failure::Failed(text()).exit_code(), 7);
        assert_eq!(Failure::Canceled(text()).exit_code(), 8);
        assert_eq!(Failure::TimedOut(text()).exit_code(), 9);
    }

    #[test]
    fn a_problem_is_told_with_every_fault_and_its_place() {
        let body = r#"{"type":"x","title":"The request breaks a rule","status":422,"detail":"2 fields of the request are wrong",
            "code":"request.invalid","errors":[{"pointer":"/name","code":"value.missing","detail":"is required"},
            {"pointer":"/size","code":"value.range","detail":"must be from 1 to 2"}]}"#;
        let wanted = "error: request.invalid: 2 fields of the request are wrong\n  \
                      /name: value.missing: is required\n  /size: value.range: must be from 1 to 2";
        assert_eq!(refused(422, body).in_words(false), wanted);
        assert_eq!(refused(422, body).in_words(true), body);
    }

    #[test]
    fn an_answer_that_is_no_problem_is_quoted_in_part() {
        let said = refused(502, &format!("<h1>Bad Gateway</h1>{}", "x".repeat(1000))).in_words(true);
        assert!(said.starts_with("error: the answer was 502 <h1>Bad Gateway"), "{said}");
        assert!(said.len() < 250, "{said}");
    }

    #[test]
    fn a_terminal_is_not_given_what_it_would_obey() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn the_table_of_exit_codes_is_that_of_the_document() {
        let page = include_str!("../../../docs/cli.md");
        for line in EXIT_CODES.lines().skip(1) {
            let (code, meaning) = line.trim().split_once("  ").unwrap();
            assert!(page.contains(&format!("| `{code}` | {meaning} |")), "docs/cli.md does not say: {line}");
        }
    }
}
