//! What the host keeps for one instance of a component, and for the component itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTable};
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::engine::MEMORY_BYTES_MAX;
use crate::keyvalue::KeyValueStore;
use crate::metrics::{Metrics, Usage};
use crate::outbound_hosts::OutboundPolicy;
use crate::outbound_http::OutboundHttp;
use crate::stdio::Lines;

/// What a component may do; shared by its instances.
pub(crate) struct ComponentContext {
    pub(crate) name: Arc<str>,
    pub(crate) key_value_stores: Vec<Arc<str>>,
    pub(crate) store: Arc<KeyValueStore>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) outbound: OutboundPolicy,
    pub(crate) outbound_http: OutboundHttp,
    pub(crate) usage: Arc<Usage>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What an instance may hold, and the record of what it has held.
pub(crate) struct Limits {
    limits: StoreLimits,
    /// Bytes of all its memories, of which a component may have several.
    held: usize,
    usage: Arc<Usage>,
}

impl Limits {
    fn new(usage: Arc<Usage>) -> Self {
        Self { limits: StoreLimitsBuilder::new().memory_size(MEMORY_BYTES_MAX).build(), held: 0, usage }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum)?;
        if allowed {
            self.held += desired.saturating_sub(current);
            self.usage.held(self.held);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

/// The state of one instance.
pub(crate) struct GuestState {
    pub(crate) component: Arc<ComponentContext>,
    pub(crate) table: ResourceTable,
    pub(crate) limits: Limits,
    pub(crate) mqtt_connections: usize,
    pub(crate) redis_connections: usize,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: crate::outbound_http::Hooks,
}

/// The way from a store to its [`GuestState`], for interfaces with async functions.
pub(crate) struct Guest;

impl HasData for Guest {
    type Data<'a> = &'a mut GuestState;
}

impl GuestState {
    pub(crate) fn new(component: Arc<ComponentContext>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(Lines::stdout(&component.name)).stderr(Lines::stderr(&component.name));
        wasi.envs(&component.environment);
        // Raw sockets are not among what a manifest can grant here.
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        Self {
            hooks: crate::outbound_http::Hooks::new(component.clone()),
            table: ResourceTable::new(),
            limits: Limits::new(component.usage.clone()),
            mqtt_connections: 0,
            redis_connections: 0,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            component,
        }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}
