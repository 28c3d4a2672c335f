//! A drill's numbers and circumstances as flat `key=value` pairs, units in the keys. The keys are told in `docs/report.md`.

use crate::domain::display::one_line;
use crate::domain::objective::Verdict;
use crate::domain::report::{Drill, Report};
use crate::domain::site::ImageIdentity;
use crate::reporters::slowest;

/// All that is known of a drill, in a fixed order. `INF` is an infinite number: nothing came back.
pub fn of(report: &Report, drill: &Drill) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut put = |key: &str, value: Option<String>| all.extend(value.map(|v| (key.to_owned(), one_line(&v))));
    put("outcome", Some(drill.outcome.word().to_owned()));
    for (name, verdict) in [("rto", &drill.rto), ("rpo", &drill.rpo), ("rpo_worst_case", &drill.rpo_worst_case)] {
        put(&format!("{name}_seconds"), verdict.as_ref().map(actual));
        put(&format!("{name}_objective_seconds"), verdict.as_ref().map(|v| number(v.objective_seconds)));
        put(&format!("{name}_met"), verdict.as_ref().map(|v| v.met.to_string()));
    }
    put("rto_median_seconds", drill.rto_median_seconds.map(number));
    put("runs", Some(drill.runs.len().to_string()));
    put("runs_passed", Some(drill.runs.iter().filter(|r| r.outcome.passed()).count().to_string()));
    put("confidence", drill.confidence.clone());
    put("schedule", drill.schedule.clone());
    for (key, value) in [
        ("stack", &drill.stack),
        ("store", &drill.store),
        ("engine", &drill.engine),
        ("scenario", &drill.scenario),
        ("input", &drill.input),
    ] {
        put(key, Some(value.clone()));
    }
    if let Some(run) = slowest(drill).or(drill.runs.first()) {
        put("rpo_source", Some(run.rpo_source.clone()));
        for span in &run.timeline.spans {
            put(&format!("phase_{}_seconds", span.phase.name()), Some(number(span.seconds)));
        }
        put("marks_acknowledged", run.marks.as_ref().map(|m| m.acknowledged.to_string()));
        put("marks_lost", run.marks.as_ref().map(|m| m.lost.to_string()));
        put("backup_id", run.backup.as_ref().map(|b| b.id.clone()));
        put("backup_seconds", run.backup.as_ref().map(|b| number(b.seconds)));
        put("backup_plain_bytes", run.backup.as_ref().map(|b| b.plain_bytes.to_string()));
        put("backup_stored_bytes", run.backup.as_ref().map(|b| b.stored_bytes.to_string()));
        put("proved_rows", run.proof.as_ref().map(|p| p.rows.to_string()));
        put("proved_objects", run.proof.as_ref().map(|p| p.objects.to_string()));
        put("quarantined_rows", run.proof.as_ref().map(|p| p.quarantined.to_string()));
        put("unrecoverable_rows", run.proof.as_ref().map(|p| p.unrecoverable.to_string()));
    }
    for (n, image) in images(drill).into_iter().enumerate() {
        let key = |what: &str| if n == 0 { what.to_owned() } else { format!("{what}_{}", n + 1) };
        put(&key("image"), Some(image.used.clone()));
        put(&key("image_wanted"), Some(image.wanted.clone()));
        put(&key("image_digest"), Some(image.digest.clone()));
        put(&key("image_origin"), serde_json::to_value(image.origin).ok().and_then(|v| v.as_str().map(str::to_owned)));
    }
    put("cpus", Some(report.machine.cpus.to_string()));
    put("platform", Some(report.machine.platform.clone()));
    put("docker", report.machine.docker.clone());
    put("tool", Some(report.tool.clone()));
    put("run", Some(report.run.clone()));
    all
}

/// The images that the drill's sites ran, each once.
fn images(drill: &Drill) -> Vec<&ImageIdentity> {
    let mut all: Vec<&ImageIdentity> = Vec::new();
    for image in drill.runs.iter().flat_map(|r| &r.sites).filter_map(|s| s.image.as_ref()) {
        if !all.iter().any(|known| known.digest == image.digest) {
            all.push(image);
        }
    }
    all
}

fn actual(verdict: &Verdict) -> String {
    verdict.actual_seconds.map_or_else(|| "INF".to_owned(), number)
}

/// Plain decimal, no exponent; nanoseconds are below what is measured.
fn number(seconds: f64) -> String {
    let text = format!("{seconds:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
