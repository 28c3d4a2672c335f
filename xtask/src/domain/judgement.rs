//! From runs to the verdict of a drill: the worst run counts, a run that failed counts as infinite, and what the schedule
//! allows at worst is judged beside what was measured.

use super::objective::{Objective, Schedule, Verdict, confidence, judge, worst_rpo};
use super::outcome::{Outcome, Why};
use super::report::{Drill, Run};
use std::time::Duration;

/// What is drilled, for the report's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The stack.
    pub stack: String,
    /// The store.
    pub store: String,
    /// Its engine.
    pub engine: String,
    /// The scenario.
    pub scenario: String,
    /// `rehearsal`, `live` or `set`.
    pub input: String,
}

impl Subject {
    /// A drill that was not run, for this reason.
    pub fn without_runs(self, outcome: Outcome) -> Drill {
        Drill {
            stack: self.stack,
            store: self.store,
            engine: self.engine,
            scenario: self.scenario,
            input: self.input,
            outcome,
            rto: None,
            rpo: None,
            rpo_worst_case: None,
            schedule: None,
            rto_median_seconds: None,
            confidence: None,
            runs: Vec::new(),
            duration_seconds: 0.0,
        }
    }

    /// A drill that could not be run, of a stack with a schedule: what that allows at worst needs no run to be known.
    pub fn not_run(self, outcome: Outcome, objective: Objective, schedule: Option<&Schedule>) -> Drill {
        let possible = schedule.map(|s| possible(s, objective, 0.0));
        let outcome = match (outcome, contradiction(possible.as_ref(), schedule)) {
            (Outcome::Skipped(why), Some(known)) => {
                Outcome::Failed(Why { message: format!("{}; not drilled: {}", known.message, why.message), ..known })
            }
            (outcome, _) => outcome,
        };
        Drill { rpo_worst_case: possible, schedule: schedule.map(ToString::to_string), ..self.without_runs(outcome) }
    }

    /// Judges the runs.
    pub fn judged(self, runs: Vec<Run>, objective: Objective, schedule: Option<&Schedule>, took: Duration) -> Drill {
        let rto = judge(objective.rto, worst(&runs, |run| run.rto_seconds));
        let rpo = judge(objective.rpo, worst(&runs, |run| run.rpo_seconds));
        let backup = runs.iter().filter_map(|r| r.backup.as_ref()).map(|b| b.seconds).fold(0.0, f64::max);
        let possible = schedule.map(|s| possible(s, objective, backup));
        let outcome = outcome(&runs, &rto, &rpo, possible.as_ref(), schedule);
        let passed: Vec<f64> = runs.iter().filter(|r| r.outcome.passed()).filter_map(|r| r.rto_seconds).collect();
        let confidence = (runs.len() > 1).then(|| says(&runs, passed.len()));
        Drill {
            rto: Some(rto),
            rpo: Some(rpo),
            rpo_worst_case: possible,
            schedule: schedule.map(ToString::to_string),
            rto_median_seconds: median(passed),
            confidence,
            runs,
            duration_seconds: took.as_secs_f64(),
            ..self.without_runs(outcome)
        }
    }
}

/// The worst of the runs; a run without a number is infinite, and so is no run at all.
fn worst(runs: &[Run], of: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
    runs.iter().map(of).try_fold(f64::NEG_INFINITY, |worst, this| Some(worst.max(this?))).filter(|w| w.is_finite())
}

fn outcome(
    runs: &[Run],
    rto: &Verdict,
    rpo: &Verdict,
    possible: Option<&Verdict>,
    schedule: Option<&Schedule>,
) -> Outcome {
    let bad = |o: &&Outcome| matches!(o, Outcome::Failed(_));
    let broken = |o: &&Outcome| !o.passed();
    let outcomes = || runs.iter().map(|r| &r.outcome);
    if let Some(outcome) = outcomes().find(bad).or_else(|| outcomes().find(broken)) {
        return outcome.clone();
    }
    if runs.is_empty() {
        return Outcome::Broken(Why::new("nothing was run"));
    }
    let mut misses = Vec::new();
    let mut hint = None;
    if !rto.met {
        misses.push(format!(
            "RTO {} misses its objective of {}",
            seconds(rto.actual_seconds),
            seconds(Some(rto.objective_seconds))
        ));
        hint =
            Some("look at the longest phase of the recovery, or set an objective that the stack can meet".to_owned());
    }
    if !rpo.met {
        misses.push(format!(
            "RPO {} misses its objective of {}",
            seconds(rpo.actual_seconds),
            seconds(Some(rpo.objective_seconds))
        ));
        hint = Some("back up more often, or set an objective that the stack can meet".to_owned());
    }
    if let Some(known) = contradiction(possible, schedule) {
        misses.push(known.message);
        hint = known.hint;
    }
    match misses.is_empty() {
        true => Outcome::Passed,
        false => Outcome::Failed(Why { hint, ..Why::new(misses.join("; ")) }),
    }
}

/// What a schedule allows at worst, with backups that take so many seconds.
fn possible(schedule: &Schedule, objective: Objective, backup: f64) -> Verdict {
    let backup = Duration::try_from_secs_f64(backup).unwrap_or_default();
    judge(objective.rpo, Some(worst_rpo(schedule, backup).as_secs_f64()))
}

/// Why the schedule cannot meet the objective, when it cannot.
fn contradiction(possible: Option<&Verdict>, schedule: Option<&Schedule>) -> Option<Why> {
    let (verdict, schedule) = (possible.filter(|v| !v.met)?, schedule?);
    let (allowed, wanted) = (verdict.actual_seconds, verdict.objective_seconds);
    // Two numbers that read the same contradict nobody.
    let over = allowed.map(|s| s - wanted).filter(|over| *over < wanted / 20.0);
    let over = over.map(|over| format!(" (by {over:.2} s)")).unwrap_or_default();
    let message = format!(
        "the schedule `{schedule}` allows a loss of {}, beyond the RPO objective of {}{over}",
        seconds(allowed),
        seconds(Some(wanted))
    );
    let hint = "back up more often than the objective allows, by the time that a backup takes (backups.schedule), \
                or raise objectives.<scenario>.rpo";
    Some(Why::new(message).hint(hint))
}

fn seconds(seconds: Option<f64>) -> String {
    match seconds {
        None => "infinite".to_owned(),
        Some(s) if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        Some(s) if s >= 90.0 => format!("{:.1} min", s / 60.0),
        Some(s) => format!("{s:.2} s"),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn says(runs: &[Run], passed: usize) -> String {
    let n = runs.len();
    let failed = n - passed;
    if failed > 0 {
        return format!("{failed} of {n} runs did not recover; a run that did not recover counts as infinite");
    }
    format!(
        "{n} runs: with {:.0} % confidence, 95 of 100 recoveries like these are no slower than the worst one seen",
        confidence(n) * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rto: Option<f64>, outcome: Outcome) -> Run {
        Run {
            number: 1,
            outcome,
            rto_seconds: rto,
            rpo_seconds: Some(2.0),
            rpo_source: "marks".into(),
            timeline: Default::default(),
            marks: None,
            damages: Vec::new(),
            steps: Vec::new(),
            backup: None,
            proof: None,
            sites: Vec::new(),
            logs: None,
        }
    }

    fn drill(runs: Vec<Run>, objective: Objective, schedule: Option<&str>) -> Drill {
        let subject = Subject {
            stack: "s".into(),
            store: "db".into(),
            engine: "sqlite".into(),
            scenario: "simple-loss".into(),
            input: "rehearsal".into(),
        };
        let schedule: Option<Schedule> = schedule.map(|s| s.parse().unwrap());
        subject.judged(runs, objective, schedule.as_ref(), Duration::from_secs(1))
    }

    #[test]
    fn the_worst_run_counts_and_a_failed_one_is_infinite() {
        let ok = drill(
            vec![run(Some(1.0), Outcome::Passed), run(Some(3.0), Outcome::Passed)],
            Objective::minutes(1, 1),
            None,
        );
        assert!(ok.outcome.passed());
        assert_eq!((ok.rto.unwrap().actual_seconds, ok.rto_median_seconds), (Some(3.0), Some(2.0)));
        assert!(ok.confidence.unwrap().starts_with("2 runs: with 10 % confidence"));
        let failed = Outcome::Failed(Why::new("no"));
        let bad =
            drill(vec![run(Some(1.0), Outcome::Passed), run(None, failed.clone())], Objective::minutes(1, 1), None);
        assert_eq!(bad.outcome, failed);
        assert_eq!(bad.rto.unwrap().actual_seconds, None);
    }

    #[test]
    fn a_schedule_that_contradicts_the_objective_fails_a_drill_that_measured_well() {
        let runs = || vec![run(Some(1.0), Outcome::Passed)];
        assert!(drill(runs(), Objective::minutes(30, 60), Some("every 30m")).outcome.passed());
        let drill = drill(runs(), Objective::minutes(30, 60), Some("daily 02:00"));
        let said = &drill.outcome.why().unwrap().message;
        assert!(said.contains("the schedule `daily 02:00` allows a loss of 24.0 h"), "{said}");
    }

    #[test]
    fn a_contradiction_needs_no_run_to_be_known() {
        let subject = || Subject {
            stack: "s".into(),
            store: "db".into(),
            engine: "postgres".into(),
            scenario: "total-loss".into(),
            input: "rehearsal".into(),
        };
        let skipped = || Outcome::Skipped(Why::new("no engine"));
        let not_run =
            |schedule: &str| subject().not_run(skipped(), Objective::minutes(30, 60), Some(&schedule.parse().unwrap()));
        let drill = not_run("daily 02:00");
        assert_eq!((drill.outcome.word(), drill.rpo_worst_case.unwrap().met), ("failed", false));
        let said = &drill.outcome.why().unwrap().message;
        assert!(said.contains("allows a loss of 24.0 h") && said.ends_with("not drilled: no engine"), "{said}");
        let drill = not_run("every 30m");
        assert_eq!((drill.outcome.word(), drill.rpo_worst_case.unwrap().met), ("skipped", true));
        assert_eq!(subject().not_run(skipped(), Objective::minutes(30, 60), None).outcome.word(), "skipped");
    }

    #[test]
    fn an_objective_missed_by_a_hair_says_by_how_much() {
        let mut late = run(Some(1.0), Outcome::Passed);
        let (id, lacks) = (String::new(), Vec::new());
        late.backup =
            Some(super::super::report::BackupRecord { id, seconds: 0.21, plain_bytes: 1, stored_bytes: 1, lacks });
        let said = drill(vec![late], Objective::minutes(30, 60), Some("hourly")).outcome.why().unwrap().message.clone();
        assert!(said.ends_with("(by 0.21 s)"), "{said}");
    }

    #[test]
    fn missing_an_objective_fails() {
        let said = drill(vec![run(Some(61.0), Outcome::Passed)], Objective::minutes(1, 1), None);
        assert!(said.outcome.why().unwrap().message.contains("RTO 61.00 s misses"));
    }

    #[test]
    fn no_run_is_broken() {
        assert_eq!(drill(vec![], Objective::minutes(1, 1), None).outcome.word(), "broken");
    }
}
