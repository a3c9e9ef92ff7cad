//! What is kept for one instance.

use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::store::Store;

/// What all instances share.
pub(crate) struct Environment {
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) store: Store,
}

/// The state of one instance.
pub(crate) struct GuestState {
    pub(crate) environment: Arc<Environment>,
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: AnyHost,
}

/// The way from a store to its [`GuestState`].
pub(crate) struct Guest;

impl HasData for Guest {
    type Data<'a> = &'a mut GuestState;
}

/// Lets requests go anywhere.
struct AnyHost;

impl WasiHttpHooks for AnyHost {}

impl GuestState {
    pub(crate) fn new(environment: Arc<Environment>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr().envs(&environment.variables);
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        let wasi = wasi.build();
        Self { environment, table: ResourceTable::new(), wasi, http: WasiHttpCtx::new(), hooks: AnyHost }
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
