//! A process with some of the devices in it: connects them, a few at a time, and tells how they are when it is asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use ota_devices::{Credential, parse_credentials};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;

use crate::clients::Status;
use crate::device::{self, Device};

/// Devices in a row that cannot connect before the others are left out: whatever is in the way stays there.
const FAILURES_MAX: usize = 64;

/// What such a process is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A file with names and secrets.
    #[arg(long, hide = true)]
    pub(crate) credentials: Option<PathBuf>,
    /// The product.
    #[arg(long, hide = true, default_value = "")]
    product: String,
    /// Where the broker listens.
    #[arg(long, hide = true, default_value = "127.0.0.1:0")]
    broker: SocketAddr,
    /// The address that the devices connect from.
    #[arg(long, hide = true, default_value = "127.0.0.1")]
    from: Ipv4Addr,
}

/// What the devices have in common, and how they are.
#[derive(Default)]
pub(crate) struct Shared {
    done: AtomicBool,
    connected: AtomicUsize,
    connected_ms: AtomicU64,
    pub(crate) pushed: AtomicUsize,
    lost: AtomicUsize,
    failed: AtomicUsize,
    failed_in_a_row: AtomicUsize,
    first_failure: Mutex<String>,
}

impl Shared {
    fn status(&self) -> Status {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Status {
            done: self.done.load(Ordering::Acquire),
            connected: count(&self.connected),
            connected_ms: self.connected_ms.load(Ordering::Relaxed),
            pushed: count(&self.pushed),
            lost: count(&self.lost),
            failed: count(&self.failed),
            first_failure: self.first_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn failed(&self, error: &anyhow::Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failed_in_a_row.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            *first = format!("{error:#}");
        }
    }
}

/// Runs the devices until nobody asks any more.
pub(crate) async fn run(
    arguments: &Arguments,
    credentials: &Path,
    at_once: usize,
    keep_alive: u16,
) -> anyhow::Result<()> {
    let credentials = std::fs::read_to_string(credentials).context("the devices' names and secrets")?;
    let credentials = parse_credentials(&credentials)?;
    let shared = Arc::<Shared>::default();
    let way = device::Way {
        broker: arguments.broker,
        from: arguments.from,
        product_key: arguments.product.clone(),
        keep_alive,
    };
    tokio::spawn(connect_all(Arc::new(way), credentials, at_once, shared.clone()));
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while questions.next_line().await?.is_some() {
        answers.write_all(format!("{}\n", shared.status().render()).as_bytes()).await?;
        answers.flush().await?;
    }
    Ok(())
}

async fn connect_all(
    way: Arc<device::Way>,
    credentials: Vec<Credential>,
    at_once: usize,
    shared: Arc<Shared>,
) {
    let logins = Arc::new(Semaphore::new(at_once));
    let all = u32::try_from(at_once).unwrap_or(u32::MAX);
    let (began, mut left) = (Instant::now(), credentials.len());
    for credential in credentials {
        let turn = logins.clone().acquire_owned().await.expect("nobody closes it");
        if shared.failed_in_a_row.load(Ordering::Relaxed) >= FAILURES_MAX {
            break;
        }
        left -= 1;
        let (way, shared) = (way.clone(), shared.clone());
        tokio::spawn(async move {
            let connected = Device::connect(&way, &credential).await;
            drop(turn);
            match connected {
                Ok(device) => {
                    shared.connected.fetch_add(1, Ordering::Relaxed);
                    shared.connected_ms.store(began.elapsed().as_millis() as u64, Ordering::Relaxed);
                    shared.failed_in_a_row.store(0, Ordering::Relaxed);
                    // Whatever ended it, it is no longer there.
                    device.stay(&shared).await.ok();
                    shared.lost.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => shared.failed(&error),
            }
        });
    }
    // Those that are still at it.
    let _turns = logins.acquire_many(all).await.expect("nobody closes it");
    shared.failed.fetch_add(left, Ordering::Relaxed);
    shared.done.store(true, Ordering::Release);
}
