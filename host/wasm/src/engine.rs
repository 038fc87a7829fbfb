//! How WebAssembly is compiled and run here.

use wasmtime::{Config, Engine};

use crate::limits::Limits;

/// Address space after a memory that is never mapped. Wasmtime leaves out bounds checks for accesses that
/// are known to end in it.
const GUARD_BYTES: u64 = 64 << 10;

/// The one engine of a runtime.
///
/// # Errors
/// If the limits contradict each other or this machine cannot run compiled code.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    let mut config = Config::new();

    config.wasm_component_model(true);
    // What Rust and C need, and no more: every further proposal is more host to attack. The garbage
    // collector is compiled in, since builds without it have a known abort, and no plugin may use it.
    // Threads and component-model-async are not compiled in at all.
    config
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_tail_call(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .gc_support(false);

    // The same question gets the same answer on every host.
    config.cranelift_nan_canonicalization(true).wasm_relaxed_simd(false).relaxed_simd_deterministic(true);

    config.consume_fuel(true).epoch_interruption(true);
    config.max_wasm_stack(limits.stack_bytes);
    // Nobody reads a guest's stack trace, and taking one costs more than the call.
    config.wasm_backtrace_max_frames(None);

    // The default reserves 4 GiB of addresses for each memory, which containers with an address limit
    // refuse. A memory gets what it may grow to and stays where it is.
    config
        .memory_reservation(limits.memory_bytes as u64)
        .memory_reservation_for_growth(0)
        .memory_guard_size(GUARD_BYTES)
        .memory_may_move(false);

    Engine::new(&config)
}
