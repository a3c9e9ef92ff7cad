use super::*;
use crate::memory::{Fault, MemoryKv};
use crate::testing::block_on;
use ota_core::access::Role;
use ota_core::ids::{ProductKey, TokenId};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn entry(n: u64) -> AuditEntry {
    let mut request = [0; 16];
    request[..8].copy_from_slice(&n.to_be_bytes());
    AuditEntry {
        request,
        at: NOW,
        actor: if n.is_multiple_of(2) { "even".into() } else { "odd".into() },
        token: Some(TokenId([3; 16])),
        role: Role::Operator,
        action: "batch.create".into(),
        subject: format!("batch/{n}"),
        product: Some(ProductKey::new("a1lamp").unwrap()),
        status: None,
    }
}

fn ended(n: u64) -> AuditEntry {
    AuditEntry { status: Some(201), ..entry(n) }
}

fn made(kv: &MemoryKv, n: u64) {
    block_on(begin(kv, &entry(n), NOW)).unwrap();
    block_on(end(kv, &ended(n), NOW)).unwrap();
}

fn all(kv: &MemoryKv, limit: usize, look: usize, wanted: fn(&AuditEntry) -> bool) -> Vec<AuditEntry> {
    let (mut all, mut before) = (Vec::new(), None);
    for _ in 0..100_000 {
        let (found, next) = block_on(read(kv, before, (limit, look), wanted)).unwrap();
        assert!(found.len() <= limit);
        all.extend(found);
        before = next;
        if before.is_none() {
            return all;
        }
    }
    panic!("the log never ends");
}

#[test]
fn a_reader_sees_every_entry_once_and_the_newest_first_whatever_the_pages() {
    let kv = MemoryKv::with_spin_quirks();
    let count = 300;
    (0..count).for_each(|n| made(&kv, n));
    let expected: Vec<AuditEntry> = (0..count).rev().map(ended).collect();
    for (limit, look) in [(1, 1_000), (50, 1_000), (64, 64), (1_000, 1), (7, 10), (1_000, 1_000)] {
        assert_eq!(all(&kv, limit, look, |_| true), expected, "{limit} {look}");
    }
    let odd = all(&kv, 20, 100, |entry| entry.actor == "odd");
    assert_eq!(odd.len(), 150);
    assert!(odd.iter().all(|entry| entry.actor == "odd"));
}

#[test]
fn an_entry_that_comes_between_two_pages_is_not_in_the_way() {
    let kv = MemoryKv::new();
    (0..100).for_each(|n| made(&kv, n));
    let (first, next) = block_on(read(&kv, None, (10, 1_000), |_| true)).unwrap();
    (100..200).for_each(|n| made(&kv, n));
    let (second, _) = block_on(read(&kv, next, (10, 1_000), |_| true)).unwrap();
    let subjects: Vec<_> = first.iter().chain(&second).map(|entry| entry.subject.clone()).collect();
    assert_eq!(subjects, (80..100).rev().map(|n| format!("batch/{n}")).collect::<Vec<_>>());
}

#[test]
fn a_log_that_was_never_written_is_empty_and_a_cursor_from_nowhere_ends() {
    let kv = MemoryKv::new();
    assert_eq!(all(&kv, 10, 10, |_| true), []);
    made(&kv, 1);
    for before in [0, 1, 2, u64::MAX] {
        let (found, next) = block_on(read(&kv, Some(before), (10, 10), |_| true)).unwrap();
        assert_eq!((found.len(), next), (usize::from(before > 0), None), "{before}");
    }
}

#[test]
fn the_oldest_entries_are_forgotten_and_ten_thousand_are_kept() {
    let kv = MemoryKv::new();
    let count = (PAGES_MAX + 3) * PAGE_LEN as u64;
    (0..count).for_each(|n| made(&kv, n));
    let kept = all(&kv, 200, 1_000, |_| true);
    assert!(kept.len() >= 10_000, "{}", kept.len());
    let expected = (0..count).rev().map(ended).take(kept.len());
    assert!(kept.iter().eq(expected.collect::<Vec<_>>().iter()));
    let pages = kv.dump().into_iter().filter(|(key, _)| *key != keys::AUDIT).count();
    assert!(pages as u64 <= PAGES_MAX + 1, "{pages}");
}

#[test]
fn a_change_whose_function_died_stays_open_and_comes_first() {
    let kv = MemoryKv::new();
    made(&kv, 1);
    block_on(begin(&kv, &entry(2), NOW)).unwrap();
    block_on(begin(&kv, &entry(2), NOW)).unwrap();
    made(&kv, 3);
    assert_eq!(all(&kv, 10, 10, |_| true), [entry(2), ended(3), ended(1)]);
    assert_eq!(all(&kv, 1, 10, |_| true), [entry(2), ended(3), ended(1)]);
    // A day later the next change gives it its place.
    let tomorrow = NOW.plus_ms(OPEN_LIFE_MS + 1);
    block_on(begin(&kv, &AuditEntry { at: tomorrow, ..entry(4) }, tomorrow)).unwrap();
    block_on(end(&kv, &ended(4), tomorrow)).unwrap();
    assert_eq!(all(&kv, 10, 10, |_| true), [ended(4), entry(2), ended(3), ended(1)]);
    // It had not died after all.
    block_on(end(&kv, &ended(2), tomorrow)).unwrap();
    assert_eq!(all(&kv, 10, 10, |_| true), [ended(4), ended(2), ended(3), ended(1)]);
}

#[test]
fn what_is_open_is_bounded_and_none_of_it_is_lost() {
    let kv = MemoryKv::new();
    let count = 3 * OPEN_MAX as u64 + 5;
    (0..count).for_each(|n| block_on(begin(&kv, &entry(n), NOW)).unwrap());
    let head: AuditPage = block_on(load(&kv, keys::AUDIT)).unwrap().unwrap();
    assert_eq!(head.open.len(), OPEN_MAX);
    assert_eq!(all(&kv, 200, 1_000, |_| true).len(), count as usize);
}

#[test]
fn a_lost_answer_lists_nothing_twice() {
    let kv = MemoryKv::new();
    made(&kv, 1);
    let lost = |kv: &MemoryKv| {
        kv.set_faults(|key, operation| {
            (key == keys::AUDIT && operation == "swap").then_some(Fault::AnswerLost)
        });
    };
    lost(&kv);
    assert!(block_on(begin(&kv, &entry(2), NOW)).is_err());
    assert!(block_on(end(&kv, &ended(2), NOW)).is_err());
    kv.clear_faults();
    block_on(end(&kv, &ended(2), NOW)).unwrap();
    assert_eq!(all(&kv, 10, 10, |_| true), [ended(2), ended(1)]);
}

#[test]
fn a_page_that_is_sealed_while_it_is_changed_loses_nothing() {
    // Fails each operation of the change that seals a page, and makes it again.
    for at in 1.. {
        let kv = MemoryKv::with_spin_quirks();
        (0..PAGE_LEN as u64).for_each(|n| made(&kv, n));
        let (mut seen, fired) = (0, std::rc::Rc::new(std::cell::Cell::new(false)));
        let told = std::rc::Rc::clone(&fired);
        kv.set_faults(move |_, _| {
            seen += 1;
            told.set(told.get() || seen == at);
            (seen == at).then_some(Fault::AnswerLost)
        });
        for n in [64, 65] {
            let _first = block_on(begin(&kv, &entry(n), NOW));
            let _second = block_on(begin(&kv, &entry(n), NOW));
            let _third = block_on(end(&kv, &ended(n), NOW));
            let _fourth = block_on(end(&kv, &ended(n), NOW));
        }
        kv.clear_faults();
        let expected: Vec<AuditEntry> = (0..66).rev().map(ended).collect();
        assert_eq!(all(&kv, 10, 100, |_| true), expected, "{at}");
        if !fired.get() {
            assert!(at > 5);
            return;
        }
    }
}

#[test]
fn refused_attempts_of_one_caller_are_listed_a_few_times_a_day() {
    let kv = MemoryKv::new();
    let attempt = |n: u64, actor: &str, at: Timestamp| {
        let entry = AuditEntry { actor: actor.into(), at, ..entry(n) };
        block_on(refused(&kv, &entry, at)).unwrap();
    };
    (0..100).for_each(|n| attempt(n, "eve", NOW));
    (100..103).for_each(|n| attempt(n, "mallory", NOW));
    let listed = all(&kv, 200, 1_000, |_| true);
    assert_eq!(listed.len(), limits::AUDIT_REFUSED_PER_DAY_MAX + 3);
    assert!(listed.iter().all(|entry| entry.status == Some(403)));
    attempt(103, "eve", NOW.plus_ms(DAY_MS));
    assert_eq!(all(&kv, 200, 1_000, |_| true).len(), limits::AUDIT_REFUSED_PER_DAY_MAX + 4);
    // One that is not listed costs a read.
    attempt(104, "mallory", NOW.plus_ms(DAY_MS));
    (0..8).for_each(|n| attempt(200 + n, "eve", NOW.plus_ms(DAY_MS)));
    let before = kv.operations();
    attempt(300, "eve", NOW.plus_ms(DAY_MS));
    let cost = kv.operations().since(before);
    assert_eq!((cost.reads, cost.swaps), (1, 0));
}

#[test]
fn a_change_costs_two_reads_and_two_swaps() {
    let kv = MemoryKv::new();
    made(&kv, 1);
    let before = kv.operations();
    made(&kv, 2);
    let cost = kv.operations().since(before);
    assert_eq!((cost.reads, cost.swaps, cost.writes, cost.increments), (2, 2, 0, 0));
}

#[test]
fn the_fullest_page_fits_into_a_value() {
    let long = |text: &str| text.repeat(limits::AUDIT_SUBJECT_NAMES_MAX);
    let entry = AuditEntry {
        actor: format!("cloud-api:{}", "k".repeat(128)),
        action: "device.reupgrade".into(),
        // Ids of tasks are the longest names.
        subject: format!("task/{}", long(&"t".repeat(32 + 1 + 32 + 1))),
        product: Some(ProductKey::new(&"p".repeat(limits::PRODUCT_KEY_LEN_MAX)).unwrap()),
        status: Some(503),
        ..entry(1)
    };
    let page =
        AuditPage { number: u64::MAX, entries: vec![entry.clone(); PAGE_LEN], open: vec![entry; OPEN_MAX] };
    let bytes = crate::record::to_bytes(&page, u64::MAX);
    assert!(bytes.len() < 256 * 1024, "{}", bytes.len());
}
