//! The fault matrix and the list of old flaws, held to the tree: every row is there once, with a verdict, and every test that one
//! names exists. A row without a test says why.

use super::{assert_none, pages_in, text};
use std::collections::BTreeSet;

const FAULTS: std::ops::RangeInclusive<u32> = 1..=60;

/// The cells of each row whose first one is this letter and a number (`F07`) or, without a letter, a number.
fn rows(document: &str, letter: &str) -> Vec<(u32, Vec<String>)> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<String> =
            line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ").map(str::to_owned).collect();
        Some((cells[0].strip_prefix(letter)?.parse().ok()?, cells))
    });
    rows.collect()
}

/// The names between backticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Every function of the tree that is a test.
fn tests() -> BTreeSet<String> {
    let pages: Vec<_> = pages_in("tests/recovery/", ".rs").into_iter().chain(pages_in("xtask/src/", ".rs")).collect();
    let mut found = BTreeSet::new();
    for page in &pages {
        // `#[test]` alone, or inside `proptest!`, with whatever stands between it and the function.
        for part in page.text.split("#[test]").skip(1) {
            let name = part.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            found.extend(name.map(str::to_owned));
        }
    }
    found
}

fn findings(rows: &[(u32, Vec<String>)], tests: &BTreeSet<String>, width: usize) -> Vec<String> {
    let mut found = Vec::new();
    for (number, cells) in rows {
        if cells.len() != width {
            found.push(format!("row {number}: {} cells, not {width}", cells.len()));
            continue;
        }
        let (names, verdict) = (named(&cells[2]), &cells[width - 1]);
        found.extend(names.iter().filter(|n| !tests.contains(**n)).map(|n| format!("row {number}: no test `{n}`")));
        let explained = ["partly", "not concerned", "comes with"].iter().any(|word| verdict.starts_with(word));
        if !explained && !verdict.starts_with("covered") {
            found.push(format!("row {number}: `{verdict}` is no verdict"));
        }
        if verdict.starts_with("covered") && names.is_empty() {
            found.push(format!("row {number}: covered, and no test is named"));
        }
        if verdict == "partly" || (explained && !verdict.contains(": ") && !verdict.starts_with("comes with")) {
            found.push(format!("row {number}: what is missing is not said"));
        }
    }
    let mut numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    numbers.dedup();
    if numbers.len() != rows.len() || !numbers.is_sorted() {
        found.push("rows twice, or out of order".to_owned());
    }
    found
}

#[test]
fn every_fault_has_its_row_and_every_test_that_a_row_names_exists() {
    let (document, tests) = (text("docs/reliability.md"), tests());
    assert!(tests.len() > 500, "only {} tests found", tests.len());
    let faults = rows(&document, "F");
    assert_eq!(faults.iter().map(|(number, _)| *number).collect::<Vec<_>>(), FAULTS.collect::<Vec<_>>());
    assert_none(&findings(&faults, &tests, 5));
}

#[test]
fn every_flaw_names_a_test_that_has_its_number() {
    let (document, tests) = (text("docs/reliability.md"), tests());
    let flaws = rows(&document, "");
    assert!(flaws.len() > 20, "only {} flaws found", flaws.len());
    assert_none(&findings(&flaws, &tests, 4));
    for (number, cells) in flaws {
        let numbered = |name: &str| {
            let words: Vec<&str> = name.split('_').collect();
            name.contains("flaw") && words.iter().any(|word| word.parse() == Ok(number))
        };
        assert!(
            named(&cells[2]).iter().any(|name| numbered(name)),
            "no test of flaw {number} has its number in its name"
        );
    }
}

#[test]
fn a_row_that_names_no_test_or_says_nothing_is_reported() {
    let tests: BTreeSet<String> = ["f01_it_is_there".to_owned()].into();
    let check = |row: &str| findings(&rows(row, "F"), &tests, 5);
    assert_none(&check("| F01 | fault | `f01_it_is_there` | CI | covered |"));
    assert_none(&check("| F02 | fault | none | none | not concerned: no such store |"));
    for planted in [
        "| F01 | fault | `f01_it_is_gone` | CI | covered |",
        "| F01 | fault | none | CI | covered |",
        "| F01 | fault | `f01_it_is_there` | CI | partly |",
        "| F01 | fault | `f01_it_is_there` | CI | fine |",
        "| F01 | fault | `f01_it_is_there` | covered |",
        "| F01 | a | `f01_it_is_there` | CI | covered |\n| F01 | a | `f01_it_is_there` | CI | covered |",
    ] {
        assert_eq!(check(planted).len(), 1, "{planted}");
    }
}
