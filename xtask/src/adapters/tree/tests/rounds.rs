//! Out and back: archives are deterministic, complete, and readable by others; selective restores keep what is newer.

use super::*;
use crate::domain::diagnosis::Diagnosis;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn a_folder_comes_back_as_it_was() {
    let (place, data) = uploads();
    let (archive, promised) = dumped(&data);
    assert_eq!(promised.differences(&ran("census", &data, &[]).census()), []);
    let target = place.path().join("restored/data");
    fed("load", &target, &[], &archive).unwrap();
    assert!(!target.exists(), "the name changes hands in the last act only");
    ran("adopt", &target, &[]);
    assert_eq!(promised.differences(&ran("census", &target, &[]).census()), []);
    assert_eq!(names(target.parent().unwrap()), ["data"]);
    assert_eq!(dumped(&target).0, archive, "the second archive is the first, byte for byte");
    let inode = |name: &str| std::fs::metadata(target.join(name)).unwrap().ino();
    assert_eq!(inode("documents/copy.txt"), inode("documents/contract-00003.txt"));
    assert!(target.join("inbox/nothing here").is_dir());
    ran("probe", &target, &[]);
}

#[test]
fn a_folder_keeps_what_decides_to_whom_its_new_files_belong() {
    let (place, data) = uploads();
    let mode = |folder: &Path| std::fs::metadata(folder.join("inbox")).unwrap().mode() & 0o7777;
    std::fs::set_permissions(data.join("inbox"), std::fs::Permissions::from_mode(0o3775)).unwrap();
    let (archive, promised) = dumped(&data);
    let target = place.path().join("restored/data");
    fed("load", &target, &[], &archive).unwrap();
    ran("adopt", &target, &[]);
    assert_eq!(mode(&target), 0o3775);
    std::fs::set_permissions(target.join("inbox"), std::fs::Permissions::from_mode(0o775)).unwrap();
    let found = promised.differences(&ran("census", &target, &[]).census());
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["folder inbox: content differs in 0 rows"]);
}

#[test]
fn a_restore_into_a_folder_that_cannot_be_renamed_moves_everything_in() {
    let (_place, data) = uploads();
    let (archive, promised) = dumped(&data);
    let site = tempfile::tempdir().unwrap();
    std::fs::create_dir(site.path().join(".xtask-scratch")).unwrap();
    // As the working folder, this path has no name of its own to give away.
    let here = site.path().join(".xtask-scratch/..");
    fed("load", &here, &[], &archive).unwrap();
    assert_eq!(names(&here), [".xtask-restore", ".xtask-scratch"]);
    ran("adopt", &here, &[]);
    std::fs::remove_dir(site.path().join(".xtask-scratch")).unwrap();
    assert_eq!(promised.differences(&ran("census", site.path(), &[]).census()), []);
}

#[test]
fn other_programs_read_the_archive() {
    let (_place, data) = uploads();
    std::fs::write(data.join("n".repeat(200)), "long").unwrap();
    let (archive, _) = dumped(&data);
    let mut seen = 0;
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        if entry.header().entry_type().is_file() {
            assert_eq!(content, std::fs::read(data.join(&path)).unwrap(), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn names_of_any_bytes_and_any_length_survive() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9 \n \\ \"");
    std::fs::write(data.join(odd), "odd").unwrap();
    let mut deep = data.clone();
    for _ in 0..15 {
        deep.push("d".repeat(250));
        if std::fs::create_dir(&deep).is_err() {
            deep.pop();
            break;
        }
    }
    std::fs::write(deep.join("f"), "deep").unwrap();
    let old = std::fs::File::create(data.join("old")).unwrap();
    let before = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::new(86_400, 500);
    old.set_times(std::fs::FileTimes::new().set_modified(before)).unwrap();
    std::fs::set_permissions(data.join("old"), std::fs::Permissions::from_mode(0o6755)).unwrap();
    let (archive, promised) = dumped(&data);
    let target = place.path().join("back");
    fed("load", &target, &[], &archive).unwrap();
    ran("adopt", &target, &[]);
    assert_eq!(promised.differences(&ran("census", &target, &[]).census()), []);
    assert_eq!(std::fs::read(target.join(odd)).unwrap(), b"odd");
    let back = std::fs::metadata(target.join("old")).unwrap();
    assert_eq!(
        (back.mtime(), back.mtime_nsec(), back.mode() & 0o7777),
        (-86_401, 999_999_500, 0o755),
        "and no setuid bit"
    );
}

#[test]
fn what_has_no_content_is_skipped_by_name_and_links_that_lead_out_are_refused() {
    let (_place, data) = uploads();
    let _socket = std::os::unix::net::UnixListener::bind(data.join("app.sock")).unwrap();
    let scratch = data.join(".xtask-scratch");
    let census = scratch.join("census");
    let said = ran("dump", &data, &["--census", census.to_str().unwrap()]);
    assert!(said.err.contains("skipped app.sock"), "{}", said.err);
    let taken = ran("census-taken", &census, &[]).census();
    assert!(!taken.objects.keys().any(|o| o.contains("app.sock") || o.contains("scratch")));
    symlink("/etc/passwd", data.join("evil")).unwrap();
    let refused = refusal(fed("dump", &data, &["--census", census.to_str().unwrap()], b""));
    assert_eq!(refused.kind, RefusalKind::Preflight);
    assert!(ran("inspect", &data, &[]).text().starts_with("state=bad-link\ndetail=`evil`"));
}

#[test]
fn a_folder_that_is_missing_or_empty_is_seen_to_be() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    assert_eq!(ran("inspect", &data, &[]).text(), "state=missing\n");
    assert_eq!(
        refusal(fed("dump", &data, &["--census", place.path().join("s/c").to_str().unwrap()], b"")).kind,
        RefusalKind::MissingStore
    );
    std::fs::create_dir_all(data.join("a/b")).unwrap();
    assert_eq!(ran("inspect", &data, &[]).text(), "state=empty\n");
    assert_eq!(refusal(fed("probe", &data, &[], b"")).kind, RefusalKind::EmptyStore);
    std::fs::write(data.join("a/b/c"), "x").unwrap();
    assert_eq!(ran("inspect", &data, &[]).text(), "state=files\n");
    std::fs::write(place.path().join("file"), "x").unwrap();
    assert_eq!(ran("inspect", &place.path().join("file"), &[]).text(), "state=foreign\n");
}

#[test]
fn nothing_is_restored_into_a_folder_that_holds_something() {
    let (place, data) = uploads();
    let (archive, _) = dumped(&data);
    assert_eq!(refusal(fed("load", &data, &[], &archive)).kind, RefusalKind::TargetNotEmpty);
    assert!(ran("vacant", &data, &["--needs", "5"]).text().starts_with("state=occupied\n"));
    let late = place.path().join("late");
    fed("load", &late, &[], &archive).unwrap();
    std::fs::create_dir(&late).unwrap();
    std::fs::write(late.join("precious"), "x").unwrap();
    assert_eq!(refusal(fed("adopt", &late, &[], b"")).kind, RefusalKind::TargetNotEmpty);
    assert_eq!(names(&late), ["precious"]);
}

#[test]
fn a_selective_restore_brings_back_the_damaged_files_and_keeps_the_newer_ones() {
    let (place, data) = uploads();
    fed("mark", &data, &[], b"1\n2\n").unwrap();
    let (archive, backup) = dumped(&data);
    ran("churn", &data, &[]);
    fed("mark", &data, &[], b"3\n").unwrap();
    let before = ran("census", &data, &[]).census();
    ran("strike-corrupt", &data, &[]);
    let said = ran("diagnose", &data, &[]);
    let (diagnosis, _) = Diagnosis::parse(said.text(), &backup).unwrap();
    let mut lost: Vec<&str> = diagnosis.lost().filter(|o| !o.contains(".xtask-marks")).collect();
    lost.sort_unstable();
    let mut struck: Vec<String> =
        drill::DELETED.iter().chain(&[drill::CUT, drill::FLIPPED]).map(|n| format!("file {n}")).collect();
    struck.sort();
    assert_eq!(lost, struck);
    let staged = place.path().join("scratch/backup.tar");
    let listed = fed("stage", &staged, &[], &archive).unwrap();
    assert!(diagnosis.lost().all(|l| listed.text().lines().any(|line| line == l)));
    let input = serde_json::to_string(&diagnosis).unwrap();
    let said = fed("pick", &data, &[staged.to_str().unwrap()], input.as_bytes()).unwrap();
    assert_eq!(said.text(), format!("restored={}\n", diagnosis.lost().count()));
    let after = ran("census", &data, &[]).census();
    let odd: Vec<String> = before.differences(&after).iter().map(ToString::to_string).collect();
    assert_eq!(odd, ["file .xtask-marks/struck/3: missing"], "all else is as it was before the strike");
    assert_ne!(
        before.objects["file documents/contract-00001.txt"],
        backup.objects["file documents/contract-00001.txt"]
    );
    assert_eq!(ran("marks", &data, &["kept"]).text(), "1\n2\n3\n");
    assert_eq!(ran("marks", &data, &["struck"]).text(), "1\n2\n");
    assert_eq!(names(place.path()), ["data", "scratch"]);
}

#[test]
fn a_selective_restore_does_not_follow_a_link_that_took_a_folders_place() {
    let (place, data) = uploads();
    let (archive, _) = dumped(&data);
    let elsewhere = place.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::remove_dir_all(data.join("documents")).unwrap();
    symlink(&elsewhere, data.join("documents")).unwrap();
    let staged = place.path().join("backup.tar");
    fed("stage", &staged, &[], &archive).unwrap();
    let input = br#"{"damages":[{"damage":"missing","object":"file documents/empty.txt"}]}"#;
    assert!(fed("pick", &data, &[staged.to_str().unwrap()], input).is_err());
    assert_eq!(names(&elsewhere), [""; 0]);
    let unknown = br#"{"damages":[{"damage":"missing","object":"file never"}]}"#;
    assert_eq!(refusal(fed("pick", &data, &[staged.to_str().unwrap()], unknown)).kind, RefusalKind::BadArtifact);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_archived_as_it_was_read() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let path = data.join("log");
    std::fs::write(&path, "0").unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let log = &path;
        let busy = scope.spawn(move || {
            let mut n = 0u64;
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                n += 1;
                std::fs::write(log, n.to_string().repeat(1 + (n % 700) as usize)).unwrap();
            }
        });
        for round in 0..20 {
            let (archive, census) = dumped(&data);
            let target = place.path().join(format!("r{round}"));
            fed("load", &target, &[], &archive).unwrap();
            ran("adopt", &target, &[]);
            assert_eq!(census.differences(&ran("census", &target, &[]).census()), []);
        }
        stop.send(()).unwrap();
        busy.join().unwrap();
    });
}

#[test]
fn what_fails_after_two_folders_changed_names_is_told_and_ended_later() {
    let place = tempfile::tempdir().unwrap();
    let [data, fresh, previous] = ["data", "data_restore_x", "data_before_x"].map(|name| place.path().join(name));
    for (folder, text) in [(&data, "old"), (&fresh, "restored"), (&previous, "in the way")] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("said"), text).unwrap();
    }
    let places = exchange::Places { fresh, previous: previous.clone() };
    let said = Said::of(b"", &[], |_, streams| exchange::exchange(&data, &places, (true, true), streams)).unwrap();
    assert!(said.text().contains("note=what was there before"), "{}", said.text());
    assert_eq!(std::fs::read_to_string(data.join("said")).unwrap(), "restored");
    std::fs::remove_dir_all(&previous).unwrap();
    let said = Said::of(b"", &[], |_, streams| exchange::clear(&data, &places, streams)).unwrap();
    assert!(said.text().contains("kept="), "{}", said.text());
    assert_eq!(std::fs::read_to_string(previous.join("said")).unwrap(), "old");
}
