//! Where the number of kept sets comes from: the file, then the variables of earlier days, then the default.

use super::*;
use crate::domain::retention::Policy;

const COMPOSE: (&str, &str) = ("compose.yaml", "services: {app: {image: i}}");

/// The policy with this written, this env file and this environment, and the stack's notes.
fn policy(written: &str, env_file: &str, outside: &[(&str, &str)]) -> Result<(Policy, String)> {
    let recovery = format!("stacks: {{a: {{backups: {{{written}}}}}}}");
    let dir = folder(&[COMPOSE, ("recovery.yaml", &recovery), (".env", env_file)]);
    let environment = |name: &str| outside.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let options = LoadOptions { config: None, folder: dir.path().to_owned(), environment: &environment };
    let stack = load(&options)?.stacks.remove(0);
    Ok((stack.backups.retention, stack.notes.join("\n")))
}

fn numbers(written: &str, env_file: &str, outside: &[(&str, &str)]) -> [u32; 4] {
    let (Policy { daily, weekly, monthly, floor }, _) = policy(written, env_file, outside).unwrap();
    [daily, weekly, monthly, floor]
}

#[test]
fn what_nobody_says_is_seven_days_four_weeks_twelve_months_and_a_floor_of_two() {
    assert_eq!(numbers("", "", &[]), [7, 4, 12, 2]);
    assert_eq!(numbers("retention: {}", "RETENTION_DAILY=", &[("RETENTION_WEEKLY", " ")]), [7, 4, 12, 2]);
}

#[test]
fn the_variables_are_followed_where_the_file_says_nothing_key_by_key() {
    let old = "RETENTION_DAILY=10\nRETENTION_WEEKLY=11\nRETENTION_MONTHLY=13\nBACKUP_RETENTION_DAYS=10\n";
    assert_eq!(numbers("", old, &[]), [10, 11, 13, 2]);
    assert_eq!(numbers("retention: { daily: 10, floor: 5 }", old, &[]), [10, 11, 13, 5], "where they agree");
    assert_eq!(numbers("", old, &[("RETENTION_WEEKLY", "3")]), [10, 3, 13, 2], "the environment before the env file");
}

#[test]
fn a_file_and_a_variable_that_contradict_each_other_are_refused_by_both_names() {
    for (written, variable, key) in [
        ("retention: { daily: 1 }", "RETENTION_DAILY=10", "daily"),
        ("retention: { daily: 1 }", "BACKUP_RETENTION_DAYS=30", "daily"),
        ("retention: { weekly: 1 }", "RETENTION_WEEKLY=10", "weekly"),
        ("retention: { monthly: 0 }", "RETENTION_MONTHLY=10", "monthly"),
    ] {
        let error = policy(written, variable, &[]).unwrap_err();
        let why = Refusal::within(&error).unwrap();
        let name = variable.split('=').next().unwrap();
        assert!(
            why.message.contains("recovery.yaml:1:") && why.message.contains(&format!("`retention.{key}`")),
            "{why:?}"
        );
        assert!(why.message.contains(&format!("`{name}`")) && why.kind == RefusalKind::Configuration, "{why:?}");
    }
}

#[test]
fn flaws_13_and_15_the_days_of_old_are_daily_sets_and_a_contradiction_is_noted() {
    assert_eq!(numbers("", "BACKUP_RETENTION_DAYS=30\n", &[]), [30, 4, 12, 2]);
    let (policy, notes) = policy("", "BACKUP_RETENTION_DAYS=30\nRETENTION_DAILY=7\n", &[]).unwrap();
    assert_eq!(policy.daily, 7);
    assert!(notes.contains("RETENTION_DAILY (7) and BACKUP_RETENTION_DAYS (30) differ"), "{notes}");
}

#[test]
fn the_example_of_old_variables_is_followed() {
    let project = example();
    assert_eq!(project.stack("le-grimoire").unwrap().backups.retention, Policy::default());
    assert!(
        fs::read_to_string(project.stack("le-grimoire").unwrap().env_file.as_ref().unwrap())
            .unwrap()
            .contains("BACKUP_RETENTION_DAYS=7")
    );
}

#[test]
fn what_is_no_number_of_sets_is_refused_and_not_shown() {
    for (written, message, hint) in [
        ("retention: { daily: -1 }", "recovery.yaml:1:44: `daily` is not a number of sets", "at least 0"),
        ("retention: { weekly: hunter2 }", "recovery.yaml:1:45: `weekly` is not a number of sets", "whole number"),
        ("retention: { floor: 0 }", "recovery.yaml:1:44: `floor` is not a number of sets", "at least 1"),
        ("retention: { days: 7 }", "recovery.yaml:1:37: unknown key `days` in `retention` of stack `a`", "daily"),
        ("retention: 7", "recovery.yaml:1:35: `retention` of stack `a` is a single value", "mapping"),
    ] {
        let (found, advice) =
            refused(&[COMPOSE, ("recovery.yaml", &format!("stacks: {{a: {{backups: {{{written}}}}}}}"))]);
        assert!(found.starts_with(message), "{written}\n  wanted: {message}\n  found:  {found}");
        assert!(advice.contains(hint) && !found.contains("hunter2"), "{written}: {advice}");
    }
    let error = policy("", "RETENTION_MONTHLY=hunter2\n", &[]).unwrap_err();
    let why = Refusal::within(&error).unwrap();
    assert_eq!(why.message, "variable `RETENTION_MONTHLY` is not a whole number");
    assert!(why.hint.contains("backups.retention") && !format!("{error:?}").contains("hunter2"));
}
