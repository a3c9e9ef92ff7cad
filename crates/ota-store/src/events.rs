//! The list of what happened, for whoever wants to be told: the newest events in one value, older ones in sealed pages,
//! the oldest forgotten. Every event has a number, so a reader goes on where it stopped.
//!
//! Events come here from the shards' outboxes and the batches' records, where they lie until they are listed: so a crash
//! in between lists one twice rather than never. An event's id tells.

use std::collections::BTreeMap;
use std::ops::Range;

use ota_core::event::Event;
use ota_core::time::Timestamp;

use crate::kv::Kv;
use crate::transact::{Change, StoreError, load, update};
use crate::{keys, pages};

/// Events of one page: some 25 KB.
pub const PAGE_LEN: usize = 64;
/// Sealed pages that are kept: the last hundred thousand events.
pub const PAGES_MAX: u64 = 2_000;

/// A page of the list; the one under [`keys::EVENTS`] is the one being filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// How many pages there were before it.
    pub number: u64,
    /// Its events, oldest first.
    pub events: Vec<Event>,
}

impl EventPage {
    fn first(&self) -> u64 {
        self.number * PAGE_LEN as u64
    }

    /// The number of the first event that is not forgotten, if this is the page being filled.
    fn oldest(&self) -> u64 {
        self.number.saturating_sub(PAGES_MAX) * PAGE_LEN as u64
    }
}

/// Lists events: one read and one swap for a page's worth. One that is among the newest already is passed over.
///
/// # Errors
/// The store's.
pub async fn append(kv: &impl Kv, mut events: Vec<Event>, now: Timestamp) -> Result<(), StoreError> {
    while !events.is_empty() {
        let full = update(kv, keys::EVENTS, now, |page: Option<EventPage>| {
            let mut page = page.unwrap_or_default();
            let mut listed = 0;
            for event in &events {
                if page.events.iter().any(|known| known.id == event.id) {
                    listed += 1;
                } else if page.events.len() < PAGE_LEN {
                    page.events.push(event.clone());
                    listed += 1;
                } else {
                    break;
                }
            }
            let full = (page.events.len() >= PAGE_LEN).then(|| page.clone());
            if listed == 0 { Change::Keep((listed, full)) } else { Change::Put(page, (listed, full)) }
        });
        let (listed, full) = full.await?;
        events.drain(..listed);
        if let Some(full) = full {
            seal(kv, &full, now).await?;
        }
    }
    Ok(())
}

/// Puts a full page aside, begins the next, and forgets the oldest.
async fn seal(kv: &impl Kv, full: &EventPage, now: Timestamp) -> Result<(), StoreError> {
    let next = EventPage { number: full.number + 1, events: Vec::new() };
    let page_key = keys::event_page(full.number);
    pages::seal(kv, (keys::EVENTS, full), (&page_key, full), &next, now).await?;
    if let Some(old) = full.number.checked_sub(PAGES_MAX) {
        kv.delete(&keys::event_page(old)).await?;
    }
    Ok(())
}

/// Returns the numbers of the first event that is not forgotten and of the first that is still to come.
///
/// # Errors
/// The store's.
pub async fn span(kv: &impl Kv) -> Result<Range<u64>, StoreError> {
    let head: EventPage = load(kv, keys::EVENTS).await?.unwrap_or_default();
    Ok(head.oldest()..head.first() + head.events.len() as u64)
}

/// Returns the events of these numbers, without those that are forgotten. A page is read once for numbers that come in
/// their order.
///
/// # Errors
/// The store's.
pub async fn get_all(kv: &impl Kv, numbers: &[u64]) -> Result<BTreeMap<u64, Event>, StoreError> {
    let head: EventPage = load(kv, keys::EVENTS).await?.unwrap_or_default();
    let mut page = head.clone();
    let mut found = BTreeMap::new();
    for number in numbers.iter().copied().filter(|number| *number >= head.oldest()) {
        let wanted = number / PAGE_LEN as u64;
        if page.number != wanted {
            page = if wanted == head.number {
                head.clone()
            } else {
                let sealed = load(kv, &keys::event_page(wanted)).await?;
                sealed.unwrap_or(EventPage { number: wanted, events: Vec::new() })
            };
        }
        if let Some(event) = page.events.get((number % PAGE_LEN as u64) as usize) {
            found.insert(number, event.clone());
        }
    }
    Ok(found)
}

/// Returns up to `limit` events from number `from` on, each with its number, and the number to go on from. What has been
/// forgotten is passed over.
///
/// # Errors
/// The store's.
pub async fn read(kv: &impl Kv, from: u64, limit: usize) -> Result<(Vec<(u64, Event)>, u64), StoreError> {
    let head: EventPage = load(kv, keys::EVENTS).await?.unwrap_or_default();
    let mut at = from.max(head.oldest());
    let mut found = Vec::new();
    while found.len() < limit {
        let number = at / PAGE_LEN as u64;
        if number > head.number {
            break;
        }
        let page = if number == head.number {
            head.clone()
        } else {
            load(kv, &keys::event_page(number)).await?.unwrap_or(EventPage { number, events: Vec::new() })
        };
        let (first, is_head) = (page.first(), number == head.number);
        let mut next = if is_head { first + page.events.len() as u64 } else { first + PAGE_LEN as u64 };
        for (number, event) in (first..).zip(page.events).filter(|(number, _)| *number >= at) {
            if found.len() == limit {
                next = number;
                break;
            }
            found.push((number, event));
        }
        at = at.max(next);
        if is_head {
            break;
        }
    }
    Ok((found, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryKv;
    use crate::record::to_bytes;
    use crate::testing::block_on;
    use ota_core::ids::{DeviceName, DeviceRef, ModuleName, ProductKey, Version};

    fn event(n: u64) -> Event {
        let device = DeviceRef {
            product_key: ProductKey::new("a1lamp").unwrap(),
            device_name: DeviceName::new("lamp").unwrap(),
        };
        let version = Version::new(&n.to_string()).unwrap();
        Event::version_changed(&device, &ModuleName::default_module(), &version, Timestamp(n))
    }

    fn listed(kv: &MemoryKv, limit: usize) -> Vec<Event> {
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            let (events, next) = block_on(read(kv, at, limit)).unwrap();
            assert!(events.len() <= limit);
            if events.is_empty() {
                return all;
            }
            all.extend(events.into_iter().map(|(_, event)| event));
            at = next;
        }
    }

    #[test]
    fn a_reader_sees_every_event_once_and_in_order_whatever_the_pages() {
        let kv = MemoryKv::new();
        let all: Vec<Event> = (0..300).map(event).collect();
        for some in all.chunks(7) {
            block_on(append(&kv, some.to_vec(), Timestamp(1))).unwrap();
        }
        for limit in [1, 50, 64, 1_000] {
            assert_eq!(listed(&kv, limit).len(), 300, "{limit}");
        }
        assert_eq!(listed(&kv, 17), all);
    }

    #[test]
    fn events_are_found_by_their_numbers_until_they_are_forgotten() {
        let kv = MemoryKv::new();
        let count = 200;
        block_on(append(&kv, (0..count).map(event).collect(), Timestamp(1))).unwrap();
        assert_eq!(block_on(span(&kv)).unwrap(), 0..count);
        let found = block_on(get_all(&kv, &[0, 63, 64, 199, 200, 1_000])).unwrap();
        let expected = [0, 63, 64, 199].map(|n| (n, event(n)));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
        // Many pages later, without filling them all.
        let later = PAGES_MAX + 1;
        let head = EventPage { number: later, events: vec![event(7)] };
        block_on(kv.set(keys::EVENTS, &to_bytes(&head, 9))).unwrap();
        let first = later * PAGE_LEN as u64;
        assert_eq!(block_on(span(&kv)).unwrap(), PAGE_LEN as u64..first + 1);
        let found = block_on(get_all(&kv, &[63, 64, first])).unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [64, first]);
    }

    #[test]
    fn an_event_that_is_listed_again_right_away_is_passed_over() {
        let kv = MemoryKv::new();
        for _ in 0..2 {
            block_on(append(&kv, vec![event(1), event(2)], Timestamp(1))).unwrap();
        }
        assert_eq!(listed(&kv, 10), [event(1), event(2)]);
    }

    #[test]
    fn a_reader_that_has_seen_all_goes_on_with_what_comes() {
        let kv = MemoryKv::new();
        block_on(append(&kv, vec![event(1)], Timestamp(1))).unwrap();
        let (_, next) = block_on(read(&kv, 0, 10)).unwrap();
        assert_eq!(block_on(read(&kv, next, 10)).unwrap(), (vec![], next));
        block_on(append(&kv, vec![event(2)], Timestamp(1))).unwrap();
        assert_eq!(block_on(read(&kv, next, 10)).unwrap().0, [(1, event(2))]);
    }
}
