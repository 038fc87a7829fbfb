//! From bytes to a compiled component, with one clear line for everything that can be wrong.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::bindings::LOG;
use crate::error::LoadError;
use crate::memories::memories;
use crate::pool::World;
use crate::runtime::Shared;
use crate::sandbox::MEMORIES;
use crate::text;

/// Every WebAssembly binary begins with this.
const MAGIC: &[u8] = b"\0asm";
/// Then a version and a layer follow: a core module's.
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

/// Stack of the thread that compiles: the compiler recurses on what the component nests.
const COMPILE_STACK_BYTES: usize = 8 << 20;

/// Reads at most one byte more than a component may have.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, LoadError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })
}

/// Compiles a component and checks that it asks for no more than it may.
pub(crate) fn compile(shared: &Arc<Shared>, bytes: &[u8]) -> Result<Component, LoadError> {
    check_header(bytes, shared.limits.component_bytes)?;
    check_memories(bytes)?;
    let component = compile_aside(shared, bytes.to_vec())?;
    check_imports(&shared.engine, &component)?;
    Ok(component)
}

fn check_header(bytes: &[u8], limit: usize) -> Result<(), LoadError> {
    if bytes.len() > limit {
        return Err(LoadError::TooLarge { limit });
    }
    match bytes.split_at_checked(MAGIC.len()) {
        Some((MAGIC, rest)) if rest.starts_with(CORE_MODULE) => Err(LoadError::CoreModule),
        Some((MAGIC, _)) => Ok(()),
        _ => Err(LoadError::NotWebAssembly),
    }
}

fn check_memories(bytes: &[u8]) -> Result<(), LoadError> {
    let found = memories(bytes);
    if found > MEMORIES { Err(LoadError::Memories { found, limit: MEMORIES }) } else { Ok(()) }
}

/// A component's place before the compiler, given back when its thread ends.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Result<Self, LoadError> {
        let others = shared.compiles.fetch_add(1, Ordering::SeqCst);
        let place = Self(Arc::clone(shared));
        if others < shared.limits.compiles { Ok(place) } else { Err(LoadError::CompilerBusy { others }) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.compiles.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Compiles on a thread of its own, one component at a time, and waits for it no longer than the limit.
///
/// A thread cannot be stopped. One that is given up while it waits for its turn ends without compiling. One that is
/// given up while it compiles goes on until the compiler is done, throws the result away, and keeps the next in the
/// queue meanwhile: a hostile component costs one core for a while, and not one for each attempt. How much memory the
/// compiler takes is bounded by the size of the component alone.
fn compile_aside(shared: &Arc<Shared>, bytes: Vec<u8>) -> Result<Component, LoadError> {
    let (done, result) = mpsc::sync_channel(1);
    let limit = shared.limits.compile_time;
    let place = Place::take(shared)?;
    let given_up = Arc::new(AtomicBool::new(false));
    let is_given_up = Arc::clone(&given_up);
    thread::Builder::new()
        .name("plugin-compiler".into())
        .stack_size(COMPILE_STACK_BYTES)
        .spawn(move || {
            let shared = &place.0;
            // A panic of the compiler poisons the lock and leaves nothing else behind.
            let _one_at_a_time = shared.compiling.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_given_up.load(Ordering::SeqCst) {
                // Whoever asked may have gone meanwhile.
                let _ = done.send(Component::from_binary(&shared.engine, &bytes));
            }
        })
        .map_err(|error| LoadError::Compile { reason: error.to_string() })?;
    match result.recv_timeout(limit) {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(compile_error(&error)),
        Err(RecvTimeoutError::Timeout) => {
            given_up.store(true, Ordering::SeqCst);
            Err(LoadError::CompileTime { limit })
        }
        Err(RecvTimeoutError::Disconnected) => Err(LoadError::Compile { reason: "the compiler panicked".into() }),
    }
}

fn compile_error(error: &wasmtime::Error) -> LoadError {
    // The validator's complaint is the cause of the outermost error; the compiler's stands alone.
    let reason = text::reason(&error.root_cause().to_string());
    if error.chain().nth(1).is_some() { LoadError::Invalid { reason } } else { LoadError::Compile { reason } }
}

fn check_imports(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    let component = component.component_type();
    match component.imports(engine).find(|(name, _)| *name != LOG) {
        Some((name, _)) => Err(LoadError::RefusedImport { name: text::reason(name) }),
        None => Ok(()),
    }
}

/// Whether the component is one of the world `W`, by what it exports.
pub(crate) fn is_of<W: World>(engine: &Engine, component: &Component) -> bool {
    component.component_type().get_export(engine, W::EXPORT).is_some()
}

/// Refuses a component of another world than `W`.
pub(crate) fn check_export<W: World>(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    if is_of::<W>(engine, component) {
        return Ok(());
    }
    let component = component.component_type();
    let names: Vec<&str> = component.exports(engine).map(|(name, _)| name).collect();
    let found = match names.as_slice() {
        [] => "nothing".to_owned(),
        names => text::reason(&names.join(", ")),
    };
    Err(LoadError::MissingExport { kind: W::KIND, wanted: W::EXPORT, found })
}
