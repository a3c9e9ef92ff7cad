//! Keeps `docs/states.md` and `docs/rules.md` true.
//!
//! The tables of `docs/states.md` stand between marks and are rendered from the code:
//! `UPDATE_DOCS=1 cargo test -p ota-tests --test rules` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ota_core::batch::{BatchEvent, BatchStatus};
use ota_core::device::message::DeviceFailure;
use ota_core::package::{VerificationEvent, VerificationStatus};
use ota_core::task::{Reason, Task, TaskEvent, TaskPolicy, TaskStatus, Wait};
use ota_core::time::Timestamp;

use crate::world::{START, TARGET, new_task, policy, version};

/// When the events of the tables happen; upgrades that have begun did so ten minutes before.
const NOW: Timestamp = START.plus_minutes(60);
const BEGAN: Timestamp = START.plus_minutes(50);
/// How long a batch of the tables lets an upgrade run: as long as the begun ones have run by now.
const TIMEOUT_MINUTES: u16 = 10;

/// A row of the tables: an event, and what is special about the task it meets.
struct Row {
    label: &'static str,
    event: TaskEvent,
    now: Timestamp,
    special: fn(Task) -> Task,
}

fn row(label: &'static str, event: TaskEvent) -> Row {
    Row { label, event, now: NOW, special: |task| task }
}

fn runs(text: &str) -> TaskEvent {
    TaskEvent::VersionReported { version: version(text) }
}

fn progress() -> TaskEvent {
    TaskEvent::ProgressReported { percent: 50, desc: String::new() }
}

fn failure() -> TaskEvent {
    TaskEvent::FailureReported { failure: DeviceFailure::ALL[0], desc: String::new() }
}

fn rows() -> Vec<Row> {
    use TaskEvent as E;
    vec![
        row("an app consents", E::Confirmed),
        row("the dispatcher decides to push", E::PushDecided),
        row("the push has gone out", E::PushSent),
        row("the device asks for its upgrade", E::Requested),
        row("the device reports 0 to 100 percent", progress()),
        row("the device reports −1 to −4", failure()),
        row("the device reports the target version", runs(TARGET)),
        row("the device reports its source version", runs("1.0")),
        Row {
            special: |task| Task { source_version: None, ..task },
            ..row("the device reports its first version ever", runs("1.0"))
        },
        row("the device reports another version", runs("1.1")),
        row("the device connects", E::Reconnected),
        Row { now: Timestamp(NOW.0 - 1), ..row("time passes, not yet the timeout", E::Ticked) },
        row("time passes, the timeout is reached", E::Ticked),
        row("an operator cancels tasks of this status", E::CanceledByUser),
        row("a newer batch overwrites", E::Overwritten),
        row("the batch's schedule ends", E::ScheduleFinished),
        row("a push is due, the device left the source versions", E::SourceVersionLost),
        row("an operator upgrades the task again", E::Reupgraded),
        row("the device is deleted", E::DeviceDeleted),
    ]
}

/// How many kinds of events there are; [`ordinal`] does not compile when one is missing.
const EVENTS: usize = 15;

fn ordinal(event: &TaskEvent) -> usize {
    use TaskEvent as E;
    match event {
        E::Confirmed => 0,
        E::PushDecided => 1,
        E::PushSent => 2,
        E::Requested => 3,
        E::ProgressReported { .. } => 4,
        E::FailureReported { .. } => 5,
        E::VersionReported { .. } => 6,
        E::Reconnected => 7,
        E::Ticked => 8,
        E::CanceledByUser => 9,
        E::Overwritten => 10,
        E::ScheduleFinished => 11,
        E::SourceVersionLost => 12,
        E::Reupgraded => 13,
        E::DeviceDeleted => 14,
    }
}

/// A task from 1.0 that came to `status` in the ordinary way.
fn task(status: TaskStatus) -> Task {
    let task = Task { status, ..new_task(Some("1.0"), false) };
    match status {
        TaskStatus::InProgress => Task { percent: 40, first_progress_at: Some(BEGAN), ..task },
        TaskStatus::Failed => Task { reason: Some(Reason::Timeout), ..task },
        TaskStatus::Canceled => Task { reason: Some(Reason::CanceledByUser), ..task },
        _ => task,
    }
}

/// A task whose last attempt failed as in [`failure`], and whose next one is due later.
fn awaiting_retry(status: TaskStatus) -> Task {
    let reason = Reason::Device { failure: DeviceFailure::ALL[0], desc: String::new() };
    Task {
        reason: Some(reason),
        retries_used: 1,
        wait: Some(Wait::Retry(NOW.plus_minutes(10))),
        ..task(status)
    }
}

fn cell(row: &Row, task: Task, policy: &TaskPolicy) -> String {
    let before = (row.special)(task);
    let step = before.after(&row.event, policy, row.now);
    let mut words = match step.task.status {
        status if status != before.status => format!("→ {}", status.as_str()),
        _ if step.task == before && step.effects.is_empty() => "·".to_owned(),
        _ if step.effects.is_empty() => "noted".to_owned(),
        _ => "stays".to_owned(),
    };
    for effect in &step.effects {
        write!(words, ", {}", effect.as_str()).expect("a string takes words");
    }
    words
}

pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&header.iter().map(ToString::to_string).collect::<Vec<_>>());
    text += &format!("|{}\n", "---|".repeat(header.len()));
    rows.into_iter().for_each(|cells| text += &line(&cells));
    text
}

fn task_table() -> String {
    let policy = policy(Some(TIMEOUT_MINUTES), None);
    let header = [&["event"], TaskStatus::ALL.map(TaskStatus::as_str).as_slice()].concat();
    table(
        &header,
        rows().iter().map(|row| {
            let cells = TaskStatus::ALL.map(|status| cell(row, task(status), &policy));
            [vec![row.label.to_owned()], cells.to_vec()].concat()
        }),
    )
}

const PUSHABLE: [TaskStatus; 3] = [TaskStatus::Queued, TaskStatus::Notified, TaskStatus::InProgress];

/// The rows of `new` that differ from `old`, for the statuses that can be tried again.
fn difference(old: impl Fn(&Row, TaskStatus) -> String, new: impl Fn(&Row, TaskStatus) -> String) -> String {
    let header = [&["event"], PUSHABLE.map(TaskStatus::as_str).as_slice()].concat();
    let changed = rows().into_iter().filter_map(|row| {
        let cells = PUSHABLE.map(|status| new(&row, status));
        (cells != PUSHABLE.map(|status| old(&row, status)))
            .then(|| [vec![row.label.to_owned()], cells.to_vec()].concat())
    });
    table(&header, changed)
}

fn retry_table() -> String {
    let without = policy(Some(TIMEOUT_MINUTES), None);
    let with = policy(Some(TIMEOUT_MINUTES), Some((10, 2)));
    difference(|row, s| cell(row, task(s), &without), |row, s| cell(row, task(s), &with))
}

fn waiting_table() -> String {
    let policy = policy(Some(TIMEOUT_MINUTES), Some((10, 2)));
    difference(|row, s| cell(row, task(s), &policy), |row, s| cell(row, awaiting_retry(s), &policy))
}

fn change<S: PartialEq>(before: S, after: S, name: fn(S) -> &'static str) -> String {
    if before == after { "·".to_owned() } else { format!("→ {}", name(after)) }
}

fn batch_table() -> String {
    let events = [
        ("its start time has come", BatchEvent::Started),
        ("all its tasks have ended", BatchEvent::AllTasksEnded { canceled: false }),
        (
            "all its tasks have ended, and an operator canceled some",
            BatchEvent::AllTasksEnded { canceled: true },
        ),
        ("an operator cancels the strategy of a dynamic batch", BatchEvent::StrategyCanceled),
    ];
    let header = [&["event"], BatchStatus::ALL.map(BatchStatus::as_str).as_slice()].concat();
    table(
        &header,
        events.map(|(label, event)| {
            let cells =
                BatchStatus::ALL.map(|status| change(status, status.after(event), BatchStatus::as_str));
            [vec![label.to_owned()], cells.to_vec()].concat()
        }),
    )
}

fn verification_table() -> String {
    let events = [
        ("an operator starts a trial", VerificationEvent::Started { legacy: false }),
        ("an operator starts a trial, in the older mode", VerificationEvent::Started { legacy: true }),
        ("the trial ends, every device succeeded", VerificationEvent::Ended { all_succeeded: true }),
        ("the trial ends otherwise", VerificationEvent::Ended { all_succeeded: false }),
        ("the trial could not be set up", VerificationEvent::Abandoned),
    ];
    let header = [&["event"], VerificationStatus::ALL.map(VerificationStatus::as_str).as_slice()].concat();
    table(
        &header,
        events.map(|(label, event)| {
            let cells = VerificationStatus::ALL.map(|status| match status.after(event) {
                None => "refused".to_owned(),
                Some(after) => change(status, after, VerificationStatus::as_str),
            });
            [vec![label.to_owned()], cells.to_vec()].concat()
        }),
    )
}

fn document(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Puts `content` between the marks of `name`.
pub(crate) fn filled(text: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let (before, rest) = text.split_once(&begin).expect("the document has the mark");
    let (_, after) = rest.split_once(&end).expect("the document has the mark");
    format!("{before}{begin}{content}{end}{after}")
}

#[test]
fn states_doc_is_current() {
    let path = document("states.md");
    let present = fs::read_to_string(&path).expect("docs/states.md is there");
    let tables = [
        ("task table", task_table()),
        ("retry table", retry_table()),
        ("waiting table", waiting_table()),
        ("batch table", batch_table()),
        ("verification table", verification_table()),
    ];
    let current = tables.iter().fold(present.clone(), |text, (name, content)| filled(&text, name, content));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, current).expect("docs/states.md can be written");
    } else {
        assert!(
            present == current,
            "docs/states.md is out of date: UPDATE_DOCS=1 cargo test -p ota-tests --test rules"
        );
    }
}

#[test]
fn the_task_table_has_every_event() {
    let mut shown: Vec<usize> = rows().iter().map(|row| ordinal(&row.event)).collect();
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown, (0..EVENTS).collect::<Vec<_>>());
}

/// The numbers of the lines `| R12 | …` of `docs/rules.md`, in the order of the document.
fn numbered(letter: char) -> Vec<u32> {
    let text = fs::read_to_string(document("rules.md")).expect("docs/rules.md is there");
    // Later the rules are named again, with the reason why one has no test.
    let text = text.split("## Not proven").next().unwrap_or_default();
    let number = |line: &str| line.strip_prefix("| ")?.strip_prefix(letter)?.split_once(' ')?.0.parse().ok();
    text.lines().filter_map(number).collect()
}

#[test]
fn rules_doc_lists_every_rule_and_transition_once() {
    assert_eq!(numbered('R'), (1..=180).collect::<Vec<_>>());
    assert_eq!(numbered('T'), (1..=21).collect::<Vec<_>>());
}

#[test]
fn rules_doc_names_every_reason() {
    let rules = fs::read_to_string(document("rules.md")).expect("docs/rules.md is there");
    let codes = DeviceFailure::ALL.map(DeviceFailure::as_str);
    for code in codes {
        assert!(Reason::parse(code, String::new()).is_some(), "{code}");
    }
    for reason in REASONS.into_iter().chain(codes) {
        assert!(rules.contains(&format!("`{reason}`")), "{reason} is missing in docs/rules.md");
    }
}

/// The texts in quotes of the body of `signature` in a source.
fn texts_of(source: &str, signature: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(source);
    let source = fs::read_to_string(path).expect("the source is there");
    let (_, rest) = source.split_once(signature).expect("the source has the function");
    let body = rest.split("\n    }\n").next().unwrap_or_default();
    body.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_list_of_reasons_is_that_of_the_code() {
    let codes = texts_of("crates/ota-core/src/task/reason.rs", "fn code(&self) -> &'static str {");
    assert_eq!(codes, REASONS);
}

#[test]
fn states_doc_explains_every_state() {
    let page = fs::read_to_string(document("states.md")).expect("docs/states.md is there");
    let tasks = TaskStatus::ALL.map(TaskStatus::as_str);
    let batches = BatchStatus::ALL.map(BatchStatus::as_str);
    let packages = VerificationStatus::ALL.map(VerificationStatus::as_str);
    for state in tasks.into_iter().chain(batches).chain(packages) {
        assert!(page.contains(&format!("`{state}`")), "docs/states.md does not explain {state}");
    }
}

/// The codes of the reasons that are not the device's own.
const REASONS: [&str; 8] = [
    "timeout",
    "version-mismatch",
    "device-busy",
    "source-version-mismatch",
    "overwritten",
    "schedule-finished",
    "canceled-by-user",
    "device-deleted",
];
