//! Every sample through every reporter, compared with files in `fixtures/golden`. `XTASK_UPDATE_GOLDEN=1` writes them anew.

use super::samples;
use std::path::PathBuf;
use xtask::domain::report::Report;
use xtask::reporters::{self, Destination, Style};

fn text(reporter: &str, report: &Report, style: Style, to: Destination) -> String {
    reporters::find(reporter).unwrap().render(report, &style).unwrap().text(to).to_owned()
}

/// What each golden file holds.
fn views(report: &Report) -> Vec<(&'static str, String)> {
    let terminal = |style: Style| {
        text("terminal", report, style, Destination::Terminal)
            + "\n"
            + &text("terminal", report, style, Destination::Closing)
    };
    let plain = Style::plain(80);
    vec![
        ("terminal-80.txt", terminal(plain)),
        ("terminal-120.txt", terminal(Style::plain(120))),
        ("terminal-colour.txt", terminal(Style { colour: true, width: 100 }).replace('\x1b', "\\e")),
        ("junit.xml", text("junit", report, plain, Destination::File("junit.xml"))),
        ("report.json", text("json", report, plain, Destination::File("report.json"))),
        ("summary.md", text("github", report, plain, Destination::StepSummary)),
        ("annotations.txt", text("github", report, plain, Destination::Annotations)),
    ]
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch that rewrites the expectations")]
fn every_sample_reads_as_its_golden_files_say() {
    let update = std::env::var("XTASK_UPDATE_GOLDEN").is_ok_and(|v| v == "1");
    let mut wrong = String::new();
    for (name, report) in samples::all() {
        let folder = golden().join(name);
        for (file, found) in views(&report) {
            let path = folder.join(file);
            if update {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &found).unwrap();
            }
            let wanted = std::fs::read_to_string(&path).unwrap_or_default();
            if wanted != found {
                let diff = similar::TextDiff::from_lines(&wanted, &found);
                wrong += &diff.unified_diff().header(&format!("{name}/{file} (golden)"), "rendered now").to_string();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nif this is better, run again with XTASK_UPDATE_GOLDEN=1 and read the diff");
}

#[test]
fn golden_files_are_exactly_the_samples() {
    let mut found: Vec<String> =
        std::fs::read_dir(golden()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let mut wanted: Vec<String> = samples::all().iter().map(|(name, _)| (*name).to_owned()).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn no_line_is_wider_than_the_screen_and_none_steers_it() {
    for (name, report) in samples::all() {
        for width in [80, 100, 120] {
            let said = text("terminal", &report, Style::plain(width), Destination::Terminal);
            for line in said.lines() {
                assert!(line.chars().count() <= width, "{name} at {width}: {line}");
                assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
                assert_eq!(line.trim_end(), line, "{name}: trailing blanks");
            }
        }
    }
}

#[test]
fn only_passed_is_green_and_every_verdict_is_a_word_too() {
    for (name, report) in samples::all() {
        let style = Style { colour: true, width: 120 };
        let said = text("terminal", &report, style, Destination::Terminal)
            + &text("terminal", &report, style, Destination::Closing);
        for green in said.split("\x1b[1;32m").skip(1) {
            assert!(green.starts_with("PASSED\x1b[0m"), "{name}: green is {:?}", &green[..20]);
        }
        for drill in &report.drills {
            let word = drill.outcome.word().to_uppercase();
            assert!(
                said.lines().any(|l| l.contains(&word) && l.contains(&drill.store)),
                "{name}: no {word} in\n{said}"
            );
        }
    }
}

#[test]
fn a_number_that_json_cannot_hold_is_an_error_and_not_a_null() {
    let mut report = samples::all().remove(0).1;
    report.drills[0].runs[0].steps[0].seconds = f64::INFINITY;
    let error = reporters::find("json").unwrap().render(&report, &Style::plain(80)).unwrap_err();
    assert!(format!("{error:#}").contains("finite"), "{error:#}");
}

#[test]
fn json_gives_back_the_very_report() {
    for (name, report) in samples::all() {
        let json = text("json", &report, Style::plain(80), Destination::File("report.json"));
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report, "{name}");
    }
}
