//! The auditor of workflows finds nothing in ours, and finds what is planted.

use super::root;
use super::tools::{find, output, said};
use std::fs::{create_dir_all, write};

/// A workflow's text and the audit that must object to it.
const PLANTED: [(&str, &str); 8] = [
    ("unpinned-uses", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{uses: actions/checkout@v6}]}}"),
    ("artipacked", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{uses: actions/checkout@v6}]}}"),
    (
        "excessive-permissions",
        "on: push\npermissions: write-all\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: a}]}}",
    ),
    (
        "template-injection",
        "on: issues\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ github.event.issue.title }}'}]}}",
    ),
    ("dangerous-triggers", "on: pull_request_target\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: a}]}}"),
    ("secrets-inherit", "on: push\njobs: {a: {uses: a/b/.github/workflows/c.yml@main, secrets: inherit}}"),
    ("concurrency-limits", "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: a}]}}"),
    ("self-hosted-runner", "on: push\njobs: {a: {runs-on: [self-hosted, x], steps: [{run: a}]}}"),
];

const AUDIT: [&str; 4] = ["--offline", "--persona=pedantic", "--no-progress", ".github"];

#[test]
fn the_auditor_finds_nothing_in_our_workflows() {
    let Some(zizmor) = find("zizmor", "tidy::workflow_audit::the_auditor_finds_nothing_in_our_workflows") else {
        return;
    };
    let output = output(&zizmor, &AUDIT, &root());
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_auditor_finds_what_is_planted() {
    let Some(zizmor) = find("zizmor", "tidy::workflow_audit::the_auditor_finds_what_is_planted") else { return };
    for (audit, text) in PLANTED {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let workflows = folder.path().join(".github/workflows");
        create_dir_all(&workflows).expect("make a folder");
        write(workflows.join("planted.yml"), text).expect("plant a workflow");
        let persona = if audit == "self-hosted-runner" { "--persona=auditor" } else { AUDIT[1] };
        let output = output(&zizmor, &[AUDIT[0], persona, AUDIT[2], AUDIT[3]], folder.path());
        let said = said(&output);
        assert!(!output.status.success() && said.contains(audit), "{audit} was not found:\n{said}");
    }
}
