//! Whatever the images are, the target comes back byte for byte; whatever the delta is, nothing breaks.

use std::cell::Cell;
use std::convert::Infallible;

use ota_delta::{Fault, HEADER_LEN, Header, MakeError, Maker, RestoreError, Restorer, SLICE_BYTES, Storage};
use proptest::prelude::*;

/// The generator known as splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// An image as linkers make them: functions of a few instruction patterns, addresses in between, tables, padding.
/// `shift` moves the addresses, as code that has grown in front of them does.
fn firmware(functions: usize, seed: u64, shift: u32) -> Vec<u8> {
    let mut random = Random(seed);
    let mut image = Vec::new();
    for _ in 0..functions {
        for _ in 0..12 + random.below(60) {
            let pattern = random.next();
            image.extend_from_slice(&pattern.to_le_bytes()[..4 + random.below(4)]);
            if random.below(6) == 0 {
                let address = 0x0800_0000 + (random.next() as u32 & 0xf_ffff) + shift;
                image.extend_from_slice(&address.to_le_bytes());
            }
        }
        image.resize(image.len().next_multiple_of(16), 0xff);
    }
    image
}

/// The same firmware with a function more, some bytes changed, and all addresses moved.
fn next_version(functions: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let source = firmware(functions, seed, 0);
    let mut target = firmware(functions, seed, 0x240);
    let mut random = Random(seed + 1);
    for _ in 0..8 {
        let at = random.below(target.len());
        target[at] ^= 0x55;
    }
    let at = target.len() / 3;
    target.splice(at..at, firmware(3, seed + 2, 0));
    (source, target)
}

fn round_trip(source: &[u8], target: &[u8], slice_bytes: u32) -> usize {
    let delta = ota_delta::make(source, target, slice_bytes).expect("a delta can be made");
    let restored = ota_delta::restore(source, &delta).expect("its own delta is good");
    assert!(restored == target, "slices of {slice_bytes}");
    delta.len()
}

#[test]
fn r33_firmware_is_restored_byte_for_byte_for_every_slice_size() {
    let (source, target) = next_version(1_500, 7);
    assert!(target.len() > 300_000, "{}", target.len());
    for slice_bytes in SLICE_BYTES {
        let size = round_trip(&source, &target, slice_bytes);
        println!("{} bytes, slices of {slice_bytes}: {size}", target.len());
        assert!(size * 5 < target.len(), "slices of {slice_bytes}: {size} of {}", target.len());
    }
}

#[test]
fn r33_slices_meet_without_a_gap_at_every_size_around_a_boundary() {
    let (source, image) = next_version(800, 3);
    for size in [32_767, 32_768, 32_769, 65_535, 65_536, 65_537, 98_304] {
        for slice_bytes in SLICE_BYTES {
            round_trip(&source, &image[..size], slice_bytes);
        }
    }
}

#[test]
fn r33_an_image_of_several_large_slices_is_restored() {
    let mut random = Random(1);
    let source: Vec<u8> = (0..5_000_000).map(|_| random.next() as u8).collect();
    // Its parts have changed places.
    let target = [&source[3_000_000..], &source[..3_100_000]].concat();
    let size = round_trip(&source, &target, 2 * 1024 * 1024);
    assert!(size < 20_000, "{size}");
}

#[test]
fn r33_images_that_have_nothing_in_common_or_everything_are_restored() {
    let noise = firmware(400, 1, 0);
    let other = firmware(400, 99, 0);
    let zeros = vec![0; 100_000];
    let ones = vec![1; 100_000];
    let periodic: Vec<u8> = (0..100_000_u32).map(|n| (n % 7) as u8).collect();
    for (source, target) in [
        (&noise[..], &other[..]),
        (&noise, &noise),
        (&zeros, &zeros),
        (&zeros, &ones),
        (&zeros, &noise),
        (&noise, &zeros),
        (&periodic, &periodic[3..]),
        (&[], &noise),
        (&noise, &noise[..1]),
        (&noise[..15], &noise),
    ] {
        for slice_bytes in SLICE_BYTES {
            round_trip(source, target, slice_bytes);
        }
    }
    assert!(round_trip(&noise, &noise, 0) < 200, "an image that stays is one copy");
}

#[test]
fn r34_no_delta_is_made_with_another_slice_size() {
    for slice_bytes in [1, 1_024, 32_767, 128 * 1024] {
        assert_eq!(ota_delta::make(b"a", b"b", slice_bytes), Err(MakeError::Impossible), "{slice_bytes}");
    }
}

#[test]
fn a_patch_is_given_up_when_it_is_longer_than_it_may_be() {
    let (source, other) = (firmware(100, 1, 0), firmware(100, 2, 0));
    let maker = Maker::new(&source).unwrap();
    let len = maker.slice(0, &other, usize::MAX).unwrap().len();
    assert_eq!(maker.slice(0, &other, len).map(|patch| patch.len()), Ok(len));
    assert_eq!(maker.slice(0, &other, len - 1), Err(MakeError::TooLong));
    assert_eq!(maker.slice(0, &other, 0), Err(MakeError::TooLong));
}

/// A device that counts what it is asked to hold and to do.
struct Device<'a> {
    source: &'a [u8],
    target: Vec<u8>,
    longest: usize,
    reads: Cell<usize>,
}

impl<'a> Device<'a> {
    fn new(source: &'a [u8]) -> Self {
        Self { source, target: Vec::new(), longest: 0, reads: Cell::new(0) }
    }
}

impl Storage for Device<'_> {
    type Error = Infallible;

    fn source_size(&self) -> u32 {
        self.source.len() as u32
    }

    fn read_source(&mut self, offset: u32, buffer: &mut [u8]) -> Result<(), Infallible> {
        let from = offset as usize;
        // Reading outside would be a panic, and so a failed test.
        buffer.copy_from_slice(&self.source[from..from + buffer.len()]);
        self.longest = self.longest.max(buffer.len());
        self.reads.set(self.reads.get() + 1);
        Ok(())
    }

    fn write_target(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.target.extend_from_slice(bytes);
        self.longest = self.longest.max(bytes.len());
        Ok(())
    }
}

fn pushed(source: &[u8], delta: &[u8], piece: usize) -> Result<Vec<u8>, Fault> {
    let mut device = Device::new(source);
    let mut restorer = Restorer::new();
    for piece in delta.chunks(piece) {
        restorer.push(piece, &mut device).map_err(RestoreError::fault)?;
    }
    restorer.finish()?;
    assert!(device.longest <= 4_096, "{} bytes at once", device.longest);
    Ok(device.target)
}

#[test]
fn a_delta_may_arrive_in_pieces_of_any_size_and_no_slice_is_held() {
    let (source, target) = next_version(300, 5);
    let delta = ota_delta::make(&source, &target, 32_768).unwrap();
    for piece in [1, 2, 87, 88, 89, 1_000, 100_000] {
        assert!(pushed(&source, &delta, piece).unwrap() == target, "pieces of {piece}");
    }
}

#[test]
fn another_source_is_noticed_before_anything_is_written() {
    let (source, target) = next_version(100, 5);
    let delta = ota_delta::make(&source, &target, 32_768).unwrap();
    let mut other = source.clone();
    other[17] ^= 1;
    for other in [&other[..], &source[1..], &[]] {
        let mut device = Device::new(other);
        let refused = Restorer::new().push(&delta, &mut device).map_err(RestoreError::fault);
        assert_eq!(refused, Err(Fault::WrongSource));
        assert!(device.target.is_empty());
    }
}

#[test]
fn a_delta_that_is_cut_or_has_a_tail_is_refused() {
    let (source, target) = next_version(100, 5);
    let mut delta = ota_delta::make(&source, &target, 32_768).unwrap();
    for len in [0, 1, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + 3, HEADER_LEN + 4, delta.len() - 1] {
        assert_eq!(ota_delta::restore(&source, &delta[..len]), Err(Fault::Truncated), "{len} bytes");
    }
    delta.push(0);
    assert_eq!(ota_delta::restore(&source, &delta), Err(Fault::Trailing));
}

#[test]
fn nothing_can_be_pushed_after_a_fault() {
    let mut restorer = Restorer::new();
    let mut device = Device::new(b"x");
    assert_eq!(restorer.push(&[b'x'; 88], &mut device), Err(RestoreError::Delta(Fault::NotADelta)));
    assert_eq!(restorer.push(&[0], &mut device), Err(RestoreError::Delta(Fault::Ended)));
    assert_eq!(restorer.finish(), Err(Fault::Ended));
}

#[test]
fn a_target_with_a_wrong_digest_is_refused() {
    let (source, target) = next_version(100, 5);
    let delta = ota_delta::make(&source, &target, 0).unwrap();
    let header = Header::parse(delta[..HEADER_LEN].try_into().unwrap()).unwrap();
    let wrong = Header { target_sha256: [0; 32], ..header }.to_bytes();
    let delta = [&wrong, &delta[HEADER_LEN..]].concat();
    assert_eq!(ota_delta::restore(&source, &delta), Err(Fault::WrongTarget));
}

/// A small program of edits, so that the images have something in common.
fn any_images() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let edits = prop::collection::vec((any::<u16>(), any::<u16>(), any::<u8>(), 0..4_u8), 0..12);
    (prop::collection::vec(any::<u8>(), 0..3_000), 1..40_usize, edits).prop_map(|(seed, repeat, edits)| {
        let source = seed.repeat(repeat);
        let mut target = source.clone();
        for (at, len, byte, what) in edits {
            let at = usize::from(at) % (target.len() + 1);
            let len = usize::from(len % 2_000).min(target.len() - at);
            match what {
                0 => drop(target.drain(at..at + len)),
                1 => target[at..at + len].iter_mut().step_by(5).for_each(|old| *old = old.wrapping_add(byte)),
                2 => drop(target.splice(at..at, vec![byte; len])),
                _ => target.extend_from_within(at..at + len),
            }
        }
        target.push(1);
        (source, target)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn r33_restoring_gives_the_target_whatever_the_images((source, target) in any_images(), piece in 1..5_000_usize) {
        for slice_bytes in SLICE_BYTES {
            let delta = ota_delta::make(&source, &target, slice_bytes).unwrap();
            prop_assert!(pushed(&source, &delta, piece).unwrap() == target);
        }
    }

    #[test]
    fn a_damaged_delta_is_an_error_and_never_a_wrong_image(
        at in any::<prop::sample::Index>(),
        byte in 1..=255_u8,
        piece in 1..3_000_usize,
    ) {
        let (source, target) = next_version(60, 11);
        let mut delta = ota_delta::make(&source, &target, 32_768).unwrap();
        let at = at.index(delta.len());
        delta[at] ^= byte;
        // What DEFLATE does not use may be damaged without harm.
        if let Ok(restored) = pushed(&source, &delta, piece) {
            prop_assert!(restored == target);
        }
    }

    #[test]
    fn noise_behind_a_good_header_is_an_error(noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let (source, target) = next_version(60, 11);
        let delta = ota_delta::make(&source, &target, 0).unwrap();
        let delta = [&delta[..HEADER_LEN], &noise].concat();
        prop_assert!(pushed(&source, &delta, 50).is_err());
    }
}
