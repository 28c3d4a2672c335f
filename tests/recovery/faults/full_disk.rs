//! A vault whose disk fills up, met through the program: at every size between nothing and enough, and by a limit on the size of
//! files, which any user may set.

use super::desk::{Desk, text};
use super::rig::Mounted;
use std::process::{Command, Stdio};

const TEST: &str = "f03_a_disk_that_fills_up_at_any_size_ends_with_storage_and_leaves_what_was_there";

#[test]
fn f03_a_disk_that_fills_up_at_any_size_ends_with_storage_and_leaves_what_was_there() {
    let desk = Desk::sqlite(300);
    let Some(disk) = Mounted::tmpfs(TEST, desk.at("mounted"), "size=8m,mode=0700") else { return };
    desk.vault_at(&disk.path().join("vault"));
    desk.ends(0, &["backup", "shop"]);
    let used = || {
        let found = rustix::fs::statvfs(disk.path()).unwrap();
        (found.f_blocks - found.f_bfree) * found.f_frsize / 1024
    };
    let (first, mut foreseen, mut full, mut fitted) = (used(), 0, 0, 0);
    // Twice as much as the last set tells.
    super::files::more(&desk.at("app.db"), 300);
    // The next one has from almost nothing to three times what the first took.
    for more in (4..=3 * first).step_by(40) {
        disk.remount(&format!("size={}k", first + more));
        let before = desk.sets();
        let done = desk.run(&["backup", "shop"]);
        let said = text(&done.stderr);
        match done.status.code() {
            Some(0) => fitted += 1,
            Some(21) => {
                let before_anything = said.contains("nothing was begun");
                *(if before_anything { &mut foreseen } else { &mut full }) += 1;
                assert!(before_anything != said.contains("No space left") && said.contains("bytes free"), "{said}");
                assert!(said.contains("hint: free space there"), "{said}");
                assert_eq!(desk.sets(), before);
            }
            other => panic!("{more} KiB ended with {other:?}: {said}"),
        }
        desk.assert_invariants(&before, 0, &format!("a disk with {more} KiB left"));
        for new in desk.sets().iter().filter(|set| !before.contains(set)) {
            std::fs::remove_dir_all(desk.vault().join(new)).unwrap();
            for records in ["catalog.jsonl", "audit.jsonl"].map(|name| desk.vault().join(name)) {
                let text = std::fs::read_to_string(&records).unwrap();
                let kept = text.lines().filter(|line| !line.contains(new)).map(|line| format!("{line}\n"));
                std::fs::write(&records, kept.collect::<String>()).unwrap();
            }
        }
    }
    println!("{foreseen} times foreseen, {full} times full, {fitted} times fitted");
    assert!(foreseen >= 5 && full >= 5 && fitted >= 3, "foreseen {foreseen}, full {full}, fitted {fitted} times");
}

#[expect(clippy::disallowed_methods, reason = "the real program is started under a limit")]
#[test]
fn f03_a_limit_on_the_size_of_files_leaves_no_set_and_harms_none() {
    const LIMITED: &str = "f03_a_limit_on_the_size_of_files_leaves_no_set_and_harms_none";
    let desk = Desk::sqlite(300);
    desk.ends(0, &["backup", "shop"]);
    let before = desk.sets();
    for kib in [0_u32, 1, 4, 64, 200, 280, 1 << 20] {
        let limit = format!("--fsize={}", u64::from(kib) * 1024);
        let words = [limit.as_str(), "--", env!("CARGO_BIN_EXE_xtask"), "backup", "shop"];
        let like = desk.command(&[]);
        let mut limited = Command::new("prlimit");
        limited.args(words).current_dir(like.get_current_dir().unwrap()).stdin(Stdio::null());
        limited.envs(like.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let Ok(done) = limited.output() else {
            println!("SKIPPED {LIMITED}: prlimit is not installed");
            return;
        };
        let said = text(&done.stderr);
        // The last limit is none: only the limits made the others fail.
        let unlimited = kib == 1 << 20;
        assert_eq!(done.status.success(), unlimited, "{kib} KiB: {said}");
        assert_eq!(desk.sets().len() - before.len(), usize::from(unlimited), "{kib} KiB: {said}");
        desk.assert_invariants(&before, 0, &format!("files of {kib} KiB at most"));
    }
}
