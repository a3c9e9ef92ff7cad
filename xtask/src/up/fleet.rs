//! A service with a fleet that has been upgraded, for as long as something is done with it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail};
use serde_json::Value;

use super::host::Host;
use super::{Arguments, Waited, secrets, start_story, wait_for};
use crate::workspace::Workspace;

/// The port that takes a free one.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Where webhooks may go: to a port of this machine that nobody listens on, and not to wherever a made-up URL leads.
const WEBHOOK_HOSTS: &str = "http://127.0.0.1:1";

/// What there is to work with.
pub(crate) struct Fleet {
    /// Where the service is.
    pub(crate) url: String,
    /// The operator's token.
    pub(crate) token: String,
    /// What came of the story: the product, the package, the batch.
    pub(crate) report: Value,
}

/// Starts the service on free ports with data in `folder` that nobody has used, upgrades a fleet, and lets `act` work with it.
pub(crate) fn with_fleet(
    workspace: &Workspace,
    folder: &Path,
    devices: usize,
    act: impl FnOnce(&Fleet) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let data = folder.join("data");
    let _older = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    // What tests have compiled of the components already: each is named by what it was compiled from.
    let compiled = workspace.target.join("debug").join("compiled-components");
    std::fs::create_dir_all(&compiled).with_context(|| compiled.display().to_string())?;
    symlink(&compiled, data.join("cache")).context("the folder of compiled components")?;

    let variables = data.join("variables.toml");
    let token = secrets::ready(&variables)?;
    let text = std::fs::read_to_string(&variables).context("the variables")?;
    std::fs::write(&variables, format!("{text}\nwebhook_hosts = {WEBHOOK_HOSTS:?}\n"))
        .context("the variables")?;

    let arguments = Arguments {
        demo: true,
        devices,
        seed: 1,
        exit: true,
        listen: ANY_PORT,
        mqtt_listen: ANY_PORT,
        data_dir: None,
        public_base_url: None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut host = Host::start(workspace, &arguments, &data, &variables, &stop)?;
    let report = data.join("demo.json");
    let mut story = start_story(workspace, &arguments, &host, &token, &report)?;
    match wait_for(&stop, &mut host, Some((&mut story, None)))? {
        Waited::Done(code) if code == ExitCode::SUCCESS => {}
        Waited::Done(_) | Waited::Stopped => bail!("the fleet was not upgraded"),
    }
    let report = std::fs::read(&report).with_context(|| report.display().to_string())?;
    let report = serde_json::from_slice(&report).context("the story's report")?;
    let fleet = Fleet { url: format!("http://{}", host.http), token, report };
    act(&fleet)?;
    host.check()
}
