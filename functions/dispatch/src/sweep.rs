//! A slow walk over all shards of all products, some per tick, for what a lost nudge or a crash left behind.
//!
//! A report asks the dispatcher to tell what it brought; if that request is lost, what is to be told lies in its shard
//! until the next one, or until this walk comes by. Where it is follows from the time, so it needs no record.
//!
//! Likewise a fleet stays half way through growing if whoever let it grow died, until one of the devices on their way
//! speaks, or until this walk comes by; meanwhile no batch can be sure that it has reached every device.

use ota_http::Problem;
use ota_platform::Platform;
use ota_platform::line::Line;
use ota_store::{batches, products, shards};

use crate::handle::Report;

/// How often the clock ticks; a tick of another clock repeats or skips a step, which does no harm.
const TICK_MS: u64 = 5_000;
/// Shards of one step: a fleet of a million devices is walked over in about an hour.
const SHARDS_PER_TICK: u32 = 48;

/// Tells what lies in some shards, and lets a fleet finish growing.
pub(crate) async fn some_shards<P: Platform>(platform: &P, report: &mut Report) -> Result<(), Problem> {
    let (kv, now) = (platform.kv(), platform.now());
    let catalog = products::catalog(kv).await?.0;
    let count = catalog.len() as u64;
    if count == 0 {
        return Ok(());
    }
    let tick = now.0 / TICK_MS;
    let Some((product, _)) = catalog.get((tick % count) as usize) else { return Ok(()) };
    let Some(shape) = shards::shape(kv, product).await? else { return Ok(()) };
    if shape.is_splitting()
        && let Err(error) = shards::mend(kv, product, now).await
    {
        // Perhaps nobody died, and somebody is just at it.
        let line = Line::of("Sweep").with("product", product).with("outcome", "half way through growing");
        line.with("error", error).write(platform);
    }
    let steps = u64::from(shape.shards.div_ceil(SHARDS_PER_TICK).max(1));
    let first = ((tick / count) % steps) as u32 * SHARDS_PER_TICK;
    for shard in first..shape.shards.min(first + SHARDS_PER_TICK) {
        report.recorded += batches::record_shard(kv, product, shard, now).await?;
    }
    Ok(())
}
