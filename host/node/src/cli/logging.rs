//! What is logged, on the error stream: one line an event. A host's lines begin with its name, so that the logs of
//! several can be read as one.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

use super::args::LogFormat;
use super::failure::Failure;

/// Names what is logged; the form is that of tracing-subscriber's `EnvFilter`.
const VARIABLE: &str = "COLONY_LOG";
/// The same as a flag of a host.
const FLAG: &str = "--log";
/// A host tells its story; of the libraries below only what is wrong.
const HOST: &str = "info,openraft=warn,quinn=warn,quinn_proto=warn,wasmtime=warn,cranelift=warn";
/// Other commands answer on the standard output.
const COMMAND: &str = "warn";

/// For a command that answers and ends.
pub(super) fn start_command() -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(filter(None, COMMAND)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}

/// For a host of this name. `flag` is what the flag says.
pub(super) fn start_host(name: &str, format: LogFormat, flag: Option<String>) -> Result<(), Failure> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(flag, HOST)?)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && format == LogFormat::Text);
    let host = name.to_owned();
    match format {
        LogFormat::Text => lines.event_format(Text { host, rest: Format::default() }).init(),
        LogFormat::Json => lines.event_format(Json { host }).init(),
    }
    Ok(())
}

fn filter(flag: Option<String>, default: &str) -> Result<EnvFilter, Failure> {
    let variable = env::var(VARIABLE).ok().filter(|it| !it.is_empty());
    let given = flag.map(|it| (FLAG, it)).or(variable.map(|it| (VARIABLE, it)));
    let Some((source, directives)) = given else { return Ok(EnvFilter::new(default)) };
    EnvFilter::try_new(directives)
        .map_err(|error| Failure::Usage(format!("{source}: {error}; it is a list like info,quinn=debug")))
}

/// For people: the host's name, and the usual line.
struct Text {
    host: String,
    rest: Format,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "{} ", self.host)?;
        self.rest.format_event(context, writer, event)
    }
}

/// For programs: an object with `time`, `level`, `target`, `host`, `message`, and whatever the event tells beside.
struct Json {
    host: String,
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        writeln!(writer, "{}", object(fields, time, metadata.level().as_str(), metadata.target(), &self.host))
    }
}

/// The object of one event. A field that is named like one of ours keeps its value under `event.NAME`.
fn object(fields: Fields, time: String, level: &str, target: &str, host: &str) -> Value {
    let ours = [("time", time), ("level", level.into()), ("target", target.into()), ("host", host.into())];
    let mut all = Map::new();
    for (name, value) in fields.0 {
        let is_ours = ours.iter().any(|(our, _)| *our == name);
        all.insert(if is_ours { format!("event.{name}") } else { name }, value);
    }
    all.extend(ours.map(|(name, value)| (name.to_owned(), Value::String(value))));
    Value::Object(all)
}

/// What an event tells: numbers as numbers, all else as text.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_named_like_one_of_ours_is_not_lost() {
        let mut fields = Fields::default();
        fields.0.insert("host".into(), "h2".into());
        fields.0.insert("reign".into(), 7.into());
        let line = object(fields, "now".into(), "WARN", "colony", "h1").to_string();
        let expected = serde_json::json!({
            "time": "now", "level": "WARN", "target": "colony", "host": "h1", "event.host": "h2", "reign": 7
        });
        assert_eq!(line, expected.to_string());
    }
}
