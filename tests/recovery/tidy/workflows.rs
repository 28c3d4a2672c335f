//! Workflow files are code that runs with keys: least rights, fixed actions, bounded time, no text spliced into commands,
//! and nothing uploaded but reports.

use super::{assert_none, pages_in, text};
use serde_json::Value;
use xtask::tasks::ci::workflows::{BODIES, RUNNER, STAND_INS};

/// All that may leave a run. Never dumps, backup sets, logs or env files.
const UPLOADS: [&str; 5] = [
    "target/nextest/ci/junit.xml",
    "target/recovery/junit.xml",
    "target/recovery/report.json",
    "target/validation/junit.xml",
    "target/validation/report.json",
];

/// A job that takes longer than this hangs.
const LONGEST_MINUTES: u64 = 90;

fn check(path: &str, text: &str) -> Vec<String> {
    let workflow: Value = match serde_saphyr::from_str(text) {
        Ok(value) => value,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    let mut found = Vec::new();
    if workflow["permissions"] != serde_json::json!({}) {
        found.push(format!("{path}: top `permissions` must be {{}}: each job asks for its own"));
    }
    if !workflow["concurrency"]["group"].is_string() {
        found.push(format!("{path}: no concurrency group"));
    }
    for trigger in ["pull_request_target", "workflow_run", "issue_comment"] {
        if super::rust_text::lines_with(text, trigger)
            .iter()
            .any(|l| !text.lines().nth(l - 1).unwrap_or("").contains("# "))
        {
            found.push(format!("{path}: {trigger} runs others' text with our rights"));
        }
    }
    let jobs = workflow["jobs"].as_object().cloned().unwrap_or_default();
    if jobs.is_empty() {
        found.push(format!("{path}: no jobs"));
    }
    for (name, job) in &jobs {
        found.extend(job_findings(job).into_iter().map(|f| format!("{path}: {name}: {f}")));
    }
    let uses = text.lines().filter(|l| l.trim_start().trim_start_matches("- ").starts_with("uses:"));
    found.extend(
        uses.filter(|l| !pinned(l)).map(|l| format!("{path}: not pinned with its version beside it: {}", l.trim())),
    );
    found
}

fn job_findings(job: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let steps: Vec<&Value> = job["steps"].as_array().into_iter().flatten().collect();
    let first = |of: &dyn Fn(&Value) -> bool| steps.iter().position(|step| of(step));
    let fetched = first(&|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@")));
    let ours =
        |step: &Value| step["run"].as_str().is_some_and(|run| run.contains("cargo ") || run.contains("scripts/"));
    if first(&ours).is_some_and(|task| fetched.is_none_or(|fetched| fetched > task)) {
        found.push("runs what the repository holds before it is checked out".to_owned());
    }
    if job["timeout-minutes"].as_u64().is_none_or(|m| m > LONGEST_MINUTES) {
        found.push(format!("no `timeout-minutes` up to {LONGEST_MINUTES}"));
    }
    if !job["permissions"].is_object() {
        found.push("no `permissions` of its own".to_owned());
    }
    if job["runs-on"] != RUNNER {
        found.push(format!("must run on {RUNNER}, which moves when we say so"));
    }
    for step in job["steps"].as_array().into_iter().flatten() {
        let uses = step["uses"].as_str().unwrap_or_default();
        if step["run"].as_str().is_some_and(|run| run.contains("${{")) {
            found.push("`${{ }}` inside `run`: pass it by `env`".to_owned());
        }
        if uses.starts_with("actions/checkout@") && step["with"]["persist-credentials"] != false {
            found.push("the checkout keeps its token: `persist-credentials: false`".to_owned());
        }
        if uses.starts_with("actions/upload-artifact@") {
            let paths = step["with"]["path"].as_str().unwrap_or_default();
            let mut lines = paths.lines().map(str::trim).filter(|l| !l.is_empty());
            found.extend(lines.by_ref().filter(|l| !UPLOADS.contains(l)).map(|l| format!("uploads {l}")));
            if paths.trim().is_empty() || step["with"]["if-no-files-found"] != "error" {
                found.push("an upload of nothing must be an error".to_owned());
            }
        }
    }
    found
}

/// `uses: owner/name@<40 hex digits> # v1.2.3`, or a workflow of this repository.
fn pinned(line: &str) -> bool {
    let Some((_, action)) = line.split_once("uses:") else { return false };
    if action.trim().starts_with("./") {
        return true;
    }
    let Some((_, pin)) = action.split_once('@') else { return false };
    let Some((commit, version)) = pin.split_once(" # v") else { return false };
    let version: Vec<&str> = version.trim().split('.').collect();
    commit.len() == 40
        && commit.chars().all(|c| c.is_ascii_hexdigit())
        && version.len() == 3
        && version.iter().all(|part| part.parse::<u32>().is_ok())
}

#[test]
fn every_workflow_keeps_the_rules() {
    let findings: Vec<String> =
        pages_in(".github/workflows/", ".yml").iter().flat_map(|p| check(&p.path, &p.text)).collect();
    assert_none(&findings);
}

#[test]
fn the_workflows_run_the_tasks_that_users_run() {
    assert!(text(".github/workflows/ci.yml").contains("run: cargo xtask ci --require docker"));
    for body in BODIES {
        let workflow = text(&format!(".github/workflows/{body}"));
        assert!(
            workflow.contains("run: cargo xtask test-recovery --require docker --report-dir target/recovery"),
            "{body}"
        );
    }
}

/// Row 50 of the old documents' flaws: the job that was to prove the backups never had the scripts that it called.
#[test]
fn flaw_50_no_job_runs_a_task_before_the_repository_is_checked_out() {
    let good = text(".github/workflows/backup-validation.yml");
    let checkout = good.find("      - name: Check out").unwrap()..good.find("      - name: Back up, destroy").unwrap();
    let without = [&good[..checkout.start], &good[checkout.end..]].concat();
    assert_eq!(check("planted.yml", &without).len(), 1, "{:?}", check("planted.yml", &without));
    let late = format!("{without}{}", &good[checkout]);
    assert_eq!(check("planted.yml", &late).len(), 1, "{:?}", check("planted.yml", &late));
}

#[test]
fn every_fetched_action_has_its_stand_in_for_runs_on_this_host() {
    let workflows = BODIES.map(|body| text(&format!(".github/workflows/{body}")));
    let lines = workflows.iter().flat_map(|w| w.lines()).filter_map(|l| l.trim().strip_prefix("uses: "));
    for action in lines.filter_map(|l| l.split_whitespace().next()).filter(|a| !a.starts_with("actions/checkout@")) {
        assert!(STAND_INS.iter().any(|(known, _)| *known == action), "{action} has no stand-in");
    }
    for (_, folder) in STAND_INS {
        assert!(text(&format!("{folder}/action.yml")).contains("using: composite"));
    }
}

#[test]
fn a_planted_violation_of_every_rule_is_reported() {
    let good = text(".github/workflows/backup-validation.yml");
    assert_none(&check("good.yml", &good));
    let plant = |from: &str, to: &str| {
        assert!(good.contains(from), "nothing to spoil: {from}");
        check("planted.yml", &good.replacen(from, to, 1)).len()
    };
    for (from, to) in [
        ("permissions: {}", "permissions: read-all"),
        ("    permissions:\n      contents: read # the checkout\n", ""),
        ("    timeout-minutes: 60\n", ""),
        ("timeout-minutes: 60", "timeout-minutes: 600"),
        ("ubuntu-24.04", "ubuntu-latest"),
        ("persist-credentials: false", "persist-credentials: true"),
        (" # v6.0.2", ""),
        (" # v6.0.2", " # v6"),
        ("@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v6"),
        ("  workflow_dispatch:", "  pull_request_target:"),
        ("target/recovery/report.json", ".env"),
        ("target/recovery/report.json", "target/recovery/*"),
        ("target/recovery/report.json", "backups/latest.dump"),
        ("if-no-files-found: error", "if-no-files-found: warn"),
        ("--require docker", "--require ${{ inputs.stack }}"),
    ] {
        assert_eq!(plant(from, to), 1, "{from} -> {to}");
    }
    assert_eq!(check("planted.yml", "a: [").len(), 1);
}
