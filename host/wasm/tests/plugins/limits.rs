//! Whatever a plugin does, it fails one call and the host goes on.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use colony_core::merge::Side;
use colony_wasm::{Limits, PluginError};
use colony_wire::session::Content;

use crate::built::{conflict, merge_plugin, value};

/// The attribute that sets a hostile plugin off; with every other one it answers how often its instance was
/// asked.
const FUSE: &str = "now";

/// The plugin behaves, is set off, behaves again on a fresh instance, and is as hostile as before.
fn failure_of(plugin: &str, limits: Limits) -> PluginError {
    let plugin = merge_plugin(plugin, limits);
    let ask = |attribute| value(plugin.merge(&conflict("carts", attribute)));
    assert_eq!(ask("calm"), Ok("1".into()));
    let failure = ask(FUSE).expect_err("a breach of the limits");
    assert_eq!(ask("calm"), Ok("1".into()), "a failed instance must not answer again");
    assert_eq!(ask("calm"), Ok("2".into()), "an instance that did nothing wrong must be kept");
    assert_eq!(ask(FUSE).as_ref(), Err(&failure));
    failure
}

#[test]
fn a_loop_runs_out_of_fuel() {
    // On a busy machine the clock might be first.
    let limits = Limits { call_time: Duration::from_secs(60), ..Limits::DEFAULT };
    let failure = failure_of("loop-forever", limits);
    assert_eq!(failure, PluginError::OutOfFuel { limit: 10_000_000 });
}

#[test]
fn a_loop_with_fuel_without_end_runs_out_of_time() {
    let limit = Duration::from_millis(20);
    let limits = Limits { fuel: u64::MAX, call_time: limit, ..Limits::DEFAULT };
    assert_eq!(failure_of("loop-forever", limits), PluginError::TooSlow { limit });
}

#[test]
fn a_memory_bomb_is_told_its_limit() {
    let failure = failure_of("memory-bomb", Limits::DEFAULT);
    assert_eq!(failure, PluginError::OutOfMemory { limit: "16777216 bytes of memory".into() });
}

#[test]
fn recursion_without_end_traps() {
    let failure = failure_of("recurse", Limits::DEFAULT);
    assert!(matches!(failure, PluginError::Trap { .. }), "{failure}");
}

#[test]
fn a_panic_is_a_trap() {
    let reason = "wasm `unreachable` instruction executed".into();
    assert_eq!(failure_of("trap", Limits::DEFAULT), PluginError::Trap { reason });
}

#[test]
fn an_answer_larger_than_a_session_is_refused() {
    let plugin = merge_plugin("huge-answer", Limits::DEFAULT);
    let limit = Limits::DEFAULT.answer_bytes;
    let answer = plugin.merge(&conflict("carts", FUSE));
    assert_eq!(answer, Err(PluginError::AnswerTooLarge { limit }));
    assert_eq!(value(plugin.merge(&conflict("carts", "calm"))), Ok("1".into()));
}

#[test]
fn an_answer_is_not_even_copied_beyond_the_limit_of_a_copy() {
    let limits = Limits { hostcall_bytes: 64 << 10, ..Limits::DEFAULT };
    let failure = failure_of("huge-answer", limits);
    assert_eq!(failure, PluginError::AnswerTooLarge { limit: 64 << 10 });
}

#[test]
fn a_plugin_may_say_that_it_cannot_answer() {
    let plugin = merge_plugin("refuse", Limits::DEFAULT);
    let answer = plugin.merge(&conflict("carts", "any"));
    assert_eq!(answer, Err(PluginError::Refused { reason: "no opinion".into() }));
}

#[test]
fn a_question_beyond_the_limit_is_not_asked() {
    let plugin = merge_plugin("loop-forever", Limits::DEFAULT);
    let mut large = conflict("carts", FUSE);
    let blob = |len| Side { content: Content::Blob(vec![0; len].into()), ..large.ours.clone() };
    (large.ours, large.theirs) = (blob(200 << 10), blob(100 << 10));
    let failure = plugin.merge(&large).expect_err("larger than 256 KiB");
    assert!(matches!(failure, PluginError::QuestionTooLarge { .. }), "{failure}");
}

#[test]
fn an_instance_serves_one_namespace_and_a_bounded_number_of_calls() {
    let limits = Limits { calls_per_instance: 3, ..Limits::DEFAULT };
    let plugin = merge_plugin("trap", limits);
    let ask = |namespace| value(plugin.merge(&conflict(namespace, "calm"))).expect("an answer");
    assert_eq!(["a", "a", "b", "a", "a", "b"].map(ask), ["1", "2", "1", "3", "1", "2"]);
}

#[test]
fn a_plugin_that_traps_does_not_disturb_calls_beside_it() {
    let plugin = merge_plugin("trap", Limits::DEFAULT);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    plugin.merge(&conflict("hostile", FUSE)).expect_err("a trap");
                }
            });
            scope.spawn(|| {
                for _ in 0..200 {
                    plugin.merge(&conflict("calm", "calm")).expect("an answer");
                }
            });
        }
    });
}

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_spam_is_cut_to_sixteen_short_lines_and_a_count() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let plugin = merge_plugin("log-spam", Limits::DEFAULT);
        for calls in ["1", "2"] {
            assert_eq!(value(plugin.merge(&conflict("carts", FUSE))), Ok(calls.into()));
        }
    });
    let log = String::from_utf8(log.0.lock().expect("no writer panics").clone()).expect("text");
    let spam: Vec<&str> = log.lines().filter(|line| line.contains("spamspam")).collect();
    assert_eq!(spam.len(), 32, "16 lines for each of two calls");
    for line in spam {
        assert!(line.len() < 1024 + 128, "1 KiB and the log's own words, not {}", line.len());
        assert!(line.contains("WARN") && line.contains("plugin=log_spam@"), "{line}");
    }
    let counts = log.lines().filter(|line| line.contains("lines=984")).count();
    assert_eq!(counts, 2, "each call says how much it dropped");
}
