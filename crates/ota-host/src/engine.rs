//! The WebAssembly engine, and components made ready to be instantiated.

use std::path::Path;
use std::time::Duration;

use wasmtime::component::{InstancePre, Linker};
use wasmtime::error::Context;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::bindings::imports;
use crate::compiled;
use crate::state::{Guest, GuestState};

/// Linear memory of one instance: a function streams what is large, so this is far above what it needs.
pub(crate) const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Instances alive at once, over all components. A synchronous import freezes its instance, so under load there are
/// as many as requests in flight.
pub(crate) const INSTANCES_MAX: u32 = 400;

/// A component consists of the module that was compiled and of small adapters around it.
const CORE_INSTANCES_PER_COMPONENT: u32 = 16;

/// Memories and tables of one component.
const MEMORIES_PER_COMPONENT: u32 = 2;
const TABLES_PER_COMPONENT: u32 = 6;

/// Elements of one table: function pointers of the guest.
const TABLE_ELEMENTS_MAX: usize = 50_000;

/// Memory of a returned slot that is cleared by hand rather than given back to the system and faulted in again.
const MEMORY_KEEP_RESIDENT: usize = 128 * 1024;

/// Stack of one call. The first thing to shrink when memory is short; most is never touched.
const ASYNC_STACK_BYTES: usize = 1024 * 1024;

/// How long a component computes before others get their turn. Rarely reached: a function waits for its store or
/// its client long before.
const TURN: Duration = Duration::from_millis(20);

/// Where instructions are counted, how many an instance may take: no limit, but what was taken can be told.
const TANK: u64 = u64::MAX;

/// Returns the instructions that an instance has taken; none where they are not counted.
pub(crate) fn instructions(store: &Store<GuestState>) -> u64 {
    store.get_fuel().map_or(0, |left| TANK - left)
}

/// Builds the engine. Counted instructions cost some speed.
pub(crate) fn engine(count_instructions: bool) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * CORE_INSTANCES_PER_COMPONENT)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .total_memories(INSTANCES_MAX * MEMORIES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memory_size(MEMORY_BYTES_MAX)
        .total_tables(INSTANCES_MAX * TABLES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS_MAX)
        .total_stacks(INSTANCES_MAX * 4)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT);
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .async_stack_size(ASYNC_STACK_BYTES)
        .memory_init_cow(true)
        .epoch_interruption(true)
        .consume_fuel(count_instructions)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    take_turns(&engine)?;
    Ok(engine)
}

/// Lets computing components yield at each turn. An endless loop then costs its own time and is ended at last; it
/// does not take a thread away from everyone for good.
fn take_turns(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TURN);
        }
    };
    std::thread::Builder::new().name("turns".to_owned()).spawn(tick).context("no thread for taking turns")?;
    Ok(())
}

/// Makes room for an instance, with its limits.
pub(crate) fn store(engine: &Engine, state: GuestState) -> Store<GuestState> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    // Fails where instructions are not counted, and then there is no tank to fill.
    let _not_counted = store.set_fuel(TANK);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    store
}

/// Everything that a component may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    imports::Imports::add_to_linker::<GuestState, Guest>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Compiles a component, or takes it from the folder of those that were, and binds its imports.
pub(crate) fn prepare(
    linker: &Linker<GuestState>,
    name: &str,
    file: &Path,
    kept: &Path,
) -> wasmtime::Result<InstancePre<GuestState>> {
    let bytes =
        std::fs::read(file).with_context(|| format!("component `{name}`: cannot read {}", file.display()))?;
    let component = compiled::load(linker.engine(), &bytes, kept).with_context(|| {
        format!("component `{name}`: {} is no component that can be compiled", file.display())
    })?;
    let pre = linker.instantiate_pre(&component);
    pre.with_context(|| format!("component `{name}` imports what this host does not offer"))
}
