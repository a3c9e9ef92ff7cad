//! Starting an application and stopping it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rumqttc::QoS;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use wasmtime_wasi_http::handler::ProxyHandler;

use crate::assembly::{Connection, Mount, Prepared, World, compile, find};
use crate::broker::{Accounts, Door, leads_to};
use crate::cron::{self, CronKind};
use crate::http::{Application, HttpComponent, Server};
use crate::keyvalue::{KeyValueMode, KeyValueStore};
use crate::manifest::Manifest;
use crate::metrics::Metrics;
use crate::mqtt::random_client_id;
use crate::mqtt_trigger::{self, Filter, MqttKind, Subscription};
use crate::outbound_http::OutboundHttp;
use crate::routes::Route;
use crate::trigger::{Handler, stopped};
use crate::variables;

/// The file with the key-value store in the data folder; Spin's name for it.
const STORE_FILE: &str = "sqlite_key_value.db";

/// The folder of compiled components in the data folder.
const CACHE_FOLDER: &str = "cache";

/// The variable that functions trust each other by.
const INTERNAL_TOKEN: &str = "internal_token";

/// How long a start waits for a broker. Without one the application still serves HTTP.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts applications.
#[derive(Debug)]
pub struct Host;

impl Host {
    /// Begins to describe how the application of a manifest is to run.
    pub fn builder(manifest: impl Into<PathBuf>) -> HostBuilder {
        HostBuilder {
            manifest: manifest.into(),
            data_dir: PathBuf::from(".overair"),
            variables: Vec::new(),
            http_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            mqtt_listen: None,
            key_value_mode: KeyValueMode::Correct,
            count_instructions: false,
            component_overrides: BTreeMap::new(),
            mounts: Vec::new(),
            triggers: true,
        }
    }
}

/// How an application is to run.
#[derive(Debug)]
pub struct HostBuilder {
    manifest: PathBuf,
    data_dir: PathBuf,
    variables: Vec<(String, String)>,
    http_listen: SocketAddr,
    mqtt_listen: Option<SocketAddr>,
    key_value_mode: KeyValueMode,
    count_instructions: bool,
    component_overrides: BTreeMap<String, PathBuf>,
    mounts: Vec<(String, PathBuf)>,
    triggers: bool,
}

impl HostBuilder {
    /// Where the store and the compiled components are kept; made if it is not there. `.overair` by default.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = folder.into();
        self
    }

    /// Gives a variable its value. `${http_port}` and `${mqtt_port}` in it stand for the ports that were bound.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Gives several variables their values, as [`HostBuilder::variable`] does.
    pub fn variables<N: Into<String>, V: Into<String>>(
        mut self,
        values: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.variables.extend(values.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Where HTTP is served. Port 0, the default, takes a free one.
    pub fn http_listen(mut self, address: SocketAddr) -> Self {
        self.http_listen = address;
        self
    }

    /// Runs a broker at this address, if the manifest's MQTT triggers are to connect to it. By default there is none.
    pub fn mqtt_listen(mut self, address: SocketAddr) -> Self {
        self.mqtt_listen = Some(address);
        self
    }

    /// What a swap from an absent key does.
    pub fn key_value_mode(mut self, mode: KeyValueMode) -> Self {
        self.key_value_mode = mode;
        self
    }

    /// Counts the instructions that components take, which costs some speed: see [`Metrics::instructions`].
    pub fn count_instructions(mut self) -> Self {
        self.count_instructions = true;
        self
    }

    /// Runs another file in place of a component's source.
    pub fn component_override(mut self, component: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.component_overrides.insert(component.into(), file.into());
        self
    }

    /// Serves a component that the manifest does not have, with the default key-value store and nothing else.
    pub fn mount(mut self, route: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.mounts.push((route.into(), file.into()));
        self
    }

    /// Leaves the cron and MQTT triggers out: a test that moves the clock itself needs none beside it.
    pub fn without_triggers(mut self) -> Self {
        self.triggers = false;
        self
    }

    /// Starts the application. When this returns, everything listens.
    pub async fn start(self) -> anyhow::Result<RunningHost> {
        let manifest = Manifest::read(&self.manifest)?;
        let mounts = self.parsed_mounts(&manifest)?;
        std::fs::create_dir_all(&self.data_dir)
            .with_context(|| format!("cannot make the data folder {}", self.data_dir.display()))?;

        // The listeners first: variables may mention their ports.
        let http = TcpListener::bind(self.http_listen).await;
        let http = http.with_context(|| format!("cannot listen on {}", self.http_listen))?;
        let mut ports = vec![("http_port", http.local_addr()?.port().to_string())];
        let (door, open_door) = Door::new();
        let mut broker = match self.mqtt_listen.filter(|_| manifest.mqtt_broker.is_some()) {
            Some(listen) => {
                let config = ota_broker::BrokerConfig { listen, ..Default::default() };
                Some(ota_broker::start(config, Arc::new(door)).await?)
            }
            None => None,
        };
        if let Some(broker) = &broker {
            ports.push(("mqtt_port", broker.local_addr().port().to_string()));
        }
        let values = variables::resolve(
            &manifest.variables,
            &self.variables,
            |name| std::env::var(name).ok(),
            &ports,
        )?;

        let metrics = Arc::<Metrics>::default();
        let store =
            KeyValueStore::open(&self.data_dir.join(STORE_FILE), self.key_value_mode, metrics.clone())
                .context("cannot open the key-value store")?;
        let world = World {
            store: Arc::new(store),
            metrics: metrics.clone(),
            values,
            outbound_http: OutboundHttp::default(),
        };
        let connection = manifest.mqtt_broker.as_ref().map(|broker| world.connection(broker)).transpose()?;
        if let (Some(running), Some(connection)) = (&broker, &connection)
            && !leads_to(&connection.address, running.local_addr())
        {
            let (address, listen) = (&connection.address, running.local_addr());
            tracing::warn!(?address, %listen, "no broker: the application's is somewhere else");
            broker.take().expect("it was just there").shutdown().await;
        }
        let components = self.prepare_all(&manifest, &mounts, &world).await?;

        let mut routes = Vec::new();
        let mut handlers = BTreeMap::new();
        let from_manifest = manifest.http_triggers.iter().map(|t| (t.route.clone(), t.component.clone()));
        for (route, component) in
            from_manifest.chain(mounts.iter().map(|m| (m.route.clone(), m.name.clone())))
        {
            let handler = match handlers.get(&component) {
                Some(handler) => ProxyHandler::clone(handler),
                None => {
                    let (pre, context) = find(&components, &component)?;
                    let handler = ProxyHandler::new(HttpComponent::new(pre.clone(), context.clone())?);
                    handlers.insert(component, handler.clone());
                    handler
                }
            };
            routes.push((route, handler));
        }
        let application = Arc::new(Application::new(routes));
        let server = Server::start(http, application.clone())?;
        world.outbound_http.short_cut(server.address(), &application);
        if let Some(connection) = &connection {
            open_door.send_replace(Some(Accounts {
                devices: !self.triggers,
                username: connection.username.clone(),
                password: connection.password.clone(),
                internal_token: world.values.get(INTERNAL_TOKEN).cloned(),
                application: Arc::downgrade(&application),
            }));
        }
        let mut running = RunningHost {
            server,
            metrics,
            application,
            broker,
            open_door,
            triggers: JoinSet::new(),
            stop: watch::Sender::new(false),
        };
        if self.triggers {
            running.start_cron(&manifest, &components)?;
            running.start_mqtt(&manifest, &components, &world, connection.as_ref()).await?;
        }
        Ok(running)
    }

    fn parsed_mounts(&self, manifest: &Manifest) -> anyhow::Result<Vec<Mount>> {
        let parse = |(route, file): &(String, PathBuf)| {
            let parsed = Route::parse(route).map_err(|fault| anyhow!(fault))?;
            if manifest.http_triggers.iter().any(|trigger| trigger.route.same_paths(&parsed)) {
                bail!("cannot mount at `{route}`: the manifest has that route");
            }
            Ok(Mount { name: format!("mounted at {route}"), route: parsed, file: file.clone() })
        };
        if let Some(name) =
            self.component_overrides.keys().find(|name| !manifest.components.contains_key(*name))
        {
            bail!("cannot override component `{name}`: the manifest has none of that name");
        }
        self.mounts.iter().map(parse).collect()
    }

    /// Compiles every component that a trigger needs, all at once.
    async fn prepare_all(
        &self,
        manifest: &Manifest,
        mounts: &[Mount],
        world: &World,
    ) -> anyhow::Result<Prepared> {
        let mut jobs = Vec::new();
        let from_http = manifest.http_triggers.iter().map(|t| &t.component);
        let from_others = (manifest.cron_triggers.iter().map(|t| &t.component))
            .chain(manifest.mqtt_triggers.iter().map(|t| &t.component));
        let needed: std::collections::BTreeSet<_> =
            from_http.chain(from_others.filter(|_| self.triggers)).collect();
        for name in needed {
            let component =
                manifest.components.get(name).context("a trigger names a component that is not there")?;
            let file = self.component_overrides.get(name).unwrap_or(&component.source).clone();
            jobs.push((file, world.context(name, component)?));
        }
        jobs.extend(mounts.iter().map(|mount| (mount.file.clone(), world.mounted(&mount.name))));

        let cache = self.data_dir.join(CACHE_FOLDER);
        // The cache wants an absolute folder.
        std::fs::create_dir_all(&cache)?;
        let cache = std::fs::canonicalize(cache)?;
        let counts = self.count_instructions;
        let compiled = tokio::task::spawn_blocking(move || compile(&cache, counts, jobs)).await;
        let compiled = compiled.context("compiling")?;
        compiled.map_err(|error| anyhow!("{error:#}"))
    }
}

/// An application that runs.
pub struct RunningHost {
    server: Server,
    metrics: Arc<Metrics>,
    application: Arc<Application>,
    broker: Option<ota_broker::Broker>,
    /// Kept for as long as the broker may ask who comes in.
    open_door: watch::Sender<Option<Accounts>>,
    triggers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl RunningHost {
    /// Where HTTP is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where the broker listens, if it runs.
    pub fn mqtt_addr(&self) -> Option<SocketAddr> {
        self.broker.as_ref().map(ota_broker::Broker::local_addr)
    }

    /// What components have asked of the host, and the memory they have held.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// Stops: no new requests and events, those in work finish, within bounds.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.triggers.join_next().await.is_some() {}
        self.server.shutdown().await;
        self.open_door.send_replace(None);
        drop(self.application);
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }

    fn start_cron(&mut self, manifest: &Manifest, components: &Prepared) -> anyhow::Result<()> {
        for trigger in &manifest.cron_triggers {
            let (pre, context) = find(components, &trigger.component)?;
            let handler = Arc::new(Handler::<CronKind>::new(pre.clone(), context.clone())?);
            self.triggers.spawn(cron::run(trigger.schedule.clone(), handler, self.stop.subscribe()));
        }
        Ok(())
    }

    /// Starts the MQTT triggers and waits until they are subscribed, for as long as that is worth. Devices are let in
    /// once they are.
    async fn start_mqtt(
        &mut self,
        manifest: &Manifest,
        components: &Prepared,
        world: &World,
        connection: Option<&Connection>,
    ) -> anyhow::Result<()> {
        let Some(connection) = connection else { return Ok(()) };
        let mut filters: BTreeMap<&str, Vec<Filter>> = BTreeMap::new();
        for trigger in &manifest.mqtt_triggers {
            let qos = match trigger.qos {
                0 => QoS::AtMostOnce,
                1 => QoS::AtLeastOnce,
                _ => QoS::ExactlyOnce,
            };
            let filter = Filter { topic: world.fill(&trigger.topic)?, qos };
            filters.entry(&trigger.component).or_default().push(filter);
        }
        let mut waiting = Vec::new();
        for (component, filters) in filters {
            let (pre, context) = find(components, component)?;
            let Connection { address, username, password, keep_alive } = connection;
            let subscription = Subscription {
                options: address.options(&random_client_id(), username, password, *keep_alive),
                filters,
                handler: Arc::new(Handler::<MqttKind>::new(pre.clone(), context.clone())?),
            };
            let (subscribed, wait) = oneshot::channel();
            waiting.push(wait);
            self.triggers.spawn(mqtt_trigger::run(subscription, subscribed, self.stop.subscribe()));
        }
        let door = self.open_door.clone();
        let mut subscribed = Box::pin(async move {
            futures::future::join_all(waiting).await;
            door.send_modify(|accounts| accounts.iter_mut().for_each(|accounts| accounts.devices = true));
        });
        if tokio::time::timeout(SUBSCRIBE_TIMEOUT, &mut subscribed).await.is_err() {
            tracing::warn!("not all MQTT triggers are subscribed yet; they keep trying");
            let mut stop = self.stop.subscribe();
            self.triggers.spawn(async move {
                tokio::select! {
                    () = subscribed => {}
                    () = stopped(&mut stop) => {}
                }
            });
        }
        Ok(())
    }
}
