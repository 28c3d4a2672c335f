//! Whether the schedule can keep what the objectives promise, before any backup is looked at.

use crate::domain::check::{Check, Judged};
use crate::domain::display::duration;
use crate::domain::fact::{BackupFacts, Fact};
use crate::domain::objective::worst_rpo;

/// The worst loss that the schedule allows is within every objective.
pub static CHECK: Check<BackupFacts> = Check {
    id: "schedule",
    title: "the schedule can keep the objectives",
    why: "a daily backup cannot give a data loss of one hour, however well it restores",
    judge,
};

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(schedule) = &facts.schedule else {
        let next = format!("write `backups: {{ schedule: every 30m }}` for stack {} in recovery.yaml", facts.stack);
        judged.fail("no schedule is declared: nobody can say how much may be lost at worst", next);
        return judged;
    };
    if facts.objectives.is_empty() {
        judged.unknown("no objective is known", "write `objectives:` in recovery.yaml");
        return judged;
    }
    // Without a set to measure, a backup is taken to need no time at all: the bound is then a little too good, never too bad.
    let took = if let Fact::Known(sets) = &facts.sets { facts.p95(sets) } else { Default::default() };
    let worst = worst_rpo(schedule, took);
    for (scenario, rpo) in &facts.objectives {
        let (allowed, wanted) = (duration(worst.as_secs_f64()), duration(rpo.as_secs_f64()));
        if worst > *rpo {
            let gap = duration(schedule.worst_gap().as_secs_f64());
            let what = format!(
                "{scenario}: the schedule `{schedule}` allows a loss of {allowed} ({gap} between two backups and {} for one), \
                 the objective is {wanted}",
                duration(took.as_secs_f64())
            );
            judged.fail(what, "back up more often (backups.schedule), or raise objectives.<scenario>.rpo");
        } else {
            judged.see(format!("{scenario}: at worst {allowed} of {wanted}"));
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use std::time::Duration;

    #[test]
    fn flaw_1_f57_a_daily_backup_and_an_hours_objective_contradict_each_other_with_the_arithmetic() {
        let (word, said) = asked(&CHECK, |facts| {
            facts.objectives.push(("simple-loss".into(), Duration::from_secs(3600)));
        });
        assert_eq!(word, "failed");
        assert!(said.contains("simple-loss: the schedule `daily 02:00` allows a loss of"), "{said}");
        assert!(said.contains("24 h between two backups and 1 min for one"), "{said}");
    }

    #[test]
    fn the_time_that_a_backup_takes_counts() {
        let day = Duration::from_secs(24 * 3600);
        let with = |rpo| asked(&CHECK, |facts| facts.objectives = vec![("total-loss".into(), rpo)]).0;
        assert_eq!((with(day), with(day + Duration::from_secs(60))), ("failed".to_owned(), "passed".to_owned()));
    }

    #[test]
    fn without_a_schedule_or_an_objective_nothing_is_promised() {
        assert_eq!(asked(&CHECK, |facts| facts.schedule = None).0, "failed");
        assert_eq!(asked(&CHECK, |facts| facts.objectives.clear()).0, "broken");
    }
}
