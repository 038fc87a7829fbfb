//! What becomes of every hostile plugin, and how long it takes: one failed call, and the host goes on.
//!
//! Modules in the text format are in `plugins/hostile/modules/text`; those made of Rust are in `limits.rs`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use colony_core::merge::{DecidedBy, Resolution, Settlement, Side, settle};
use colony_wasm::{Limits, LoadError, MergePlugin, PluginError, Runtime};
use colony_wire::session::{Changes, Content};

use crate::built::{component, conflict, merge_plugin, side};

/// A call that ran out of time has had 50 ms and two ticks; the rest is for a machine that does much else, and for a
/// start before the call. A bound against hanging, not a measurement.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Made by a compiler, and harmless unless they are asked about this attribute.
const OF_RUST: [&str; 7] = ["huge-answer", "log-spam", "loop-forever", "memory-bomb", "recurse", "refuse", "trap"];
const FUSE: &str = "now";
/// From text, and some too long to be written down. Every one has a test of its own below.
const OF_TEXT: [&str; 39] = [
    "afterwards",
    "bad-realloc",
    "bad-tag",
    "big-data",
    "endless-realloc",
    "far-answer",
    "heavy-frames",
    "huge-length",
    "invalid-utf8",
    "limit-and-one",
    "limit-exactly",
    "log-flood",
    "log-giant",
    "log-reads-out",
    "log-tag",
    "long-name",
    "many-attributes",
    "memory-copy",
    "memory-declared",
    "memory-grow",
    "nan",
    "nested-deep",
    "odd-address",
    "odd-realloc",
    "out-of-range",
    "over-size",
    "same-room",
    "slow",
    "start-loop",
    "start-trap",
    "stranger",
    "table-bomb",
    "table-declared",
    "two-memories",
    "wasi-import",
    "wrong-types",
    "wrong-version",
    "wrong-world",
    // The last: its compiler goes on when it was given up.
    "nested-deeper",
];

/// Prints what becomes of each, and how long its call took: `cargo test --test plugins hostile -- --nocapture`.
#[test]
fn every_hostile_plugin_fails_its_own_call_and_no_more() {
    println!("{:<16} {:>9} {:>9}  what happened", "plugin", "load_ms", "call_ms");
    for (name, attribute) in OF_RUST.map(|name| (name, FUSE)).into_iter().chain(OF_TEXT.map(|name| (name, "apple"))) {
        let began = Instant::now();
        let loaded = runtime(Limits::DEFAULT).load_merge_file(component(name));
        let load = millis(began.elapsed());
        match loaded {
            Err(error) => println!("{name:<16} {load:>9.1} {:>9}  not loaded: {error}", "-"),
            Ok(plugin) => {
                let began = Instant::now();
                let answer = plugin.merge(&conflict("carts", attribute));
                let took = began.elapsed();
                let what = match answer {
                    Ok(Resolution::KeepTheirs) => "answers: keep theirs".to_owned(),
                    Ok(_) => "answers; the referee has the last word".to_owned(),
                    Err(error) => error.to_string(),
                };
                println!("{name:<16} {load:>9.1} {:>9.2}  {what}", millis(took));
                assert!(took < ENDS_WITHIN, "{name} took {took:?}");
            }
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// On a busy machine the clock may end what fuel would, and the compiler takes its time: not what these tests are about.
const PATIENT: Limits =
    Limits { call_time: Duration::from_secs(60), compile_time: Duration::from_secs(60), ..Limits::DEFAULT };

fn runtime(limits: Limits) -> Runtime {
    Runtime::new(limits).expect("this machine runs WebAssembly")
}

fn load(name: &str) -> Result<MergePlugin, LoadError> {
    runtime(PATIENT).load_merge_file(component(name))
}

/// Asks about one attribute twice: the plugin is as hostile the second time, and the host is as well.
fn ask(name: &str) -> Result<Resolution, PluginError> {
    ask_under(name, PATIENT)
}

fn ask_under(name: &str, limits: Limits) -> Result<Resolution, PluginError> {
    let plugin = merge_plugin(name, limits);
    let question = conflict("carts", "apple");
    let first = plugin.ask(&question);
    // Instances that failed are gone, and those that did not are bounded.
    assert_eq!(plugin.instances(), usize::from(first.answer.is_ok()), "{name}");
    assert_eq!(plugin.merge(&question).is_ok(), first.answer.is_ok(), "{name} is as it was");
    first.answer
}

#[track_caller]
fn fails(name: &str, kind: &str) -> PluginError {
    let error = ask(name).expect_err("no answer");
    assert_eq!(error.kind(), kind, "{name}: {error}");
    assert!(error.is_fault(), "{name}: {error}");
    error
}

#[track_caller]
fn keeps_theirs(name: &str) {
    assert_eq!(ask(name), Ok(Resolution::KeepTheirs), "{name}");
}

#[track_caller]
fn refused(name: &str) -> LoadError {
    match load(name) {
        Ok(_) => panic!("{name} was loaded"),
        Err(error) => error,
    }
}

#[test]
fn a_table_bomb_is_told_its_limit() {
    assert_eq!(fails("table-bomb", "memory"), PluginError::OutOfMemory { limit: "10000 table elements".into() });
}

#[test]
fn what_declares_too_much_does_not_start() {
    for name in ["table-declared", "memory-declared"] {
        let error = refused(name);
        assert!(matches!(error, LoadError::Start(PluginError::OutOfMemory { .. })), "{name}: {error}");
    }
}

/// The validator would refuse it as well, in its own words: here the compiler never sees it.
#[test]
fn a_second_memory_is_refused_before_anything_is_compiled() {
    let error = refused("two-memories");
    assert!(matches!(error, LoadError::Memories { found: 2, limit: 1 }), "{error}");
}

#[test]
fn memory_grown_page_by_page_ends_at_the_limit() {
    assert_eq!(fails("memory-grow", "memory"), PluginError::OutOfMemory { limit: "16777216 bytes of memory".into() });
}

#[test]
fn work_in_bulk_costs_fuel_by_the_byte() {
    fails("memory-copy", "fuel");
}

#[test]
fn a_slow_plugin_within_its_fuel_answers() {
    let plugin = merge_plugin("slow", PATIENT);
    let asked = plugin.ask(&conflict("carts", "apple"));
    assert_eq!(asked.answer, Ok(Resolution::KeepTheirs));
    assert!((5_000_000..10_000_000).contains(&asked.fuel), "fuel {}", asked.fuel);
    let again = plugin.ask(&conflict("carts", "apple"));
    assert!(again.fuel <= asked.fuel, "the same call takes the same fuel");
}

/// G4: bits that are the machine's choice are made the same everywhere.
#[test]
fn values_that_are_no_numbers_have_the_same_bits_everywhere() {
    let canonical: Vec<u8> = [0x7fc0_0000_u32; 6].into_iter().flat_map(u32::to_le_bytes).collect();
    assert_eq!(ask("nan"), Ok(Resolution::Blob(canonical.into())));
}

#[test]
fn names_that_are_no_text_are_no_answer() {
    fails("invalid-utf8", "malformed");
}

/// What has the form of an answer the referee looks through.
#[test]
fn an_answer_about_what_was_not_asked_is_thrown_out_by_the_referee() {
    for name in ["stranger", "long-name"] {
        let answer = ask(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let question = conflict("carts", "apple");
        let settled = settle(&question, Ok(answer));
        let complaint = settled.complaint.expect("a complaint");
        assert!(complaint.ends_with("is not in conflict") || complaint.len() == 200, "{complaint}");
        assert_eq!(settled.by, DecidedBy::BuiltIn);
        let later = Changes::Attributes(vec![("apple".into(), Some(Bytes::from("2")))]);
        assert_eq!(settled.changes, Settlement::Change(later));
    }
}

#[test]
fn more_attributes_than_may_be_copied_are_no_answer() {
    fails("many-attributes", "size");
}

#[test]
fn addresses_and_lengths_outside_the_memory_are_no_answer() {
    for name in ["out-of-range", "huge-length", "far-answer", "odd-address", "bad-realloc", "odd-realloc"] {
        let error = ask(name).expect_err("no answer");
        assert!(matches!(error.kind(), "malformed" | "size"), "{name}: {error}");
    }
}

#[test]
fn a_kind_of_answer_that_there_is_none_of_is_no_answer() {
    fails("bad-tag", "malformed");
}

#[test]
fn an_allocator_that_never_ends_runs_out_of_fuel() {
    fails("endless-realloc", "fuel");
}

/// Its own question is garbled; the host's memory is not.
#[test]
fn an_allocator_that_gives_the_same_room_twice_harms_itself() {
    keeps_theirs("same-room");
}

#[test]
fn what_fails_before_it_is_asked_does_not_start() {
    let error = refused("start-trap");
    assert!(matches!(error, LoadError::Start(PluginError::Trap { .. })), "{error}");
    let error = refused("start-loop");
    assert!(matches!(error, LoadError::Start(PluginError::OutOfFuel { .. })), "{error}");
}

#[test]
fn an_answer_does_not_count_before_the_plugin_has_cleaned_up() {
    fails("afterwards", "fuel");
}

#[test]
fn an_answer_may_be_as_large_as_a_session_and_no_larger() {
    let limit = Limits::DEFAULT.answer_bytes;
    assert!(matches!(ask("limit-exactly"), Ok(Resolution::Blob(bytes)) if bytes.len() == limit));
    assert_eq!(fails("limit-and-one", "size"), PluginError::AnswerTooLarge { limit });
}

#[test]
fn heavy_frames_end_where_the_stack_does() {
    let error = fails("heavy-frames", "trap");
    assert!(error.to_string().contains("stack"), "{error}");
}

#[test]
fn a_log_line_larger_than_may_be_copied_ends_the_call() {
    fails("log-giant", "size");
}

/// Each line costs the host a copy and the plugin nothing: the clock ends it, and sixteen lines are written.
#[test]
fn a_flood_of_log_lines_is_ended_by_the_clock() {
    let error = ask_under("log-flood", Limits::DEFAULT).expect_err("no answer");
    assert_eq!(error, PluginError::TooSlow { limit: Limits::DEFAULT.call_time });
}

#[test]
fn a_log_line_is_checked_as_an_answer_is() {
    fails("log-tag", "malformed");
    fails("log-reads-out", "malformed");
}

#[test]
fn what_is_of_another_world_or_version_is_refused_by_name() {
    let error = refused("wrong-world");
    assert!(matches!(error, LoadError::MissingExport { kind: "merge", .. }), "{error}");
    let error = refused("wrong-version");
    assert!(error.to_string().contains("only colony:plugin/merger@0.2.0"), "{error}");
    let error = refused("wrong-types");
    assert!(matches!(error, LoadError::WrongTypes { .. }), "{error}");
    let error = refused("wasi-import");
    assert!(matches!(&error, LoadError::RefusedImport { name } if name == "wasi:clocks/wall-clock@0.2.0"), "{error}");
}

/// A component of 3 MiB that is fine, and one of 5 MiB that is not looked at.
#[test]
fn a_component_is_bounded_in_size_before_it_is_compiled() {
    keeps_theirs("big-data");
    let error = refused("over-size");
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
}

/// What is nested deeper than any program is refused or compiled, in bounded time: the compiler's stack holds.
#[test]
fn deep_nesting_does_not_exhaust_the_compiler() {
    for name in ["nested-deep", "nested-deeper"] {
        let began = Instant::now();
        let loaded = runtime(Limits::DEFAULT).load_merge_file(component(name));
        let took = began.elapsed();
        assert!(took < Limits::DEFAULT.compile_time + ENDS_WITHIN, "{name}: {:?} after {took:?}", loaded.err());
    }
}

/// G3: a call that is ended anywhere leaves nothing behind that the next one meets.
#[test]
fn a_call_may_end_at_any_amount_of_fuel() {
    let calls = 200;
    let question = conflict("carts", "apple");
    for fuel in (0..calls).map(|call| 1 + call * 97 % 40_000) {
        match runtime(Limits { fuel, ..PATIENT }).load_merge_file(component("same-room")) {
            Ok(plugin) => {
                let answer = plugin.merge(&question);
                assert!(matches!(answer, Ok(_) | Err(PluginError::OutOfFuel { .. })), "{fuel}: {answer:?}");
            }
            Err(LoadError::Start(PluginError::OutOfFuel { .. })) => {}
            Err(other) => panic!("{fuel}: {other}"),
        }
    }
}

/// G6: what one namespace's questions left in a plugin's memory, another's never reads.
#[test]
fn no_instance_answers_two_namespaces() {
    let plugin = merge_plugin("trap", Limits::DEFAULT);
    let secret = |namespace: &str| {
        let mut question = conflict(namespace, "calm");
        question.ours = Side { content: Content::Attributes([("calm".into(), "1".into())].into()), ..side(&[]) };
        plugin.merge(&question)
    };
    let first = secret("one");
    assert_eq!(first, secret("two"), "each is asked for the first time");
    assert_ne!(first, secret("one"), "its own instance was kept");
    assert_eq!(plugin.instances(), 2);
    plugin.forget_instances();
    assert_eq!(plugin.instances(), 0);
    assert_eq!(first, secret("one"), "a fresh one");
}
