//! `colony plan`: where copies would move now and why, or have them moved at once.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use colony_wire::admin::{AdminReply, AdminRequest};
use colony_wire::limits::MAX_PLAN_PLUGIN;
use colony_wire::plan::{PlanChange, PlanReport};
use serde_json::{Value, json};

use super::args::Common;
use super::connect::{ask, with_client};
use super::failure::Failure;
use super::output::Output;
use super::plugin::canary;
use super::table::Table;
use super::text::printable;

pub(super) fn run(dry_run: bool, plugin: Option<PathBuf>, common: &Common, output: Output) -> Result<(), Failure> {
    let plugin = plugin.map(|file| component(&file)).transpose()?;
    let request = AdminRequest::Plan { dry_run, plugin: plugin.map(Into::into) };
    let report = with_client(common, async |client| {
        ask(&client, "plan", request, |reply| match reply {
            AdminReply::Plan(report) => Some(report),
            _ => None,
        })
        .await
    })?;
    output.answer(|| to_json(&report), || to_text(&report))
}

/// The bytes of a plugin that fit one request.
fn component(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::Read { path: file.to_owned(), source };
    let mut bytes = Vec::new();
    let limit = MAX_PLAN_PLUGIN as u64 + 1;
    File::open(file).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_PLAN_PLUGIN {
        let file = printable(&file.display().to_string());
        return Err(Failure::Usage(format!(
            "{file} is too large to be sent along: a plugin to try may have {MAX_PLAN_PLUGIN} bytes; build it with \
             --release and strip it"
        )));
    }
    Ok(bytes)
}

fn to_json(report: &PlanReport) -> Value {
    let change = |change: &PlanChange| {
        json!({
            "namespace": change.namespace,
            "bucket": change.bucket,
            "before": change.before,
            "after": change.after,
            "role_change": is_role_change(change),
            "bytes": change.bytes,
        })
    };
    let level = |level: &colony_wire::plan::PlanLevel| (level.label.clone(), json!([level.before, level.after]));
    json!({
        "planned_by": report.planned_by,
        "committed": report.committed,
        "revision": report.revision.0,
        "view": report.view.0,
        "reason": report.reason,
        "inputs": format!("{:016x}", report.inputs),
        "measured": report.measured,
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
        "more": report.more,
        "sharing": report.levels.iter().map(level).collect::<serde_json::Map<_, _>>(),
        "problems": report.problems,
        "canary": report.canary.as_ref().map(canary::to_json),
    })
}

fn to_text(report: &PlanReport) -> String {
    let by = printable(&report.planned_by);
    let canary = report.canary.as_ref().map(|canary| {
        let (plugin, version) = (printable(&canary.plugin), canary.content.short());
        format!("canary    {plugin} {version} places {}, all others stay\n", canary::share(canary))
    });
    let canary = canary.unwrap_or_default();
    if report.changes.is_empty() {
        return format!("{canary}nothing is to be moved ({by}, revision {})\n", report.revision.0);
    }
    let mut table = Table::new(&["COLONY", "FROM", "TO", "PRIMARY", "BYTES"]);
    for change in &report.changes {
        let primary = if is_role_change(change) {
            let name = |names: &[String]| names.first().map_or_else(|| "-".to_owned(), |name| printable(name));
            format!("{} -> {}", name(&change.before), name(&change.after))
        } else {
            "stays".to_owned()
        };
        table.row([
            format!("{}/{}", printable(&change.namespace), change.bucket),
            names(&gone(&change.before, &change.after)),
            names(&gone(&change.after, &change.before)),
            primary,
            change.bytes.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string()),
        ]);
    }
    let mut text = table.text();
    // Writing to a string cannot fail.
    if report.more > 0 {
        let _ = writeln!(text, "and {} more", report.more);
    }
    let done = if report.committed { "committed" } else { "not carried out: a dry run" };
    let _ = writeln!(text, "reason    {}", printable(&report.reason));
    text.push_str(&canary);
    let _ = writeln!(text, "inputs    {:016x}, load of {} hosts known", report.inputs, report.measured);
    for level in &report.levels {
        let _ =
            writeln!(text, "sharing   {}: {} colonies, then {}", printable(&level.label), level.before, level.after);
    }
    for problem in &report.problems {
        let _ = writeln!(text, "problem   {}", printable(problem));
    }
    let _ = writeln!(text, "{} colonies change; {done} ({by}, revision {})", total(report), report.revision.0);
    text
}

fn total(report: &PlanReport) -> u64 {
    report.changes.len() as u64 + u64::from(report.more)
}

fn is_role_change(change: &PlanChange) -> bool {
    change.before.first() != change.after.first()
}

/// Those of `names` that are not in `others`.
fn gone(names: &[String], others: &[String]) -> Vec<String> {
    names.iter().filter(|name| !others.contains(name)).cloned().collect()
}

fn names(names: &[String]) -> String {
    if names.is_empty() {
        return "-".to_owned();
    }
    names.iter().map(|name| printable(name)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use colony_wire::plan::PlanLevel;
    use colony_wire::plugin::{CanaryStatus, ContentId};
    use colony_wire::{Revision, View};

    use super::*;

    fn report() -> PlanReport {
        let hosts = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        PlanReport {
            planned_by: "h1".into(),
            committed: false,
            revision: Revision(17),
            view: View(9),
            reason: "load of h1".into(),
            inputs: 0xab,
            measured: 3,
            changes: vec![
                PlanChange {
                    namespace: "cart".into(),
                    bucket: 3,
                    before: hosts(["h1", "h2"]),
                    after: hosts(["h2", "h1"]),
                    bytes: Some(0),
                },
                PlanChange {
                    namespace: "cart".into(),
                    bucket: 4,
                    before: hosts(["h2", "h1"]),
                    after: hosts(["h2", "h3"]),
                    bytes: None,
                },
            ],
            more: 0,
            levels: vec![PlanLevel { label: "rack".into(), before: 2, after: 1 }],
            problems: Vec::new(),
            canary: None,
        }
    }

    #[test]
    fn a_plan_is_told_in_words() {
        let text = to_text(&report());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["cart/3", "-", "-", "h1", "->", "h2", "0"]);
        assert_eq!(lines[2], ["cart/4", "h1", "h3", "stays", "?"]);
        assert!(text.contains("sharing   rack: 2 colonies, then 1\n"), "{text}");
        assert!(text.ends_with("2 colonies change; not carried out: a dry run (h1, revision 17)\n"), "{text}");
        let nothing = PlanReport { changes: Vec::new(), ..report() };
        assert_eq!(to_text(&nothing), "nothing is to be moved (h1, revision 17)\n");
        let content = ContentId([0xab; 32]);
        let canary = CanaryStatus { plugin: "zones".into(), content, percent: 10, colonies: 7, of: 64 };
        let text = to_text(&PlanReport { canary: Some(canary), ..report() });
        let line = "canary    zones abababababab places 7 of 64 colonies (10%), all others stay\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a_plan_is_told_in_json() {
        let json = to_json(&report());
        assert_eq!(json["inputs"], "00000000000000ab");
        assert_eq!(json["changes"][0]["role_change"], true);
        assert_eq!(json["changes"][1]["bytes"], Value::Null);
        assert_eq!(json["sharing"]["rack"], json!([2, 1]));
    }

    #[test]
    fn a_plugin_that_does_not_fit_is_refused_before_anybody_is_asked() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_len(MAX_PLAN_PLUGIN as u64).expect("it grows");
        assert_eq!(component(file.path()).expect("it fits").len(), MAX_PLAN_PLUGIN);
        file.as_file().set_len(MAX_PLAN_PLUGIN as u64 + 1).expect("it grows");
        let failure = component(file.path()).expect_err("it does not fit");
        assert!(failure.to_string().contains("is too large to be sent along"), "{failure}");
        assert!(component(Path::new("/nowhere/plugin.wasm")).is_err());
    }
}
