//! What is particular to directory sites; what every site promises is in the contract suite.

use super::*;
use crate::domain::exec::Exec;
use crate::ports::Running;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn sites(base: &Path) -> DirectorySites {
    DirectorySites::new("r1", PathBuf::from("/bin/echo"), Some(base.to_owned()))
}

fn text(running: Running) -> String {
    let mut running = running;
    let mut text = String::new();
    running.stdout.read_to_string(&mut text).unwrap();
    assert_eq!(running.control.wait().unwrap().code, 0);
    text
}

fn names(base: &Path) -> Vec<String> {
    fs::read_dir(base).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn commands_run_in_a_private_data_folder_that_holds_nothing_of_ours() {
    let base = tempfile::tempdir().unwrap();
    let sites = sites(base.path());
    let site = sites.open(&SiteSpec::Directory, "drill").unwrap();
    let folder = text(site.start(&Exec::site("pwd")).unwrap());
    assert_eq!(folder.trim_end(), site.identity().name);
    assert_eq!(text(site.start(&Exec::site("ls").arg("-A")).unwrap()), "");
    let home = Path::new(folder.trim_end()).parent().unwrap();
    assert!(home.file_name().unwrap().to_str().unwrap().starts_with("xtask-r1-drill-"));
    assert_eq!(fs::metadata(home).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(home.join(".xtask-owner").is_file());
    assert!(site.scratch().starts_with(home.to_str().unwrap()));
    drop(site);
    assert_eq!(names(base.path()), [""; 0]);
}

#[test]
fn own_tools_are_this_binary_re_executed() {
    let base = tempfile::tempdir().unwrap();
    let site = sites(base.path()).open(&SiteSpec::Directory, "drill").unwrap();
    assert_eq!(text(site.start(&Exec::own(["sqlite", "census", "a b"])).unwrap()), "__tool sqlite census a b\n");
}

#[test]
fn somebodys_folder_is_read_in_place_and_nothing_appears_in_it() {
    let (base, somebodys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(somebodys.path().join("app.db"), "data").unwrap();
    let sites = sites(base.path());
    let site = sites.attach(&Attachment::Folder(somebodys.path().to_owned())).unwrap();
    assert_eq!(text(site.start(&Exec::site("cat").arg("app.db")).unwrap()), "data");
    assert!(!Path::new(&site.scratch()).starts_with(somebodys.path().canonicalize().unwrap()));
    drop(site);
    sites.abandon().unwrap();
    assert_eq!(names(somebodys.path()), ["app.db"]);
    assert_eq!(names(base.path()), [""; 0]);
}

#[test]
fn a_folder_that_is_not_there_is_a_missing_store() {
    let base = tempfile::tempdir().unwrap();
    let error = sites(base.path()).attach(&Attachment::Folder(base.path().join("nowhere"))).err().unwrap();
    assert_eq!(error.downcast_ref::<Refusal>().unwrap().kind, RefusalKind::MissingStore);
    fs::write(base.path().join("file"), "").unwrap();
    assert!(sites(base.path()).attach(&Attachment::Folder(base.path().join("file"))).is_err());
    assert_eq!(names(base.path()), ["file"]);
}

#[test]
fn destroying_ends_the_children_and_removes_even_what_is_write_protected() {
    let base = tempfile::tempdir().unwrap();
    let site = sites(base.path()).open(&SiteSpec::Directory, "drill").unwrap();
    let folder = PathBuf::from(site.identity().name);
    fs::create_dir_all(folder.join("a/b")).unwrap();
    fs::write(folder.join("a/b/c"), "x").unwrap();
    fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut running = site.start(&Exec::site("sleep").arg("600")).unwrap();
    site.destroy().unwrap();
    assert_eq!(running.control.wait().unwrap().code, 137);
    assert_eq!(names(base.path()), [""; 0]);
}

#[test]
fn a_sweep_removes_what_the_dead_left_and_nothing_else() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    let make = |name: &str, owner: Option<&str>| {
        fs::create_dir_all(at(name)).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o700)).unwrap();
        if let Some(owner) = owner {
            fs::write(at(name).join(".xtask-owner"), owner).unwrap();
        }
    };
    let dead = crate::adapters::owner::Owner::this_process().unwrap().to_string() + "1";
    make("xtask-dead-1", Some(&dead));
    fs::create_dir_all(at("xtask-dead-1/data/a")).unwrap();
    fs::write(at("xtask-dead-1/data/a/b"), "x").unwrap();
    make("xtask-rebooted", Some("other-boot:1:1\n"));
    make("xtask-killed-early", None);
    make("xtask-killed-later", Some(""));
    make("xtask-not-ours", None);
    fs::write(at("xtask-not-ours/thesis.txt"), "x").unwrap();
    make("other", Some(&dead));
    make("xtask-open-to-others", Some(&dead));
    fs::set_permissions(at("xtask-open-to-others"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(at("other"), at("xtask-link")).unwrap();
    fs::write(at("xtask-file"), "x").unwrap();
    let alive = sites(base.path());
    let site = alive.open(&SiteSpec::Directory, "drill").unwrap();
    let home = Path::new(&site.identity().name).parent().unwrap().display().to_string();

    let swept = sites(base.path()).sweep().unwrap();
    let full = |names: &[&str]| names.iter().map(|n| at(n).display().to_string()).collect::<Vec<_>>();
    assert_eq!(swept.removed, full(&["xtask-dead-1", "xtask-killed-early", "xtask-killed-later", "xtask-rebooted"]));
    let mut kept = full(&["xtask-not-ours"]);
    kept.push(home);
    kept.sort();
    assert_eq!(swept.kept, kept);
    for name in ["other", "xtask-open-to-others", "xtask-link", "xtask-file", "xtask-not-ours/thesis.txt"] {
        assert!(at(name).exists(), "{name}");
    }
    let mut running = site.start(&Exec::site("cat").reads_stdin()).unwrap();
    running.stdin.take().unwrap().write_all(b"alive").unwrap();
    assert_eq!(text(running), "alive");
}

/// Folders come and go while a sweep looks, and a folder without an owner may get one at any moment.
#[test]
fn a_sweep_beside_living_runs_neither_fails_nor_takes_anything_from_them() {
    let base = tempfile::tempdir().unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sweepers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let sites = sites(base.path());
                    let mut sweeps = 0;
                    while !over.load(std::sync::atomic::Ordering::SeqCst) {
                        sites.sweep().unwrap_or_else(|e| panic!("{e:#}"));
                        sweeps += 1;
                    }
                    sweeps
                })
            })
            .collect();
        let living = sites(base.path());
        let lost = (0..500)
            .filter(|_| {
                let site = living.open(&SiteSpec::Directory, "drill").unwrap();
                let folder = PathBuf::from(site.identity().name);
                std::thread::yield_now();
                !folder.is_dir() || !Path::new(&site.scratch()).is_dir()
            })
            .count();
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(lost, 0, "private folders of a living run were removed");
        for sweeper in sweepers {
            assert!(sweeper.join().unwrap() > 10);
        }
    });
    assert_eq!(names(base.path()), [""; 0]);
}

#[test]
fn abandoning_works_from_another_thread_while_a_command_runs() {
    let base = tempfile::tempdir().unwrap();
    let sites = sites(base.path());
    let site = sites.open(&SiteSpec::Directory, "drill").unwrap();
    let mut running = site.start(&Exec::site("sleep").arg("600")).unwrap();
    let waiting = std::thread::spawn(move || running.control.wait());
    sites.abandon().unwrap();
    assert_eq!(waiting.join().unwrap().unwrap().code, 137);
    assert_eq!(names(base.path()), [""; 0]);
    assert!(site.start(&Exec::site("true")).is_err());
    assert!(sites.open(&SiteSpec::Directory, "drill").is_err());
    assert_eq!(names(base.path()), [""; 0]);
}

#[test]
fn words_that_could_leave_the_folder_make_no_site() {
    let base = tempfile::tempdir().unwrap();
    for purpose in ["../x", "a/b", "a\0b", "é"] {
        assert!(sites(base.path()).open(&SiteSpec::Directory, purpose).is_err(), "{purpose:?}");
    }
    assert_eq!(names(base.path()), [""; 0]);
}
