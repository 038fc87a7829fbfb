//! What wasmtime generates from `guest-sdk/wit`, the one copy of the contract.

/// World `merge`.
pub(crate) mod merge {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "merge",
    });
}

/// World `placement`.
pub(crate) mod placement {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit",
        world: "placement",
        with: { "colony:plugin/log": crate::bindings::merge::colony::plugin::log },
    });
}

pub(crate) use merge::colony::plugin::log;

/// The only import that a plugin may have.
pub(crate) const LOG: &str = "colony:plugin/log@0.1.0";
