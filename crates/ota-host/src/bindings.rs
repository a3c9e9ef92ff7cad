//! Rust's view of the interfaces in `wit/`.

#![allow(missing_docs, unreachable_pub, reason = "generated; the WIT files have the documentation")]

/// What components import.
pub(crate) mod imports {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "overair:host/imports",
        imports: {
            // Reads take microseconds: not worth the machinery of a function that may wait.
            "wasi:keyvalue/store.open": trappable,
            "wasi:keyvalue/store.[method]bucket.get": trappable,
            "wasi:keyvalue/store.[method]bucket.exists": trappable,
            "wasi:keyvalue/store.[method]bucket.list-keys": trappable,
            "wasi:keyvalue/store.[drop]bucket": trappable,
            "wasi:keyvalue/atomics.[static]cas.new": trappable,
            "wasi:keyvalue/atomics.[method]cas.current": trappable,
            "wasi:keyvalue/atomics.[drop]cas": trappable,
            "wasi:keyvalue/batch.get-many": trappable,
            "spin:key-value/key-value.[drop]store": trappable,
            "spin:mqtt/mqtt.[drop]connection": trappable,
            "spin:redis/redis.[drop]connection": trappable,
            default: async | trappable,
        },
        with: {
            "spin:key-value/key-value.store": crate::keyvalue::guest::OpenStore,
            "spin:mqtt/mqtt.connection": crate::mqtt::Connection,
            "spin:redis/redis.connection": crate::redis::Connection,
            "wasi:keyvalue/store.bucket": crate::keyvalue::guest::OpenStore,
            "wasi:keyvalue/atomics.cas": crate::keyvalue::guest::Cas,
        },
    });
}

/// What a component for cron triggers exports.
pub(crate) mod cron {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "spin:cron/spin-cron",
        exports: { default: async | store },
    });
}

/// What a component for MQTT triggers exports.
pub(crate) mod mqtt_trigger {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "spin:mqtt-trigger/spin-mqtt",
        exports: { default: async | store },
    });
}
