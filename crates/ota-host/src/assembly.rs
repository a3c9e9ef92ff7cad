//! From a manifest's components to ones that can be instantiated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use wasmtime::component::InstancePre;

use crate::engine;
use crate::keyvalue::KeyValueStore;
use crate::manifest::{Component, DEFAULT_STORE, MqttBroker};
use crate::metrics::Metrics;
use crate::mqtt::Address;
use crate::outbound_hosts::OutboundPolicy;
use crate::outbound_http::OutboundHttp;
use crate::routes::Route;
use crate::state::{ComponentContext, GuestState};
use crate::template::Template;

/// A component that the manifest does not have.
pub(crate) struct Mount {
    pub(crate) name: String,
    pub(crate) route: Route,
    pub(crate) file: PathBuf,
}

/// What components share.
pub(crate) struct World {
    pub(crate) store: Arc<KeyValueStore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) outbound_http: OutboundHttp,
}

impl World {
    pub(crate) fn context(&self, name: &str, component: &Component) -> anyhow::Result<Arc<ComponentContext>> {
        let variables =
            component.variables.iter().map(|(key, template)| Ok((key.clone(), self.fill(template)?)));
        let hosts: Vec<_> =
            component.allowed_outbound_hosts.iter().map(|t| self.fill(t)).collect::<anyhow::Result<_>>()?;
        let name: Arc<str> = name.into();
        Ok(Arc::new(ComponentContext {
            usage: self.metrics.usage_of(&name),
            key_value_stores: component.key_value_stores.iter().map(|store| store.as_str().into()).collect(),
            store: self.store.clone(),
            variables: variables.collect::<anyhow::Result<_>>()?,
            environment: component.environment.clone().into_iter().collect(),
            outbound: OutboundPolicy::parse(hosts.iter().map(String::as_str))
                .with_context(|| format!("component `{name}`: `allowed_outbound_hosts`"))?,
            outbound_http: self.outbound_http.clone(),
            metrics: self.metrics.clone(),
            name,
        }))
    }

    pub(crate) fn mounted(&self, name: &str) -> Arc<ComponentContext> {
        let name: Arc<str> = name.into();
        Arc::new(ComponentContext {
            usage: self.metrics.usage_of(&name),
            name,
            key_value_stores: vec![DEFAULT_STORE.into()],
            store: self.store.clone(),
            variables: BTreeMap::new(),
            environment: Vec::new(),
            outbound: OutboundPolicy::default(),
            outbound_http: self.outbound_http.clone(),
            metrics: self.metrics.clone(),
        })
    }

    pub(crate) fn connection(&self, broker: &MqttBroker) -> anyhow::Result<Connection> {
        let address =
            Address::parse(&self.fill(&broker.address)?).context("application.trigger.mqtt: `address`")?;
        if address.client_id.is_some() {
            bail!("application.trigger.mqtt: `address`: each trigger needs a client id of its own");
        }
        let seconds = self.fill(&broker.keep_alive_interval)?;
        let seconds = seconds.parse::<u16>().context("application.trigger.mqtt: `keep_alive_interval`")?;
        let (username, password) = (self.fill(&broker.username)?, self.fill(&broker.password)?);
        Ok(Connection { address, username, password, keep_alive: Duration::from_secs(seconds.into()) })
    }

    pub(crate) fn fill(&self, template: &Template) -> anyhow::Result<String> {
        template.resolve(&self.values).map_err(|name| anyhow!("variable `{name}` has no value"))
    }
}

/// Components by name, compiled and with what they may do.
pub(crate) type Prepared = BTreeMap<Arc<str>, (InstancePre<GuestState>, Arc<ComponentContext>)>;

/// Returns a component that a trigger names.
pub(crate) fn find<'a>(
    components: &'a Prepared,
    name: &str,
) -> anyhow::Result<&'a (InstancePre<GuestState>, Arc<ComponentContext>)> {
    components.get(name).with_context(|| format!("component `{name}` was not prepared"))
}

/// Compiles all at once, or takes from the cache what has not changed.
pub(crate) fn compile(
    cache: &Path,
    count_instructions: bool,
    jobs: Vec<(PathBuf, Arc<ComponentContext>)>,
) -> wasmtime::Result<Prepared> {
    let engine = engine::engine(count_instructions)?;
    let linker = engine::linker(&engine)?;
    let linker = &linker;
    std::thread::scope(|scope| {
        let threads: Vec<_> = jobs
            .into_iter()
            .map(|(file, context)| {
                scope.spawn(move || {
                    let pre = engine::prepare(linker, &context.name, &file, cache)?;
                    Ok((context.name.clone(), (pre, context)))
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(prepared) => prepared,
            Err(_) => Err(wasmtime::format_err!("the compiler panicked")),
        };
        threads.into_iter().map(join).collect()
    })
}

/// How MQTT triggers connect.
pub(crate) struct Connection {
    pub(crate) address: Address,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) keep_alive: Duration,
}
