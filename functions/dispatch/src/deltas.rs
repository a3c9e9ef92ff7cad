//! Making deltas, a step a tick: some slices, or the package of a delta whose slices are all made.
//!
//! Each step is stored before the delta's record says that it is done, and comes to the same bytes whoever makes it.
//! See `ota_store::deltas`.

use std::ops::Range;

use ota_blob::{File, Hashes};
use ota_core::delta::{Delta, DeltaEvent, DeltaFailure, DeltaStatus};
use ota_core::digest::Digests;
use ota_core::ids::{DeltaId, UploadId};
use ota_core::package::{Package, VerificationStatus};
use ota_core::time::Timestamp;
use ota_delta::{Header, MakeError, Maker};
use ota_http::Problem;
use ota_platform::Platform;
use ota_platform::line::Line;
use ota_store::blobs::{self, Blob, CHUNK_BYTES, Pieces, Place};
use ota_store::deltas::{self, OpenDeltas, StoredDelta};
use ota_store::packages::{self, StoredPackage};
use ota_store::settings;
use ota_store::work::{self, OpenUpload};

use crate::handle::Report;

/// How long a listed delta may be without its record: its maker died, or is slower than any request lives.
const WITHOUT_RECORD_MS: u64 = 10 * 60 * 1000;
/// Bytes of a patch's length in front of it.
const LENGTH_BYTES: usize = 4;

/// Makes one step of the oldest delta that can be gone on with.
pub(crate) async fn make<P: Platform>(platform: &P, report: &mut Report) -> Result<(), Problem> {
    let Some(turn) = deltas::take_turn(platform.kv(), platform.now()).await? else { return Ok(()) };
    let outcome = oldest(platform, &turn, report).await;
    deltas::end_turn(platform.kv(), &turn, platform.now()).await?;
    outcome
}

/// A delta that fails does not keep the others waiting.
async fn oldest<P: Platform>(platform: &P, turn: &OpenDeltas, report: &mut Report) -> Result<(), Problem> {
    let mut failed = None;
    for (id, since) in &turn.deltas {
        match step(platform, *id, *since, report).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(problem) => {
                let line = Line::of("Delta").with("delta", id).with("outcome", "failed");
                let line = line.with("code", problem.code).with_some("error", problem.log.as_deref());
                line.write(platform);
                failed = Some(problem);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Does the next thing for a delta; returns whether that was work.
async fn step<P: Platform>(
    platform: &P,
    id: DeltaId,
    since: Timestamp,
    report: &mut Report,
) -> Result<bool, Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let Some(stored) = deltas::get(kv, id).await? else {
        if now.ms_since(since) > WITHOUT_RECORD_MS {
            deltas::remove(kv, id, now).await?;
        }
        return Ok(false);
    };
    if stored.delta.status != DeltaStatus::Making {
        tidy(platform, &stored).await?;
        return Ok(false);
    }
    let event = match progress(platform, &stored, report).await {
        Ok(Ok(event)) => event,
        Ok(Err(failure)) => DeltaEvent::Failed(failure),
        // Somebody whose turn came meanwhile may have gone on with it, and removed what this step was looking for.
        Err(_) if deltas::get(kv, id).await?.as_ref() != Some(&stored) => return Ok(true),
        Err(problem) => return Err(problem),
    };
    if let Some(after) = deltas::apply(kv, id, &event, platform.now()).await?
        && after.delta.status != DeltaStatus::Making
    {
        tidy(platform, &after).await?;
    }
    Ok(true)
}

/// Makes the next slices, or the package when none is missing.
async fn progress<P: Platform>(
    platform: &P,
    stored: &StoredDelta,
    report: &mut Report,
) -> Result<Result<DeltaEvent, DeltaFailure>, Problem> {
    let (kv, delta) = (platform.kv(), &stored.delta);
    let target = packages::get(kv, delta.target_package).await?;
    let source = packages::get(kv, delta.source_package).await?;
    let (Some(target), Some(source)) = (target, source) else {
        return Ok(finished_before(platform, delta).await?.ok_or(DeltaFailure::PackageDeleted));
    };
    let slices = delta.next_step();
    if slices.is_empty() {
        return finish(platform, stored, &target.package, &source.package).await;
    }
    let range = delta.target_range(&slices);
    let old = read(platform, source.blob, 0..source.package.size).await?;
    let new = read(platform, target.blob, range.clone()).await?;
    let (Some(old), Some(new)) = (old, new) else {
        // Its bytes go after the package itself.
        return Ok(Err(DeltaFailure::PackageDeleted));
    };
    let Some(mut writer) = Writer::resume(platform, stored, &target.package, &source.package).await? else {
        return Err(Problem::corrupt(format!("the tail of {} at slice {}", delta.id, slices.start)));
    };
    report.slices += slices.end - slices.start;
    if let Err(failure) = patches(&mut writer, delta, range.start, &old, &new) {
        return Ok(Err(failure));
    }
    let bytes = writer.store(platform, delta.id, slices.end).await?;
    Ok(Ok(DeltaEvent::Made { slices, bytes }))
}

/// Appends the patches of the slices that `new`, which begins at `offset`, consists of.
fn patches(
    writer: &mut Writer,
    delta: &Delta,
    offset: u64,
    old: &[u8],
    new: &[u8],
) -> Result<(), DeltaFailure> {
    let failure = |error| match error {
        MakeError::TooLong => DeltaFailure::NotSmaller,
        MakeError::Unfaithful | MakeError::Impossible => DeltaFailure::Unfaithful,
    };
    let maker = Maker::new(old).map_err(failure)?;
    let slice_len = delta.slice.bytes().map_or(new.len(), |bytes| bytes as usize).max(1);
    let mut at = offset;
    for slice in new.chunks(slice_len) {
        // As much as may come before the delta is as long as the image.
        let room = delta.target_size.saturating_sub(writer.len() + LENGTH_BYTES as u64 + 1);
        let patch = maker.slice(at, slice, usize::try_from(room).unwrap_or(0)).map_err(failure)?;
        let len = u32::try_from(patch.len()).map_err(|_| DeltaFailure::NotSmaller)?;
        writer.bytes.extend_from_slice(&len.to_le_bytes());
        writer.bytes.extend_from_slice(&patch);
        at += slice.len() as u64;
    }
    Ok(())
}

/// The end of a delta, from the last chunk on that is not full.
struct Writer {
    blob: UploadId,
    /// Full chunks before `bytes`.
    chunks: u64,
    bytes: Vec<u8>,
}

impl Writer {
    /// Goes on where the steps so far have ended; `None` when what they left over is not there.
    async fn resume<P: Platform>(
        platform: &P,
        stored: &StoredDelta,
        target: &Package,
        source: &Package,
    ) -> Result<Option<Self>, Problem> {
        let (delta, blob) = (&stored.delta, stored.blob());
        if delta.slices_done == 0 {
            let header = Header {
                slice_bytes: delta.slice.bytes().unwrap_or(0),
                source_size: size(source)?,
                source_sha256: source.digests.sha256,
                target_size: size(target)?,
                target_sha256: target.digests.sha256,
            };
            return Ok(Some(Self { blob, chunks: 0, bytes: header.to_bytes() }));
        }
        let chunks = delta.bytes / CHUNK_BYTES as u64;
        let tail = deltas::tail(platform.kv(), delta.id, delta.slices_done).await?;
        let len = (delta.bytes % CHUNK_BYTES as u64) as usize;
        Ok(tail.filter(|tail| tail.len() == len).map(|bytes| Self { blob, chunks, bytes }))
    }

    /// Returns the bytes of the delta up to here.
    fn len(&self) -> u64 {
        self.chunks * CHUNK_BYTES as u64 + self.bytes.len() as u64
    }

    /// Stores full chunks and the tail of the first `slices` slices; returns the bytes of the delta.
    async fn store<P: Platform>(self, platform: &P, id: DeltaId, slices: u32) -> Result<u64, Problem> {
        let kv = platform.kv();
        let mut chunks = self.bytes.chunks_exact(CHUNK_BYTES);
        for (index, chunk) in (self.chunks..).zip(&mut chunks) {
            blobs::put_chunk(kv, self.blob, 0, index, chunk).await?;
        }
        deltas::put_tail(kv, id, slices, chunks.remainder()).await?;
        Ok(self.len())
    }
}

/// Makes the package, by the way that every package is made.
async fn finish<P: Platform>(
    platform: &P,
    stored: &StoredDelta,
    target: &Package,
    source: &Package,
) -> Result<Result<DeltaEvent, DeltaFailure>, Problem> {
    let (kv, now, delta) = (platform.kv(), platform.now(), &stored.delta);
    if let Some(event) = finished_before(platform, delta).await? {
        return Ok(Ok(event));
    }
    let chunks = delta.bytes / CHUNK_BYTES as u64;
    if !delta.bytes.is_multiple_of(CHUNK_BYTES as u64) {
        let tail = deltas::tail(kv, delta.id, delta.slices_done).await?;
        let tail = tail.ok_or_else(|| Problem::corrupt(format!("the last tail of {}", delta.id)))?;
        blobs::put_chunk(kv, stored.blob(), 0, chunks, &tail).await?;
    }
    let blob = Blob {
        id: stored.blob(),
        file_name: format!("{}.bin", delta.name),
        size: delta.bytes,
        chunk_bytes: CHUNK_BYTES as u32,
        digests: digests(platform, stored).await?,
        created_at: now,
        place: Place::Chunks,
        pieces: Pieces::default(),
    };
    blobs::complete(kv, &blob).await?;
    let package = package(delta, &blob, target, source, now);
    let made = StoredPackage {
        package,
        blob: blob.id,
        more_blobs: Vec::new(),
        fingerprint: stored.fingerprint,
        deleted: false,
    };
    let limits = settings::get(kv).await?.package_limits;
    match packages::create(kv, &made, limits.packages_max(), now).await? {
        Ok(()) => Ok(Ok(DeltaEvent::Finished)),
        Err(refused) => Ok(Err(DeltaFailure::from(&refused))),
    }
}

/// Tells whether the package was made by a step that died before it could say so. It may be deleted again by now.
async fn finished_before<P: Platform>(platform: &P, delta: &Delta) -> Result<Option<DeltaEvent>, Problem> {
    let (kv, id) = (platform.kv(), delta.package_id());
    let made = match packages::get_record(kv, id).await? {
        Some(record) => record.deleted || packages::is_listed(kv, id).await?,
        None => false,
    };
    Ok(made.then_some(DeltaEvent::Finished))
}

fn package(delta: &Delta, blob: &Blob, target: &Package, source: &Package, now: Timestamp) -> Package {
    let new = delta.package(target, source);
    Package {
        id: delta.package_id(),
        product_key: new.product_key,
        name: new.name,
        module: new.module,
        kind: new.kind,
        target_version: new.target_version,
        algorithm: new.algorithm,
        digests: blob.digests.clone(),
        size: blob.size,
        slice_bytes: delta.slice.bytes(),
        files: Vec::new(),
        file_name: blob.file_name.clone(),
        description: new.description,
        udi: new.udi,
        verification: VerificationStatus::Unverified,
        verify_batch: None,
        created_at: now,
    }
}

/// Hashes all chunks. There are not more than the target image has, or the delta would have failed.
async fn digests<P: Platform>(platform: &P, stored: &StoredDelta) -> Result<Digests, Problem> {
    let (mut hashes, mut seen) = (Hashes::default(), 0);
    for index in 0..stored.delta.bytes.div_ceil(CHUNK_BYTES as u64) {
        let chunk = blobs::get_chunk(platform.kv(), stored.blob(), &Pieces::default(), index).await?;
        let chunk = chunk.ok_or_else(|| Problem::corrupt(format!("chunk {index} of {}", stored.blob())))?;
        seen += chunk.len() as u64;
        hashes.update(&chunk);
    }
    if seen != stored.delta.bytes {
        return Err(Problem::corrupt(format!("some bytes of {}", stored.blob())));
    }
    Ok(hashes.finish())
}

/// Reads a range of a file; `None` when it is not there any more.
async fn read<P: Platform>(
    platform: &P,
    blob: UploadId,
    range: Range<u64>,
) -> Result<Option<Vec<u8>>, Problem> {
    match File::open(platform, blob).await? {
        Some(file) => file.read(range).await.map(Some),
        None => Ok(None),
    }
}

/// Removes what a delta that is done leaves behind, and then takes it off the list: as long as it is there, this can be
/// done again.
async fn tidy<P: Platform>(platform: &P, stored: &StoredDelta) -> Result<(), Problem> {
    let (kv, now, delta) = (platform.kv(), platform.now(), &stored.delta);
    if matches!(delta.status, DeltaStatus::Failed(_)) {
        // Whoever lists the bytes as an upload without a package has them collected, in small steps. A step that failed
        // may have stored more than the record says, but not more than the image has.
        let chunks_max = delta.target_size.div_ceil(CHUNK_BYTES as u64);
        let bytes = OpenUpload { id: stored.blob(), since: Timestamp(0), chunks_max, taken_by: None };
        if !work::add_upload(kv, bytes, now).await? {
            return Err(Problem::new(
                "upload.too-many",
                "the bytes of a failed delta cannot be collected yet",
            ));
        }
    }
    deltas::remove_tails(kv, delta).await?;
    deltas::remove(kv, delta.id, now).await?;
    Ok(())
}

fn size(package: &Package) -> Result<u32, Problem> {
    u32::try_from(package.size).map_err(|_| Problem::corrupt(format!("the size of {}", package.id)))
}
