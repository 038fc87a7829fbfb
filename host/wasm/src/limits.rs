//! What a plugin may use.

use std::time::Duration;

/// What a plugin may use. A breach ends one call, never the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of a component in bytes. A stripped plugin takes 50 KiB; the bytes travel to every host.
    pub component_bytes: usize,
    /// Time to wait for the compiler. Compilation has no fuel: a component made to be slow to compile must
    /// not hold whoever loads it.
    pub compile_time: Duration,
    /// Work of one call in wasmtime's units, about one an instruction. The verdict that counts: the same
    /// call ends at the same place on every host.
    pub fuel: u64,
    /// Wall time of one call. The backstop for what fuel does not see, such as what the host does for a call of the
    /// log;
    /// checked every [`TICK`](crate::ticker::TICK), so a call ends up to two ticks early, and late only on a
    /// machine that does not run the clock's thread.
    pub call_time: Duration,
    /// Linear memory of one instance in bytes.
    pub memory_bytes: usize,
    /// Elements of all tables of one instance.
    pub table_elements: usize,
    /// Stack of a call in bytes, taken from the calling thread's own.
    pub stack_bytes: usize,
    /// What the host hands to one call in bytes: names and values of all three sides, or the candidates.
    pub question_bytes: usize,
    /// What the host takes as an answer in bytes: a session may hold no more.
    pub answer_bytes: usize,
    /// What wasmtime may copy out of an instance at once in bytes, before anything is known about it.
    /// Above `answer_bytes`, since it counts the host's own bookkeeping for lists as well.
    pub hostcall_bytes: usize,
    /// Length of a log line in bytes; the rest of it is cut.
    pub log_line_bytes: usize,
    /// Log lines of one call; more are counted and dropped.
    pub log_lines: u32,
    /// Log lines of one plugin at once, over all its calls.
    pub log_burst: u32,
    /// Log lines of one plugin a second thereafter: what thousands of calls a second may add to a host's log.
    pub log_per_second: u32,
    /// Components that wait for the compiler or are in it; one more is refused at once. Each holds its bytes.
    pub compiles: usize,
    /// Calls that one instance answers before a fresh one takes its place: what a plugin leaks or remembers
    /// ends there.
    pub calls_per_instance: u32,
    /// Instances that a plugin keeps between calls. One for each thread that calls at the same time; each
    /// holds up to `memory_bytes`.
    pub idle_instances: usize,
}

impl Limits {
    /// What every host runs with unless it is told otherwise.
    pub const DEFAULT: Self = Self {
        component_bytes: 4 << 20,
        compile_time: Duration::from_secs(5),
        fuel: 10_000_000,
        call_time: Duration::from_millis(50),
        memory_bytes: 16 << 20,
        table_elements: 10_000,
        stack_bytes: 512 << 10,
        question_bytes: 256 << 10,
        answer_bytes: 256 << 10,
        hostcall_bytes: 512 << 10,
        log_line_bytes: 1 << 10,
        log_lines: 16,
        log_burst: 64,
        log_per_second: 16,
        compiles: 16,
        calls_per_instance: 1_000,
        idle_instances: 4,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
