//! One shard of a fleet: some dozens of devices in one value.
//!
//! A report concerns one device, so the others are carried along as the bytes they are: they are decoded only when asked
//! for, and written back unread.

use std::ops::Range;

use minicbor::{Decode, Decoder, Encode, Encoder};
pub use ota_core::batch::Brief;
use ota_core::batch::Joining;
use ota_core::device::{Device, Region};
use ota_core::event::Event;
use ota_core::ids::{BatchId, DeviceName, ModuleName, PackageId, Version};
use ota_core::task::TaskPolicy;
use ota_core::time::Timestamp;
use sha2::{Digest, Sha256};

use crate::record::{Corrupt, EventRecord, HEADER_LEN, PolicyRecord, Record, RegionRecord, device_v1};

/// Devices of a shard before the fleet is given one more. More make every report rewrite more bytes, and wait more often for
/// another report of the same shard; fewer make every walk over the fleet read more values. A device is 100 to 400 bytes, so that
/// most shards fit into one page of SQLite (4 KiB). Measured by `cargo xtask bench hot` and `bench scale`.
pub const DEVICES_MAX: usize = 24;

/// One shard.
#[derive(Clone, Debug, Default)]
pub struct Shard {
    /// The value that raw entries point into.
    raw: Vec<u8>,
    /// Which devices belong here: those whose hash leaves the shard's number when divided by this.
    pub modulus: u32,
    /// What the batches that have reached this shard ask of its devices.
    pub briefs: Vec<Brief>,
    entries: Vec<Entry>,
    /// Devices on their way into the shard that this one is being split off to; frozen until they have arrived.
    outgoing: Vec<Entry>,
    /// What happened here and has not been told yet.
    pub outbox: Vec<Event>,
}

#[derive(Clone, Debug)]
enum Entry {
    Raw { name: Range<usize>, body: Range<usize> },
    Device(Box<Device>),
}

impl Entry {
    fn name<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Raw { name, .. } => &raw[name.clone()],
            Self::Device(device) => device.name.as_str().as_bytes(),
        }
    }

    fn device(&self, raw: &[u8]) -> Result<Device, Corrupt> {
        match self {
            Self::Raw { name, body } => {
                let name = std::str::from_utf8(&raw[name.clone()]).map_err(|e| Corrupt(e.to_string()))?;
                device_v1::read(name, &raw[body.clone()])
            }
            Self::Device(device) => Ok((**device).clone()),
        }
    }
}

/// Returns the number a device's place is computed from. The hash is a cryptographic one so that nobody can choose names
/// that all fall into one shard.
pub fn hash(name: &DeviceName) -> u64 {
    let digest: [u8; 32] = Sha256::digest(name.as_str().as_bytes()).into();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

/// Returns the shard of a fleet of `shards` shards that holds a device (linear hashing: the fleet grows by one shard at a
/// time, and only one shard's devices move).
pub fn locate(hash: u64, shards: u32) -> u32 {
    let whole = shards.max(1).next_power_of_two();
    let at = (hash % u64::from(whole)) as u32;
    if at < shards { at } else { at - whole / 2 }
}

/// Returns the modulus of shard `shard` in a fleet of `shards` shards.
pub fn modulus(shard: u32, shards: u32) -> u32 {
    let whole = shards.max(1).next_power_of_two();
    // A shard whose other half would be at `shard + whole / 2` is not split yet as long as that one does not exist.
    if whole > 1 && shard < whole / 2 && shard + whole / 2 >= shards { whole / 2 } else { whole }
}

impl Shard {
    /// Makes an empty shard with a modulus.
    pub fn new(modulus: u32) -> Self {
        Self { modulus, ..Self::default() }
    }

    /// Returns how many devices are here.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns one device.
    ///
    /// # Errors
    /// If its bytes cannot be read.
    pub fn get(&self, name: &DeviceName) -> Result<Option<Device>, Corrupt> {
        self.find(name).ok().map(|at| self.entries[at].device(&self.raw)).transpose()
    }

    /// Adds or replaces one device.
    pub fn put(&mut self, device: Device) {
        let place = self.find(&device.name);
        let entry = Entry::Device(Box::new(device));
        match place {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Removes one device; returns whether it was there.
    pub fn remove(&mut self, name: &DeviceName) -> bool {
        self.find(name).map(|at| self.entries.remove(at)).is_ok()
    }

    /// Returns all devices, by name.
    ///
    /// # Errors
    /// If the bytes of one cannot be read.
    pub fn devices(&self) -> Result<Vec<Device>, Corrupt> {
        self.entries.iter().map(|entry| entry.device(&self.raw)).collect()
    }

    /// Returns what a batch asks of the devices here.
    pub fn brief(&self, batch_id: BatchId) -> Option<&Brief> {
        self.briefs.iter().find(|brief| brief.batch_id == batch_id)
    }

    /// Tells whether devices are on their way from here into another shard.
    pub(crate) fn is_splitting(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Moves the devices that belong to the new shard `to` aside, as the first step of a split. Does nothing when that
    /// was done before.
    pub(crate) fn begin_split(&mut self, to: u32, modulus: u32) -> Result<(), Corrupt> {
        if self.modulus >= modulus {
            return Ok(());
        }
        self.modulus = modulus;
        let raw = std::mem::take(&mut self.raw);
        for entry in std::mem::take(&mut self.entries) {
            let device = entry.device(&raw)?;
            let leaves = hash(&device.name) % u64::from(modulus) == u64::from(to);
            let side = if leaves { &mut self.outgoing } else { &mut self.entries };
            side.push(Entry::Device(Box::new(device)));
        }
        Ok(())
    }

    /// Returns the new shard of a split that has begun: the devices moved aside, and the briefs, because their tasks
    /// go on there.
    pub(crate) fn split_off(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            modulus: self.modulus,
            briefs: self.briefs.clone(),
            entries: self.outgoing.clone(),
            outgoing: Vec::new(),
            // The old shard tells what happened before the split.
            outbox: Vec::new(),
        }
    }

    /// Forgets the devices moved aside, as the last step of the split that led to `modulus`. A helper that comes late
    /// may find the next split under way, whose devices are not yet safe elsewhere.
    pub(crate) fn end_split(&mut self, modulus: u32) -> bool {
        let any = self.modulus == modulus && !self.outgoing.is_empty();
        if any {
            self.outgoing.clear();
        }
        any
    }

    /// Forgets the briefs of batches that have ended and have no task here.
    pub(crate) fn forget_briefs(&mut self, ended: impl Fn(&Brief) -> bool) -> Result<bool, Corrupt> {
        if !self.briefs.iter().any(&ended) {
            return Ok(false);
        }
        let devices = self.devices()?;
        let in_use = |id: BatchId| {
            devices.iter().any(|d| d.tasks.iter().chain(&d.ended).any(|task| task.batch_id == id))
        };
        let before = self.briefs.len();
        self.briefs.retain(|brief| !ended(brief) || in_use(brief.batch_id));
        Ok(self.briefs.len() < before)
    }

    fn find(&self, name: &DeviceName) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.name(&self.raw).cmp(name.as_str().as_bytes()))
    }

    fn write_entries(
        &self,
        entries: &[Entry],
        encoder: &mut Encoder<&mut Vec<u8>>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        encoder.array(entries.len() as u64)?;
        for entry in entries {
            // A name that is already stored was text when it was read.
            encoder.bytes(entry.name(&self.raw))?;
            match entry {
                Entry::Raw { body, .. } => encoder.bytes(&self.raw[body.clone()])?,
                Entry::Device(device) => {
                    scratch.clear();
                    device_v1::write(device, scratch);
                    encoder.bytes(scratch)?
                }
            };
        }
        Ok(())
    }
}

#[derive(Encode, Decode)]
struct BriefRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    batch_id: [u8; 16],
    #[n(1)]
    page: u32,
    #[b(2)]
    module: &'a str,
    #[b(3)]
    policy: PolicyRecord<'a>,
    #[n(4)]
    created_at: u64,
    #[n(5)]
    package_id: Option<minicbor::bytes::ByteArray<16>>,
    #[n(6)]
    overwrite: Option<bool>,
    #[n(7)]
    multi_module: Option<bool>,
    #[b(8)]
    joining: Option<JoiningRecord<'a>>,
}

#[derive(Encode, Decode)]
struct JoiningRecord<'a> {
    #[b(0)]
    sources: Vec<&'a str>,
    #[b(1)]
    regions: Vec<RegionRecord<'a>>,
    #[n(2)]
    new_reports_only: bool,
}

impl Record for Shard {
    fn size_hint(&self) -> usize {
        // What was read, and what one report adds.
        self.raw.len() + 512
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut scratch = Vec::new();
        let mut encoder = Encoder::new(out);
        let briefs: Vec<_> = self.briefs.iter().map(BriefRecord::from).collect();
        let outbox: Vec<_> = self.outbox.iter().map(EventRecord::from).collect();
        encoder
            .array(5)
            .and_then(|e| e.u32(self.modulus)?.encode(&briefs))
            .map(|_| ())
            .and_then(|()| self.write_entries(&self.entries, &mut encoder, &mut scratch))
            .and_then(|()| self.write_entries(&self.outgoing, &mut encoder, &mut scratch))
            .and_then(|()| encoder.encode(outbox).map(|_| ()))
            .expect("writing to a vector cannot fail");
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let mut decoder = Decoder::new(&bytes[HEADER_LEN..]);
        let fields = decoder.array()?;
        let modulus = decoder.u32()?;
        let briefs: Vec<BriefRecord<'_>> = decoder.decode()?;
        let briefs = briefs.into_iter().map(Brief::try_from).collect::<Result<_, _>>()?;
        let entries = read_entries(&mut decoder)?;
        let outgoing = read_entries(&mut decoder)?;
        // The first shards ever written had no outbox.
        let outbox: Vec<EventRecord<'_>> = if fields > Some(4) { decoder.decode()? } else { Vec::new() };
        let outbox = outbox.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
        Ok(Self { modulus, briefs, entries, outgoing, outbox, raw: bytes })
    }
}

fn read_entries(decoder: &mut Decoder<'_>) -> Result<Vec<Entry>, Corrupt> {
    let count = decoder.array()?.ok_or_else(|| Corrupt("a list without its length".into()))?;
    // Every entry takes at least two bytes, so a damaged count cannot ask for more memory than the value has.
    let left = decoder.input().len() - decoder.position();
    let mut entries = Vec::with_capacity((count as usize).min(left / 2));
    for _ in 0..count {
        let name = read_range(decoder)?;
        let body = read_range(decoder)?;
        entries.push(Entry::Raw { name, body });
    }
    Ok(entries)
}

fn read_range(decoder: &mut Decoder<'_>) -> Result<Range<usize>, Corrupt> {
    let len = decoder.bytes()?.len();
    let end = decoder.position() + HEADER_LEN;
    Ok(end - len..end)
}

impl<'a> From<&'a Brief> for BriefRecord<'a> {
    fn from(brief: &'a Brief) -> Self {
        Self {
            batch_id: brief.batch_id.0,
            page: brief.page,
            module: brief.module.as_str(),
            policy: PolicyRecord::from(&brief.policy),
            created_at: brief.created_at.0,
            package_id: Some(brief.package_id.0.into()),
            overwrite: brief.overwrite.then_some(true),
            multi_module: brief.multi_module.then_some(true),
            joining: brief.joining.as_ref().map(|joining| JoiningRecord {
                sources: joining.sources.iter().map(Version::as_str).collect(),
                regions: joining.regions.iter().map(RegionRecord::from).collect(),
                new_reports_only: joining.new_reports_only,
            }),
        }
    }
}

impl TryFrom<BriefRecord<'_>> for Brief {
    type Error = Corrupt;

    fn try_from(record: BriefRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            batch_id: BatchId(record.batch_id),
            page: record.page,
            module: ModuleName::new(record.module)?,
            policy: TaskPolicy::try_from(record.policy)?,
            created_at: Timestamp(record.created_at),
            package_id: PackageId(record.package_id.map_or([0; 16], Into::into)),
            overwrite: record.overwrite.unwrap_or(false),
            multi_module: record.multi_module.unwrap_or(false),
            joining: record.joining.map(Joining::try_from).transpose()?,
        })
    }
}

impl TryFrom<JoiningRecord<'_>> for Joining {
    type Error = Corrupt;

    fn try_from(record: JoiningRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            sources: record.sources.into_iter().map(Version::new).collect::<Result<_, _>>()?,
            regions: record.regions.into_iter().map(Region::try_from).collect::<Result<_, _>>()?,
            new_reports_only: record.new_reports_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_core::device::DeviceSecret;

    fn device(n: u32) -> Device {
        let name = DeviceName::new(&format!("lamp-{n:04}")).unwrap();
        Device::new(name, DeviceSecret::from_random([n as u8; 16]), Timestamp(1))
    }

    fn stored(shard: &Shard) -> Shard {
        crate::record::from_bytes(crate::record::to_bytes(shard, 1)).unwrap()
    }

    #[test]
    fn devices_come_back_by_name_and_unread_ones_are_carried_along() {
        let mut shard = Shard::new(1);
        for n in [3, 1, 2] {
            shard.put(device(n));
        }
        let mut shard = stored(&shard);
        let mut changed = device(2);
        changed.activated_at = Some(Timestamp(9));
        shard.put(changed.clone());
        let shard = stored(&shard);
        assert_eq!(shard.devices().unwrap(), [device(1), changed, device(3)]);
        assert_eq!(shard.get(&device(4).name).unwrap(), None);
    }

    #[test]
    fn a_removed_device_is_gone() {
        let mut shard = Shard::new(1);
        shard.put(device(1));
        let mut shard = stored(&shard);
        assert!(shard.remove(&device(1).name));
        assert!(!shard.remove(&device(1).name));
        assert!(stored(&shard).is_empty());
    }

    #[test]
    fn every_device_has_one_place_and_a_new_shard_takes_devices_from_one_other_only() {
        let hashes: Vec<u64> = (0..2_000).map(|n| hash(&device(n).name)).collect();
        for shards in 1..70 {
            let to = shards;
            let from: std::collections::BTreeSet<u32> =
                hashes.iter().filter(|h| locate(**h, shards + 1) == to).map(|h| locate(*h, shards)).collect();
            assert!(from.len() <= 1, "shard {to} comes from {from:?}");
            for h in &hashes {
                let at = locate(*h, shards);
                assert!(at < shards);
                assert_eq!(h % u64::from(modulus(at, shards)), u64::from(at));
            }
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let mut shard = Shard::new(1);
        shard.put(device(1));
        let bytes = crate::record::to_bytes(&shard, 1);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            if let Ok(shard) = crate::record::from_bytes::<Shard>(damaged) {
                let _ = shard.devices();
            }
            let _ = crate::record::from_bytes::<Shard>(bytes[..at].to_vec());
        }
    }
}
