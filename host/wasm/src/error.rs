//! What can be wrong with a plugin, and with one call of it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why these bytes are no plugin. Nothing was installed.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than [`Limits::component_bytes`](crate::Limits::component_bytes).
    #[error("larger than {limit} bytes: build with `--release` and `strip = true`")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The bytes do not begin like WebAssembly.
    #[error("not WebAssembly")]
    NotWebAssembly,
    /// A core module: linked without the linker that wraps it into a component.
    #[error("a core module, not a component: set `linker = \"wasm-component-ld\"` in `.cargo/config.toml`")]
    CoreModule,
    /// Cut short, damaged, or using what plugins may not use, such as threads.
    #[error("not a valid component: {reason}")]
    Invalid {
        /// What the validator says.
        reason: String,
    },
    /// More memories than the one that a plugin needs.
    #[error("declares {found} memories, and a plugin may have {limit}")]
    Memories {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// It asks for more than the log.
    #[error("imports {name}, and a plugin may import nothing but colony:plugin/log@0.1.0")]
    RefusedImport {
        /// The first import that is refused.
        name: String,
    },
    /// Of another world, or of another version of this one.
    #[error("no {kind} plugin: does not export {wanted}, only {found}")]
    MissingExport {
        /// What it was loaded as.
        kind: &'static str,
        /// The export that makes it one.
        wanted: &'static str,
        /// What it exports.
        found: String,
    },
    /// Of no world that hosts know, or of another version of one.
    #[error("no plugin: exports neither colony:plugin/merger@0.1.0 nor colony:plugin/ranker@0.1.0, only {found}")]
    NoWorld {
        /// What it exports.
        found: String,
    },
    /// The right names with other types behind them.
    #[error("its types are not those of the contract: {reason}")]
    WrongTypes {
        /// What differs.
        reason: String,
    },
    /// The compiler gave up.
    #[error("cannot be compiled: {reason}")]
    Compile {
        /// What it says.
        reason: String,
    },
    /// Longer than [`Limits::compile_time`](crate::Limits::compile_time), time in the queue included.
    #[error("not compiled within {limit:?}")]
    CompileTime {
        /// The limit.
        limit: Duration,
    },
    /// [`Limits::compiles`](crate::Limits::compiles) others wait for the compiler, or one that was given up is still in
    /// it.
    #[error("the compiler is busy with {others} other components: try again later")]
    CompilerBusy {
        /// How many.
        others: usize,
    },
    /// An instance of it does not even start.
    #[error("does not start: {0}")]
    Start(#[source] PluginError),
}

/// Why one call got no answer. The next one is not affected: after every variant but
/// [`Refused`](Self::Refused), [`Quarantine`](Self::Quarantine) and
/// [`QuestionTooLarge`](Self::QuestionTooLarge) it gets a fresh instance.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PluginError {
    /// It did more work than a call may.
    #[error("did not answer within {limit} units of fuel")]
    OutOfFuel {
        /// The limit.
        limit: u64,
    },
    /// It took longer than a call may.
    #[error("did not answer within {limit:?}")]
    TooSlow {
        /// The limit.
        limit: Duration,
    },
    /// It asked for more memory, tables or instances than it may have.
    #[error("asked for more than {limit}")]
    OutOfMemory {
        /// What it may have.
        limit: String,
    },
    /// It panicked or broke a rule of WebAssembly.
    #[error("trapped: {reason}")]
    Trap {
        /// Which rule.
        reason: String,
    },
    /// It says that it cannot answer.
    #[error("refused: {reason}")]
    Refused {
        /// The plugin's words, shortened.
        reason: String,
    },
    /// It says that neither side can be trusted.
    #[error("neither side can be trusted: {reason}")]
    Quarantine {
        /// The plugin's words, shortened.
        reason: String,
    },
    /// The host was asked to hand over more than a call may get; the plugin was not called.
    #[error("question of {bytes} bytes, more than {limit}")]
    QuestionTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It gave more than a call may give, as an answer or as one log line.
    #[error("gave more than {limit} bytes")]
    AnswerTooLarge {
        /// The limit.
        limit: usize,
    },
    /// It gave something that is no answer to the question.
    #[error("gave no usable answer: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

impl PluginError {
    /// What kind of failure it is, in one word for metrics and logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfFuel { .. } => "fuel",
            Self::TooSlow { .. } => "time",
            Self::OutOfMemory { .. } => "memory",
            Self::Trap { .. } => "trap",
            Self::Refused { .. } => "refused",
            Self::Quarantine { .. } => "quarantine",
            Self::QuestionTooLarge { .. } => "question",
            Self::AnswerTooLarge { .. } => "size",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether the plugin did what no plugin may: it is broken or hostile, and asking it again costs its host for
    /// nothing. One that says it cannot answer works.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Quarantine { .. } | Self::QuestionTooLarge { .. })
    }
}
