//! A fleet in shards: which one holds a device, changing one, walking all, splitting.
//!
//! The place of a device follows from its name and the number of shards. That number is read once and remembered in the
//! instance as a **hint**: a shard knows its own modulus, so a hint that has become old costs one more read and can never
//! lead to a wrong answer (`docs/adr/0003-routing-hints.md`).

use std::cell::RefCell;
use std::collections::BTreeMap;

use ota_core::ids::{DeviceName, ProductKey};
use ota_core::time::Timestamp;

use crate::claim::{self, Claim};
use crate::keys;
use crate::kv::{Kv, Swap};
use crate::record::{Corrupt, Record, from_bytes, revision, to_bytes};
use crate::shard::{Shard, hash, locate, modulus};
use crate::transact::{Change, StoreError, TRIES_MAX, load, update};

/// Shards of a new fleet. Several, because all writers of one shard take turns.
pub const INITIAL: u32 = 16;

/// Shards that may be split off at once, by as many writers. Not more than [`INITIAL`]: a shard is split off from one that lies at
/// least so many places before it, which therefore is there, and is not being split for another.
pub(crate) const AHEAD_MAX: u32 = 16;

/// The shape of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many shards there are.
    pub shards: u32,
    /// How many more are being split off.
    pub(crate) ahead: u32,
    /// Which of those are there already, as bits, the lowest for the first; it is not yet.
    pub(crate) there: u16,
}

impl Shape {
    /// Makes the shape of a fleet that is not growing.
    pub(crate) const fn of(shards: u32) -> Self {
        Self { shards, ahead: 0, there: 0 }
    }

    /// Whether more shards are being split off.
    pub fn is_splitting(&self) -> bool {
        self.ahead > 0
    }

    /// Begins to split off one more shard, unless there are `target` or too many are being split off; returns its number.
    fn begin(&mut self, target: u32) -> Option<u32> {
        let next = self.shards + self.ahead;
        (self.ahead < AHEAD_MAX && next < target).then(|| {
            self.ahead += 1;
            next
        })
    }

    /// Tells whether a shard is being split off.
    fn waits_for(&self, shard: u32) -> bool {
        let at = shard.wrapping_sub(self.shards);
        at < self.ahead && self.there & (1 << at) == 0
    }

    /// Notes that a shard is there that was being split off; returns whether that is news.
    fn end(&mut self, shard: u32) -> bool {
        if !self.waits_for(shard) {
            return false;
        }
        self.there |= 1 << (shard - self.shards);
        while self.there & 1 == 1 {
            (self.shards, self.ahead, self.there) = (self.shards + 1, self.ahead - 1, self.there >> 1);
        }
        true
    }
}

/// Products whose hint is remembered; the memory of an instance is small.
const HINTS_MAX: usize = 256;

thread_local! {
    static HINTS: RefCell<BTreeMap<ProductKey, u32>> = const { RefCell::new(BTreeMap::new()) };
}

fn hint(product: &ProductKey) -> Option<u32> {
    HINTS.with_borrow(|hints| hints.get(product).copied())
}

fn remember(product: &ProductKey, shards: u32) {
    HINTS.with_borrow_mut(|hints| {
        if hints.len() >= HINTS_MAX {
            hints.clear();
        }
        hints.insert(product.clone(), shards);
    });
}

/// Returns the shape of a product's fleet, or `None` if there is no such product.
///
/// # Errors
/// The store's.
pub async fn shape(kv: &impl Kv, product: &ProductKey) -> Result<Option<Shape>, StoreError> {
    let shape: Option<Shape> = load(kv, &keys::fleet(product)).await?;
    if let Some(shape) = shape {
        remember(product, shape.shards);
    }
    Ok(shape)
}

/// Creates the shards of a new product. Only the winner of the product's claim may call this.
///
/// # Errors
/// The store's.
pub async fn create_fleet(kv: &impl Kv, product: &ProductKey) -> Result<(), StoreError> {
    for shard in 0..INITIAL {
        let empty = to_bytes(&Shard::new(modulus(shard, INITIAL)), 1);
        kv.set(&keys::shard(product, shard), &empty).await?;
    }
    kv.set(&keys::fleet(product), &to_bytes(&Shape::of(INITIAL), 1)).await?;
    Ok(())
}

/// Returns shard number `shard`, or `None` if the fleet has no such shard (yet).
///
/// # Errors
/// The store's.
pub async fn load_shard(kv: &impl Kv, product: &ProductKey, shard: u32) -> Result<Option<Shard>, StoreError> {
    load(kv, &keys::shard(product, shard)).await
}

/// Returns what makes an error of what is unreadable in a shard.
pub fn corrupt(product: &ProductKey, shard: u32) -> impl FnOnce(Corrupt) -> StoreError {
    let key = keys::shard(product, shard);
    move |source| StoreError::Corrupt { key, source }
}

/// Changes shard number `shard`; `None` if the fleet has no such shard (yet).
///
/// `decide` changes the shard in place and answers; it may run several times.
///
/// # Errors
/// The store's, and what `decide` finds unreadable.
pub async fn update_shard<T>(
    kv: &impl Kv,
    product: &ProductKey,
    shard: u32,
    now: Timestamp,
    mut decide: impl FnMut(&mut Shard) -> Result<Change<(), T>, Corrupt>,
) -> Result<Option<T>, StoreError> {
    let key = keys::shard(product, shard);
    let corrupt = |source| StoreError::Corrupt { key: key.clone(), source };
    let found = update(kv, &key, now, |shard: Option<Shard>| {
        let Some(mut shard) = shard else { return Change::Keep(Ok(None)) };
        match decide(&mut shard) {
            Ok(Change::Keep(answer)) => Change::Keep(Ok(Some(answer))),
            Ok(Change::Put((), answer)) => Change::Put(shard, Ok(Some(answer))),
            Err(source) => Change::Keep(Err(source)),
        }
    });
    found.await?.map_err(corrupt)
}

/// Returns the shard that holds a device (whether or not the device is there) and its number; `None` if there is no such
/// product.
///
/// # Errors
/// The store's.
pub async fn load_for(
    kv: &impl Kv,
    product: &ProductKey,
    name: &DeviceName,
    now: Timestamp,
) -> Result<Option<(u32, Shard)>, StoreError> {
    let hash = hash(name);
    for _ in 0..TRIES_MAX {
        let Some(mut at) = guess(kv, product, hash).await? else { return Ok(None) };
        while let Some(shard) = load_shard(kv, product, at).await? {
            match belongs(hash, &shard, at) {
                None => return Ok(Some((at, shard))),
                Some(elsewhere) => at = elsewhere,
            }
        }
        if !reshape(kv, product, at, now).await? {
            return Ok(None);
        }
    }
    Err(StoreError::Contention { key: keys::fleet(product) })
}

/// Changes the shard that holds a device; `None` if there is no such product.
///
/// `decide` is given the shard and its number, changes it in place and answers; it may run several times.
///
/// # Errors
/// The store's, and what `decide` finds unreadable.
pub async fn update_for<T>(
    kv: &impl Kv,
    product: &ProductKey,
    name: &DeviceName,
    now: Timestamp,
    mut decide: impl FnMut(&mut Shard, u32) -> Result<Change<(), T>, Corrupt>,
) -> Result<Option<T>, StoreError> {
    let hash = hash(name);
    let mut place = None;
    for _ in 0..TRIES_MAX {
        let at = match place {
            Some(at) => at,
            None => match guess(kv, product, hash).await? {
                Some(at) => at,
                None => return Ok(None),
            },
        };
        let key = keys::shard(product, at);
        let corrupt = |source| StoreError::Corrupt { key: key.clone(), source };
        let (bytes, token) = kv.read(&key).await?;
        let Some(bytes) = bytes else {
            // A split that has begun and not ended, or a product that is not there.
            if !reshape(kv, product, at, now).await? {
                return Ok(None);
            }
            place = None;
            continue;
        };
        let revision = revision(&bytes);
        let mut shard: Shard = from_bytes(bytes).map_err(corrupt)?;
        place = Some(at);
        if let Some(elsewhere) = belongs(hash, &shard, at) {
            place = Some(elsewhere);
            continue;
        }
        match decide(&mut shard, at).map_err(corrupt)? {
            Change::Keep(answer) => return Ok(Some(answer)),
            Change::Put((), answer) => {
                if kv.swap(token, &to_bytes(&shard, revision + 1)).await? == Swap::Swapped {
                    return Ok(Some(answer));
                }
            }
        }
    }
    Err(StoreError::Contention { key: keys::fleet(product) })
}

/// Where a device is expected, by the hint or by the stored shape.
async fn guess(kv: &impl Kv, product: &ProductKey, hash: u64) -> Result<Option<u32>, StoreError> {
    let shards = match hint(product) {
        Some(shards) => shards,
        None => match shape(kv, product).await? {
            Some(shape) => shape.shards,
            None => return Ok(None),
        },
    };
    Ok(Some(locate(hash, shards)))
}

/// Returns the number of another shard if `shard`, number `at`, is not the one for `hash`.
fn belongs(hash: u64, shard: &Shard, at: u32) -> Option<u32> {
    let there = (hash % u64::from(shard.modulus.max(1))) as u32;
    (there != at).then_some(there)
}

/// Looks at the shape again, and finishes the split that leads to shard `absent` if somebody else has begun it. Returns whether
/// there is such a product.
async fn reshape(
    kv: &impl Kv,
    product: &ProductKey,
    absent: u32,
    now: Timestamp,
) -> Result<bool, StoreError> {
    match shape(kv, product).await? {
        None => {
            HINTS.with_borrow_mut(|hints| hints.remove(product));
            Ok(false)
        }
        Some(shape) if shape.waits_for(absent) => {
            finish_split(kv, product, absent, now).await?;
            Ok(true)
        }
        Some(_) => Ok(true),
    }
}

/// Finishes splits that somebody began and may have died at; does nothing where there is none.
///
/// # Errors
/// The store's; [`StoreError::Contention`] while somebody else is at it.
pub async fn mend(kv: &impl Kv, product: &ProductKey, now: Timestamp) -> Result<(), StoreError> {
    let Some(shape) = shape(kv, product).await? else { return Ok(()) };
    for to in (shape.shards..shape.shards + shape.ahead).filter(|to| shape.waits_for(*to)) {
        finish_split(kv, product, to, now).await?;
    }
    Ok(())
}

/// Gives the fleet more shards until it has `target`, but no more than `most`, one after the other, each with half the devices of
/// the one whose turn it is.
///
/// Any number of writers may do so at once. Each splits off shards of its own: two who take the same steps are only in each
/// other's way. If one dies, whoever looks for one of the devices on their way finishes the step, or [`mend`] does.
///
/// # Errors
/// The store's.
pub async fn grow(
    kv: &impl Kv,
    product: &ProductKey,
    target: u32,
    most: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut ended = None;
    for left in (0..=most).rev() {
        let begun = end_and_begin(kv, product, ended, if left > 0 { target } else { 0 }, now).await?;
        let Some(to) = begun else { break };
        split_off(kv, product, to, now).await?;
        ended = Some(to);
    }
    Ok(())
}

/// Does the steps of a split that has begun; each may have been done by somebody else already, and is then left alone.
async fn finish_split(kv: &impl Kv, product: &ProductKey, to: u32, now: Timestamp) -> Result<(), StoreError> {
    split_off(kv, product, to, now).await?;
    end_and_begin(kv, product, Some(to), 0, now).await.map(|_| ())
}

/// Notes that shard `ended` is there, and begins in the same swap to split off the next, unless the fleet has `target`. Returns
/// the number of the one that is begun.
async fn end_and_begin(
    kv: &impl Kv,
    product: &ProductKey,
    ended: Option<u32>,
    target: u32,
    now: Timestamp,
) -> Result<Option<u32>, StoreError> {
    let key = keys::fleet(product);
    let noted = update(kv, &key, now, |shape: Option<Shape>| {
        let Some(mut shape) = shape else { return Change::Keep((None, None)) };
        let is_news = ended.is_some_and(|ended| shape.end(ended));
        let begun = shape.begin(target);
        let noted = (begun, Some(shape.shards));
        if is_news || begun.is_some() { Change::Put(shape, noted) } else { Change::Keep(noted) }
    });
    let (begun, shards) = noted.await?;
    if let Some(shards) = shards {
        remember(product, shards);
    }
    Ok(begun)
}

/// Moves the devices of a split that has begun. They are in the old shard's value until they are in the new one's, so a crash
/// loses none.
async fn split_off(kv: &impl Kv, product: &ProductKey, to: u32, now: Timestamp) -> Result<(), StoreError> {
    let modulus = modulus(to, to + 1);
    let from = to % (modulus / 2).max(1);
    let new = update_shard(kv, product, from, now, |shard| {
        let begun = shard.modulus >= modulus;
        shard.begin_split(to, modulus)?;
        let new = shard.split_off();
        Ok(if begun { Change::Keep(new) } else { Change::Put((), new) })
    });
    let Some(new) = new.await? else { return Ok(()) };
    create_shard(kv, product, to, &new, now).await?;
    update_shard(kv, product, from, now, |shard| {
        Ok(if shard.end_split(modulus) { Change::Put((), ()) } else { Change::Keep(()) })
    })
    .await?;
    Ok(())
}

/// Creates the new shard of a split unless it exists. All who help write the same devices, and only one of them may.
async fn create_shard(
    kv: &impl Kv,
    product: &ProductKey,
    shard: u32,
    new: &impl Record,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = keys::shard(product, shard);
    for _ in 0..TRIES_MAX {
        let (bytes, token) = kv.read(&key).await?;
        if bytes.is_some() {
            return Ok(());
        }
        if claim::take(kv, &key, now).await? == Claim::Won
            && kv.swap(token, &to_bytes(new, 1)).await? == Swap::Swapped
        {
            return Ok(());
        }
    }
    Err(StoreError::Contention { key })
}

#[cfg(test)]
#[path = "shards_tests.rs"]
mod tests;
