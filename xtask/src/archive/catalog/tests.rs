//! The catalog against every way of taking sets away, and against crashes in the middle of a line.

use super::*;
use crate::archive::disk::HostDisk;
use crate::domain::artifact::{FORMAT, Outline, SCHEMA};

fn set(sequence: u64, previous: Option<u64>) -> Public {
    let digest = |n: u64| format!("{n:064x}");
    let outline = Outline {
        format: FORMAT.to_owned(),
        schema: SCHEMA,
        requires: Vec::new(),
        id: format!("set-{sequence}"),
        sequence,
        stack: "shop".to_owned(),
        tool: String::new(),
        started_at: String::new(),
        finished_at: String::new(),
        previous: previous.map(digest),
        seal: None,
        binding: None,
        rest: None,
        components: Vec::new(),
    };
    Public { outline, whole: None, sha256: digest(sequence) }
}

fn lines(sets: &[Public]) -> Vec<Line> {
    sets.iter().map(Line::of).collect()
}

fn removed(id: &str) -> Line {
    Line::Removed { id: id.to_owned(), run: "run".to_owned(), at: "2026-11-20T00:00:00Z".to_owned() }
}

#[test]
fn a_whole_chain_has_no_contradiction_and_neither_has_one_that_was_pruned() {
    let all = [set(1, None), set(2, Some(1)), set(3, Some(2))];
    assert_eq!(contradictions(&lines(&all), &all, &[]), Vec::<String>::new());
    let told = [lines(&all), vec![removed("set-1"), removed("set-2")]].concat();
    assert_eq!(contradictions(&told, &all[2..], &[]), Vec::<String>::new());
    assert_eq!(contradictions(&[], &[], &[]), Vec::<String>::new());
}

#[test]
fn each_way_of_taking_putting_back_or_changing_a_set_is_told() {
    let all = [set(1, None), set(2, Some(1)), set(3, Some(2))];
    let told = |lines: &[Line], sets: &[Public]| contradictions(lines, sets, &[]).join("\n");
    let catalog = lines(&all);
    assert!(told(&catalog, &[all[0].clone(), all[2].clone()]).contains("set-2 is gone"));
    assert!(told(&catalog, &all[..2]).contains("set-3 is gone"), "the newest too");
    // One that was to be removed and is still there is whole: nobody loses by it.
    assert_eq!(told(&[catalog.clone(), vec![removed("set-2")]].concat(), &all), "");
    let mut other = all.clone();
    other[1].sha256 = "f".repeat(64);
    assert!(told(&catalog, &other).contains("set-2 is not the one that was committed"));
    assert!(told(&[], &other).contains("set-2 is not the one that set-3 followed"), "without a catalog too");
    let twice = [all[0].clone(), all[1].clone(), set(2, Some(1))];
    assert!(told(&catalog[..2], &twice).contains("have the same number"));
    assert!(told(&[], &all[2..]).contains("known to nobody"), "sets and catalog gone together");
    assert_eq!(contradictions(&catalog, &[all[0].clone(), all[2].clone()], &["set-2".into()]), Vec::<String>::new());
}

#[test]
fn a_line_that_a_crash_cut_is_ended_and_written_again() {
    let vault = tempfile::tempdir().unwrap();
    let all = [set(1, None), set(2, Some(1))];
    append(&HostDisk, vault.path(), &lines(&all)).unwrap();
    let path = vault.path().join(NAME);
    let whole = std::fs::read(&path).unwrap();
    let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let known = read(&HostDisk, vault.path()).unwrap();
        assert_eq!(known.len(), usize::from(cut >= first), "cut at {cut}");
        append(&HostDisk, vault.path(), &missing(&known, &all)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
    std::fs::write(&path, b"{}\n").unwrap();
    assert!(read(&HostDisk, vault.path()).unwrap_err().message.contains("line 1"));
}

#[test]
fn f10_a_line_that_was_changed_or_taken_out_is_told_and_the_newest_ones_may_be_missing_after_a_crash() {
    let all = [set(1, None), set(2, Some(1)), set(3, Some(2))];
    let told = |lines: &[Line]| contradictions(lines, &all, &[]).join("\n");
    let catalog = lines(&all);
    for n in 0..2 {
        let mut without = catalog.clone();
        without.remove(n);
        assert!(told(&without).contains(&format!("no line of set set-{}, and later sets have theirs", n + 1)));
    }
    assert_eq!(told(&catalog[..2]), "", "whoever begins the next set writes it");
    let changes: [fn(&mut u64, &mut Option<String>); 3] =
        [|sequence, _| *sequence += 1, |_, previous| *previous = None, |_, previous| *previous = Some("f".repeat(64))];
    for change in changes {
        let mut changed = catalog.clone();
        let Line::Committed { sequence, previous, .. } = &mut changed[1] else { unreachable!("a committed set") };
        change(sequence, previous);
        assert!(told(&changed).contains("line of set set-2 is not the one that was written"));
    }
}
