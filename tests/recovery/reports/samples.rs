//! Reports as runs would leave them. Made by hand, so that their rendering is stable.

use std::time::Duration;
use xtask::domain::diagnosis::Damage;
use xtask::domain::mark::MarkVerdict;
use xtask::domain::objective::{Verdict, judge};
use xtask::domain::outcome::{Outcome, Why};
use xtask::domain::report::{BackupRecord, Drill, Machine, ProofRecord, Report, Run, SCHEMA, StepRecord};
use xtask::domain::site::{ImageIdentity, ImageOrigin, SiteIdentity};
use xtask::domain::timeline::{Phase, Span, Timeline};

/// Text that breaks careless writers: NUL, colours, CDATA ends, markup, workflow commands, bidi, noncharacters, emoji.
pub const NASTY: &str = "pg_restore: \x1b[31merror\x1b[0m: nul \0 cdata ]]> <tag a=\"b\"> & 'q' | pipe `tick` ```\n::error title=x::injected\n  ::stop-commands::t\nsee ##[error]x \u{202e}bidi \u{fffe}\u{ffff} tab\tümlaut 🐘";

/// Every sample by name.
pub fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("all-passed", all_passed()),
        ("failed-rto", failed_rto()),
        ("broken", broken()),
        ("no-docker", no_docker()),
        ("repeat-5", repeat_5()),
        ("no-drills", report(Vec::new(), 3)),
        ("validated", super::validated::validated()),
        ("verified", super::validated::verified()),
    ]
}

pub fn report(drills: Vec<Drill>, exit_code: u8) -> Report {
    Report {
        schema: SCHEMA,
        tool: "xtask 0.1.0".into(),
        task: "test-recovery".into(),
        run: "20261120T010000Z-k7q2".into(),
        started_at: "2026-11-20T01:00:00Z".into(),
        duration_seconds: 42.25,
        machine: Machine { cpus: 2, platform: "linux x86_64".into(), docker: Some("27.5.1".into()) },
        images: vec![postgres(ImageOrigin::BuiltLocally)],
        drills,
        checks: Vec::new(),
        mutations: Vec::new(),
        notes: vec!["no recovery.yaml: stacks were inferred from the Compose files".into()],
        exit_code,
    }
}

pub fn postgres(origin: ImageOrigin) -> ImageIdentity {
    ImageIdentity {
        wanted: "postgres:15".into(),
        used: if origin == ImageOrigin::Present { "postgres:15" } else { "localhost/xtask-postgres:15" }.into(),
        digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        origin,
        prepared_ms: 41_870,
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Whole microseconds: the shortest text of such a number reads back as the very same number.
fn micro(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

fn timeline(total: f64) -> Timeline {
    let shares = [0.005, 0.45, 0.06, 0.3, 0.1, 0.06, 0.025];
    let spans = Phase::ALL
        .iter()
        .zip(shares)
        .map(|(phase, share)| Span { phase: *phase, seconds: micro(total * share) })
        .collect();
    Timeline { spans, total_seconds: micro(total) }
}

/// A run that went through.
pub fn run(number: usize, rto: f64) -> Run {
    Run {
        number,
        outcome: Outcome::Passed,
        rto_seconds: Some(micro(rto)),
        rpo_seconds: Some(2.5),
        rpo_source: "marks".into(),
        timeline: timeline(rto),
        marks: Some(MarkVerdict {
            acknowledged: 40,
            last_survivor: 28,
            lost: 12,
            rpo_seconds: Some(2.5),
            corruption: None,
        }),
        damages: Vec::new(),
        steps: vec![step("make a private site", 0.82), step("back up", 0.75), step("restore", micro(rto * 0.5))],
        backup: Some(BackupRecord {
            lacks: Vec::new(),
            id: "20261120T010000Z-000001-k7q2".into(),
            seconds: 0.75,
            plain_bytes: 10_485_760,
            stored_bytes: 2_411_520,
        }),
        proof: Some(ProofRecord { contents: 24, objects: 131, rows: 118_204, quarantined: 0, unrecoverable: 0 }),
        sites: vec![SiteIdentity {
            name: "xtask-k7q2-drill".into(),
            kind: "container".into(),
            image: Some(postgres(ImageOrigin::BuiltLocally)),
        }],
        logs: None,
    }
}

fn step(title: &str, seconds: f64) -> StepRecord {
    StepRecord { title: title.into(), seconds, error: None }
}

/// A drill that went through, against the default objectives.
pub fn drill(name: (&str, &str, &str), scenario: &str, runs: Vec<Run>) -> Drill {
    let rto = match scenario {
        "simple-loss" => 1800.0,
        "partial-corruption" => 7200.0,
        _ => 14_400.0,
    };
    let worst = runs.iter().map(|r| r.rto_seconds).try_fold(0.0_f64, |w, r| r.map(|r| w.max(r)));
    Drill {
        stack: name.0.into(),
        store: name.1.into(),
        engine: name.2.into(),
        scenario: scenario.into(),
        input: "rehearsal".into(),
        outcome: Outcome::Passed,
        rto: Some(judge(seconds(rto), worst)),
        rpo: Some(judge(seconds(3600.0), worst.map(|_| 2.5))),
        rpo_worst_case: Some(judge(seconds(3600.0), Some(900.75))),
        schedule: Some("every 15m".into()),
        rto_median_seconds: worst,
        confidence: Some("1 run proves little: with 5 % confidence, 95 of 100 recoveries are no slower than this one; 59 runs give 95 %".into()),
        runs,
        duration_seconds: 6.5,
    }
}

const APP: (&str, &str, &str) = ("recyclic-prod", "db", "postgres");
const CONTENT: (&str, &str, &str) = ("monsite", "content", "sqlite");

fn all_passed() -> Report {
    let mut drills = Vec::new();
    for (store, factor) in [(APP, 1.0), (CONTENT, 0.02)] {
        drills.push(drill(store, "simple-loss", vec![run(1, 1.84 * factor)]));
        drills.push(drill(store, "partial-corruption", vec![run(1, 2.31 * factor)]));
        drills.push(drill(store, "total-loss", vec![run(1, 4.07 * factor)]));
    }
    for drill in drills.iter_mut().filter(|d| d.engine == "sqlite") {
        drill.runs[0].sites[0] =
            SiteIdentity { name: "xtask-k7q2-drill".into(), kind: "directory".into(), image: None };
    }
    drills[1].runs[0].damages = vec![
        Damage::Missing { object: "table public.order_lines".into() },
        Damage::Unreadable {
            object: "table public.events".into(),
            error: "invalid page in block 3 of relation base/16384/16410".into(),
        },
    ];
    drills.push(skipped(
        APP,
        "point-in-time",
        Why::new("point in time needs an archive of the write-ahead log, which is not taken yet"),
    ));
    let mut report = report(drills, 0);
    report.images.push(ImageIdentity {
        wanted: "postgres:17".into(),
        used: "postgres:17".into(),
        ..postgres(ImageOrigin::Pulled)
    });
    report
}

/// A drill that was not tried.
pub fn skipped(name: (&str, &str, &str), scenario: &str, why: Why) -> Drill {
    Drill {
        outcome: Outcome::Skipped(why),
        rto: None,
        rpo: None,
        rpo_worst_case: None,
        rto_median_seconds: None,
        confidence: None,
        schedule: None,
        duration_seconds: 0.0,
        ..drill(name, scenario, Vec::new())
    }
}

fn failed_rto() -> Report {
    let mut slow = drill(APP, "simple-loss", vec![run(1, 2412.0)]);
    slow.outcome = Outcome::Failed(
        Why::new("recovery took 40 min 12 s, over its objective of 30 min")
            .hint("look at the phases: provision took longest"),
    );
    let mut daily = drill(APP, "total-loss", vec![run(1, 4.07)]);
    daily.schedule = Some("daily 02:00".into());
    daily.rpo_worst_case = Some(judge(seconds(3600.0), Some(86_400.75)));
    daily.outcome = Outcome::Failed(
        Why::new("the schedule `daily 02:00` allows a loss of 24 h, over the objective of 1 h")
            .hint("back up at least every 59m, or accept a larger objective in recovery.yaml"),
    );
    report(vec![slow, daily, drill(CONTENT, "simple-loss", vec![run(1, 0.037)])], 1)
}

fn broken() -> Report {
    let why = Why {
        exit_code: Some(20),
        ..Why::new(format!("restore recyclic-prod/db: {NASTY}")).hint("cargo xtask verify recyclic-prod latest")
    };
    let mut broke = run(1, 0.0);
    broke.outcome = Outcome::Broken(why.clone());
    (broke.rto_seconds, broke.rpo_seconds, broke.proof, broke.marks) = (None, None, None, None);
    broke.timeline = Timeline { spans: timeline(3.2).spans[..3].to_vec(), total_seconds: 1.648 };
    broke.steps.push(StepRecord { title: "restore".into(), seconds: 0.4, error: Some(NASTY.into()) });
    broke.damages = vec![Damage::Unreadable { object: "table public.a|b".into(), error: NASTY.into() }];
    broke.logs = Some((1..=30).map(|n| format!("2026-11-20 01:00:{n:02} UTC [71] LOG:  {NASTY}\n")).collect());
    let mut drill = drill(APP, "total-loss", vec![broke]);
    drill.outcome = Outcome::Broken(why);
    (drill.rto, drill.rpo, drill.rto_median_seconds, drill.confidence) = (None, None, None, None);
    (drill.schedule, drill.rpo_worst_case) = (None, None);
    let mut report = report(vec![drill], 20);
    report.notes.push(NASTY.into());
    report
}

fn no_docker() -> Report {
    let why = || Why {
        exit_code: Some(30),
        ..Why::new("the container engine does not answer at /run/docker.sock: connection refused")
            .hint("start it, or leave out --require docker")
    };
    let mut drills: Vec<Drill> =
        ["simple-loss", "partial-corruption", "total-loss"].iter().map(|s| skipped(APP, s, why())).collect();
    drills.push(drill(CONTENT, "total-loss", vec![run(1, 0.037)]));
    let mut report = report(drills, 0);
    report.machine.docker = None;
    report.images.clear();
    report
}

fn repeat_5() -> Report {
    let mut runs: Vec<Run> = [1.84, 1.9, 1.77, 2.2, 1.81].iter().enumerate().map(|(n, rto)| run(n + 1, *rto)).collect();
    runs[2].outcome = Outcome::Failed(
        Why::new("prove recyclic-prod/db: table public.orders: 11 rows instead of 12")
            .hint("see the steps of run 3 in report.json"),
    );
    (runs[2].rto_seconds, runs[2].rpo_seconds) = (None, None);
    runs[2].logs = Some("LOG:  database system is ready to accept connections\n".into());
    let mut drill = drill(APP, "simple-loss", runs);
    drill.rto = Some(Verdict { objective_seconds: 1800.0, actual_seconds: None, met: false });
    drill.rto_median_seconds = Some(1.855);
    drill.outcome = Outcome::Failed(
        Why::new("1 of 5 runs failed, so the worst recovery time is infinite")
            .hint("cargo xtask test-recovery --stack recyclic-prod --scenario simple-loss"),
    );
    drill.confidence = Some("5 runs, 1 not recovered: nothing is proven about 95 of 100 recoveries".into());
    report(vec![drill], 1)
}
