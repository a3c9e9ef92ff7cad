//! A store has one host at a time: another that wrote into the same file would not be noticed by what is kept in memory.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{BUSY_TIMEOUT, KeyValueError};

/// The lock beside a store's file. The system takes it away from a process that has ended, however it did.
const EXTENSION: &str = "lock";

/// How long to wait before another look.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Takes the lock of the store in a file; a host that is just ending is waited for. Whoever drops the answer gives the lock back.
pub(super) fn take(store: &Path) -> Result<File, KeyValueError> {
    let failed = |error: std::io::Error| KeyValueError::Lock(error.to_string());
    let lock =
        File::options().create(true).append(true).open(store.with_extension(EXTENSION)).map_err(failed)?;
    let began = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if began.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(LOOK_AGAIN_AFTER);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(KeyValueError::Lock("another host has it open".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}
