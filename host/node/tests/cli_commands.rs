//! The program `colony` as it is typed: settings, exit codes, and what stands on which stream.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program in a folder of its own, with no variable of the tester's.
fn colony(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_colony"));
    command.env_clear().current_dir(folder);
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn run(folder: &Path, words: &[&str]) -> Output {
    colony(folder).args(words).output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("answers are UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("errors are UTF-8")
}

/// It ended with `code`, and said one line that holds `words`, on the error stream only.
#[track_caller]
fn assert_refused(output: &Output, code: i32, words: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.starts_with("colony: ") && said.contains(words), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(stdout(output), "");
}

/// The settings that a host would run with.
#[track_caller]
fn settings(command: &mut Command) -> toml::Table {
    let output = command.arg("--print-config").output().expect("the program starts");
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).parse().expect("the settings are TOML")
}

mod usage {
    use super::*;

    #[test]
    fn words_that_are_not_understood_end_with_2() {
        let folder = folder();
        let wrong: &[&[&str]] = &[
            &[],
            &["fly"],
            &["host", "--name", "H1"],
            &["host", "--listen", "here"],
            &["host", "--shards", "65"],
            &["host", "--label", "zone"],
            &["host", "--merge-plugin", "cart"],
            &["status", "--connect", "nowhere"],
            &["cert", "client", "certs", "--name", "c", "--rights", "fly"],
            &["namespace", "create", "cart", "--ttl", "30"],
            &["namespace", "create", "cart", "--merge", "builtin:magic"],
            &["session", "get", "--namespace", "cart"],
            &["session", "put", "--namespace", "cart", "alice"],
            &["session", "put", "--namespace", "cart", "alice", "--attr", "a=1", "--blob-file", "-"],
            &["session", "patch", "--namespace", "cart", "alice"],
            &["session", "delete", "--namespace", "cart", "alice", "--if-version", "7"],
            &["plugin", "install", "Cart!", "cart.wasm"],
            &["plugin", "install", "cart"],
            &["plugin", "install", "cart", "cart.wasm", "--kind", "magic"],
            &["plugin", "use"],
            &["plugin", "rollback"],
            &["demo", "--hosts", "2"],
        ];
        for words in wrong {
            let output = run(folder.path(), words);
            assert_eq!(output.status.code(), Some(2), "{words:?}: {}", stderr(&output));
            assert_eq!(stdout(&output), "", "{words:?}");
        }
    }

    #[test]
    fn a_policy_out_of_its_bounds_ends_with_2() {
        let folder = folder();
        let output = run(folder.path(), &["namespace", "create", "cart", "--buckets", "48"]);
        assert_refused(&output, 2, "power of two");
        let output = run(folder.path(), &["namespace", "create", "cart", "--copies", "9"]);
        assert_refused(&output, 2, "number of copies");
    }

    #[test]
    fn help_is_an_answer() {
        let output = run(folder().path(), &["--help"]);
        assert_eq!(output.status.code(), Some(0));
        for command in ["cert", "host", "status", "hosts", "colonies", "namespace", "session", "plugin", "demo"] {
            assert!(stdout(&output).contains(&format!("\n  {command} ")), "{command}");
        }
    }

    #[test]
    fn a_wrong_log_filter_ends_with_2() {
        let folder = folder();
        let output = colony(folder.path()).args(["status"]).env("COLONY_LOG", "a=b=c").output().expect("it starts");
        assert_refused(&output, 2, "COLONY_LOG");
    }
}

mod configuration {
    use super::*;

    #[test]
    fn flags_go_before_variables_and_those_before_the_file() {
        let folder = folder();
        let file = "name = \"file\"\nlisten = \"127.0.0.1:7501\"\nshards = 1\nseeds = [\"file:1\"]\n\
                    [labels]\nzone = \"file\"\nrack = \"file\"\nmachine = \"file\"\n";
        fs::write(folder.path().join("host.toml"), file).expect("the file can be written");
        let settings = settings(
            colony(folder.path())
                .args(["host", "--config", "host.toml", "--shards", "3", "--label", "machine=flag"])
                .env("COLONY_SHARDS", "2")
                .env("COLONY_LISTEN", "127.0.0.1:7502")
                .env("COLONY_LABELS", "rack=variable,machine=variable"),
        );
        let text = |key: &str| settings[key].as_str().map(str::to_owned);
        assert_eq!(settings["shards"].as_integer(), Some(3), "the flag");
        assert_eq!(text("listen").as_deref(), Some("127.0.0.1:7502"), "the variable");
        assert_eq!(text("name").as_deref(), Some("file"), "the file");
        assert_eq!(settings["bootstrap"].as_bool(), Some(false), "the default");
        let labels = settings["labels"].as_table().expect("labels are a table");
        assert_eq!(labels["zone"].as_str(), Some("file"));
        assert_eq!(labels["rack"].as_str(), Some("variable"));
        assert_eq!(labels["machine"].as_str(), Some("flag"));
    }

    #[test]
    fn the_certificates_of_a_flag_go_before_the_files_of_the_file() {
        let folder = folder();
        let file = "name = \"h1\"\nbootstrap = true\n[tls]\nca = \"a\"\ncert = \"b\"\nkey = \"c\"\n";
        fs::write(folder.path().join("host.toml"), file).expect("the file can be written");
        let key = |command: &mut Command| settings(command)["tls"]["key"].as_str().map(str::to_owned);
        let host = ["host", "--config", "host.toml"];
        let own = key(colony(folder.path()).args(host)).expect("a path");
        assert!(own.ends_with("/c"), "{own}");
        let variable = key(colony(folder.path()).args(host).env("COLONY_CERTS", "/v"));
        assert_eq!(variable.as_deref(), Some("/v/h1.key"));
        let flag = key(colony(folder.path()).args(host).args(["--certs", "/f"]).env("COLONY_CERTS", "/v"));
        assert_eq!(flag.as_deref(), Some("/f/h1.key"));
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let folder = folder();
        let words = ["host", "--name", "h1", "--bootstrap", "--label", "zone=a", "--merge-plugin", "cart=cart.wasm"];
        let first = settings(colony(folder.path()).args(words));
        fs::write(folder.path().join("host.toml"), first.to_string()).expect("the file can be written");
        let second = settings(colony(folder.path()).args(["host", "--config", "host.toml"]));
        assert_eq!(first, second);
    }

    #[test]
    fn the_settings_are_json_if_asked_for() {
        let output = run(folder().path(), &["host", "--name", "h1", "--bootstrap", "--print-config", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
        assert_eq!(json["name"], "h1");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_and_line() {
        let folder = folder();
        fs::write(folder.path().join("host.toml"), "name = \"h1\"\nlisen = \"127.0.0.1:7400\"\n").expect("written");
        let output = run(folder.path(), &["host", "--config", "host.toml"]);
        assert_refused(&output, 2, "host.toml:2: unknown key \"lisen\", did you mean \"listen\"?");
    }

    #[test]
    fn a_host_without_a_name_or_a_cluster_does_not_start() {
        let folder = folder();
        assert_refused(&run(folder.path(), &["host", "--bootstrap"]), 2, "--name");
        assert_refused(&run(folder.path(), &["host", "--name", "h1"]), 2, "--seeds");
    }

    #[test]
    fn a_host_without_its_certificate_does_not_start() {
        let folder = folder();
        let output = run(folder.path(), &["host", "--name", "h1", "--bootstrap"]);
        assert_refused(&output, 1, "ca.pem");
    }
}

mod certificates {
    use super::*;

    #[test]
    fn an_authority_issues_hosts_and_clients_and_overwrites_nothing() {
        let folder = folder();
        let issue: [&[&str]; 3] = [
            &["cert", "ca", "certs"],
            &["cert", "host", "certs", "--name", "h1", "--address", "127.0.0.1", "h1.example"],
            &["cert", "client", "certs", "--name", "shop", "--rights", "read,write", "--json"],
        ];
        for words in issue {
            let output = run(folder.path(), words);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        for name in ["ca.pem", "ca.key", "h1.pem", "h1.key", "shop.pem", "shop.key"] {
            assert!(folder.path().join("certs").join(name).is_file(), "{name}");
        }
        for words in issue {
            assert_refused(&run(folder.path(), words), 1, "exists already");
        }
    }

    #[test]
    fn with_json_the_answer_names_the_files() {
        let folder = folder();
        let output = run(folder.path(), &["cert", "ca", "certs", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
        assert_eq!(json["cert"], "certs/ca.pem");
        assert_eq!(json["key"], "certs/ca.key");
    }

    #[test]
    fn without_an_authority_nothing_is_issued() {
        let output = run(folder().path(), &["cert", "host", "certs", "--name", "h1"]);
        assert_refused(&output, 1, "make the authority first with `colony cert ca DIR`");
    }
}

mod without_a_cluster {
    use super::*;

    #[test]
    fn a_command_without_a_certificate_says_how_to_get_one() {
        assert_refused(&run(folder().path(), &["status"]), 1, "colony cert client");
    }

    #[test]
    fn a_command_that_reaches_nobody_says_where_it_looked() {
        let folder = folder();
        assert!(run(folder.path(), &["cert", "ca", "certs"]).status.success());
        assert!(run(folder.path(), &["cert", "client", "certs", "--name", "c"]).status.success());
        // Held and not spoken to: nobody else can answer there.
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = taken.local_addr().expect("it has an address").to_string();
        let output = run(folder.path(), &["status", "--connect", &address]);
        assert_refused(&output, 1, &format!("cannot reach the cluster through {address}"));
        assert!(stderr(&output).contains("--connect"));
    }

    #[test]
    fn a_demo_without_plugins_says_how_to_build_them() {
        let folder = folder();
        let output = run(folder.path(), &["demo", "--plugins", "none"]);
        assert_refused(&output, 1, "cargo xtask plugins");
        let output = run(folder.path(), &["demo", "--plugins", "none", "--json"]);
        let last: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
        assert_eq!((&last["event"], &last["ok"]), (&"failed".into(), &false.into()));
        assert_eq!(output.status.code(), Some(1));
    }
}

/// Merges that are built in are named when one is misspelled, and an attribute has one.
#[test]
fn a_wrong_built_in_merge_is_wrong_usage() {
    let folder = folder();
    for (merge, said) in [
        ("builtin:sum", "no merge named \"sum\" is built in; there are last-write, max, min, counter"),
        ("builtin:n=counter,n=max", "\"n\" has two rules"),
        ("builtin:n=counter,max", "\"max\" is not ATTRIBUTE=RULE, as in count=counter"),
    ] {
        let output = run(folder.path(), &["namespace", "create", "cart", "--merge", merge]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

/// A plugin is begun in a folder that holds nothing, under a name that a crate may have.
#[test]
fn a_plugin_is_begun_in_an_empty_folder_only() {
    let folder = folder();
    let begun = run(folder.path(), &["plugin", "new", "merge", "mine", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&stdout(&begun)).expect("one document");
    assert_eq!((&answer["name"], &answer["world"]), (&"mine".into(), &"merge".into()));
    let again = run(folder.path(), &["plugin", "new", "placement", "mine"]);
    assert_refused(&again, 1, "mine is there already and not an empty folder");
    assert_refused(&run(folder.path(), &["plugin", "new", "merge", "Mine"]), 1, "\"Mine\" cannot be the name");
    let elsewhere = ["plugin", "new", "merge", "other", "--sdk", "mine"];
    assert_refused(&run(folder.path(), &elsewhere), 1, "there is no guest SDK at mine");
    assert!(!folder.path().join("other").exists(), "what is refused leaves nothing");
}

/// Plugins are checked and measured without a cluster.
mod plugin {
    use serde_json::Value;

    use super::*;

    /// The smallest merge plugin: ours stays. It is symmetric to nobody.
    const EMPTY: &[u8] = &include!("../src/cli/plugin/empty.in");
    /// A component that asks for a clock: `(component (import "wall-now" (func)))`.
    const CLOCK: &[u8] = b"\0asm\x0d\0\x01\0\x07\x05\x01\x40\0\x01\0\x0a\x0d\x01\0\x08wall-now\x01\0";
    /// A component of no world: `(component)`.
    const NOTHING: &[u8] = b"\0asm\x0d\0\x01\0";

    /// A folder with this component in it, as `it.wasm`.
    fn with(bytes: &[u8]) -> TempDir {
        let folder = folder();
        fs::write(folder.path().join("it.wasm"), bytes).expect("the folder can be written to");
        folder
    }

    #[test]
    fn a_plugin_that_breaks_a_law_is_refused_with_a_line_for_each_law_and_a_counter_example() {
        let folder = with(EMPTY);
        let output = run(folder.path(), &["plugin", "check", "it.wasm", "--cases", "60"]);
        let text = stdout(&output);
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()), "{text}");
        let lines: Vec<_> =
            text.lines().take(8).map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
        assert_eq!(lines[0], ["loads", "holds"], "{text}");
        assert!(lines.contains(&vec!["symmetric", "BROKEN"]) && lines.contains(&vec!["total", "holds"]), "{text}");
        assert!(text.contains("asked with the sides exchanged: "), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.starts_with("refused: it@")), "{text}");
    }

    #[test]
    fn what_a_check_found_is_one_document_and_can_be_given_back_as_a_sample() {
        let folder = with(EMPTY);
        let output = run(folder.path(), &["plugin", "check", "it.wasm", "--cases", "60", "--json"]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
        let found: Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
        let law = |found: &Value, name: &str| {
            let mut laws = found["laws"].as_array().expect("the laws").iter();
            laws.find(|law| law["law"] == name).cloned().expect("every law is told")
        };
        assert_eq!((&found["ok"], &found["world"]), (&Value::from(false), &Value::from("merge")));
        let sample = law(&found, "symmetric")["counterexample"][0]["question"].clone();
        fs::write(folder.path().join("samples.json"), sample.to_string()).expect("the folder can be written to");
        let words = ["plugin", "check", "it.wasm", "--cases", "1", "--samples", "samples.json", "--json"];
        let again: Value = serde_json::from_str(&stdout(&run(folder.path(), &words))).expect("one JSON document");
        assert_eq!(law(&again, "symmetric")["origin"], "sample 1", "{again}");
    }

    #[test]
    fn what_no_host_would_load_is_refused_by_name() {
        for (bytes, why) in [(CLOCK, "imports wall-now"), (NOTHING, "exports neither")] {
            let folder = with(bytes);
            let output = run(folder.path(), &["plugin", "check", "it.wasm"]);
            let said = stdout(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.starts_with("loads          BROKEN      ") && said.contains(why), "{said}");
            assert_refused(&run(folder.path(), &["plugin", "bench", "it.wasm"]), 1, why);
        }
        let folder = folder();
        fs::write(folder.path().join("it.wasm"), vec![0; (4 << 20) + 1]).expect("the folder can be written to");
        let output = run(folder.path(), &["plugin", "check", "it.wasm"]);
        assert!(stdout(&output).contains("larger than 4194304 bytes"), "{}", stdout(&output));
    }

    #[test]
    fn a_file_that_is_not_there_and_wrong_words_are_told_on_the_error_stream() {
        let folder = with(EMPTY);
        assert_refused(&run(folder.path(), &["plugin", "check", "missing.wasm"]), 1, "cannot read missing.wasm");
        let output = run(folder.path(), &["plugin", "check", "it.wasm", "--cases", "0"]);
        assert_eq!(output.status.code(), Some(2));
        fs::write(folder.path().join("samples.json"), "[{}]").expect("the folder can be written to");
        let words = ["plugin", "check", "it.wasm", "--samples", "samples.json"];
        assert_refused(&run(folder.path(), &words), 2, "sample 1: ");
    }

    #[test]
    fn a_bench_has_a_row_for_each_size_with_what_asking_costs() {
        let folder = with(EMPTY);
        let output = run(folder.path(), &["plugin", "bench", "it.wasm", "--json"]);
        let found: Value = serde_json::from_str(&stdout(&output)).expect("one JSON document");
        let rows = found["rows"].as_array().expect("the rows");
        assert_eq!(rows.iter().map(|row| row["bytes"].as_u64()).collect::<Vec<_>>(), [64, 1024, 16384].map(Some));
        for row in rows {
            for column in ["plugin", "empty", "native"] {
                assert!(row[column]["us_per_call"].as_f64().is_some_and(|micros| micros > 0.0), "{found}");
            }
        }
    }
}
