//! Tests of the layer's rules, on tars written here and on small packages made by dpkg-deb.

use super::*;
use crate::adapters::clock::SystemClock;
use crate::adapters::processes::Environment;
use crate::adapters::provision::child::Children;
use crate::adapters::provision::fixture;
use crate::domain::exec::Exec;
use std::sync::Arc;

/// One entry of a package: kind, path, mode, content or target.
type Entry<'a> = (EntryType, &'a str, u32, &'a str);

fn package(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, path, mode, content) in entries {
        let mut header = header(*kind, *mode, 1_700_000_000);
        header.set_uid(1234);
        header.set_username("somebody").unwrap();
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            tar.append_link(&mut header, path, content).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

/// `path mode uid size|target`, one a line, in order.
fn list(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let line = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
        let entry = entry.unwrap();
        let header = entry.header();
        let target = entry.link_name_bytes().map(|t| format!(" -> {}", String::from_utf8_lossy(&t)));
        assert_eq!(header.username().unwrap(), Some(""));
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        format!("{path} {:o} {}{}", header.mode().unwrap(), header.uid().unwrap(), target.unwrap_or_default())
    };
    archive.entries().unwrap().map(line).collect()
}

fn layered(dropped: &[&str], packages: &[Vec<u8>]) -> Result<(Written, Vec<u8>)> {
    let dropped: Vec<String> = dropped.iter().map(|d| (*d).to_owned()).collect();
    let mut layer = Layer::new(Vec::new(), &dropped);
    for package in packages {
        layer.package(&mut package.as_slice())?;
    }
    layer.finish()
}

const DIR: EntryType = EntryType::Directory;
const FILE: EntryType = EntryType::Regular;

#[test]
fn packages_become_one_tree_owned_by_root_with_the_top_folders_merged_into_usr() {
    let one = package(&[
        (DIR, "./", 0o755, ""),
        (DIR, "./bin/", 0o755, ""),
        (FILE, "./bin/su", 0o4755, "su"),
        (EntryType::Link, "./bin/also", 0o755, "./bin/su"),
        (EntryType::Symlink, "./lib64", 0o777, "usr/lib64"),
        (EntryType::Symlink, "./etc/localtime", 0o777, "/usr/share/zoneinfo/Etc/UTC"),
    ]);
    let two = package(&[
        (DIR, "./usr/bin/", 0o700, ""),
        (FILE, "./usr/bin/su", 0o755, "another"),
        (FILE, "./usr/x", 0o644, "x"),
    ]);
    let (written, tar) = layered(&[], &[one, two]).unwrap();
    assert_eq!(
        list(&tar),
        [
            "usr/ 755 0",
            "usr/bin/ 755 0",
            "usr/bin/su 755 0",
            "usr/bin/also 755 0 -> usr/bin/su",
            "etc/ 755 0",
            "etc/localtime 777 0 -> /usr/share/zoneinfo/Etc/UTC",
            "usr/x 644 0",
            "bin 777 0 -> usr/bin",
            "lib64 777 0 -> usr/lib64",
        ]
    );
    assert_eq!((written.entries, written.newest, written.bytes), (9, 1_700_000_000, tar.len() as u64));
    assert_eq!(written.sha256, hex(&Sha256::digest(&tar)));
}

#[test]
fn dropped_paths_stay_out_with_all_that_is_below_them() {
    let files = [
        "usr/share/doc/a/copyright",
        "usr/share/docs",
        "usr/lib/x86/gconv/a.so",
        "etc/cron.daily/x",
        "etc/cron",
        "usr/lib/llvmjit.so",
    ];
    let entries: Vec<Entry<'_>> = files.iter().map(|f| (FILE, *f, 0o644, "")).collect();
    let (_, tar) =
        layered(&["usr/share/doc", "usr/lib/*/gconv", "etc/cron.*", "usr/lib/llvmjit*"], &[package(&entries)]).unwrap();
    let left: Vec<String> = list(&tar).into_iter().filter(|l| !l.contains("/ ")).collect();
    assert_eq!(left, ["usr/share/docs 644 0", "etc/cron 644 0"]);
}

#[test]
fn a_star_stands_for_a_part_of_one_name() {
    for (pattern, name, is) in [
        ("cron.*", "cron.d", true),
        ("cron.*", "cron", false),
        ("*", "anything", true),
        ("a*b*c", "a1b2c", true),
        ("a*b*c", "a1c2b", false),
        ("a*a", "a", false),
        ("plain", "plain", true),
        ("plain", "plain2", false),
    ] {
        assert_eq!(matches(pattern, name), is, "{pattern} {name}");
    }
}

#[test]
fn the_recipe_s_own_entries_come_first_and_win() {
    let mut layer = Layer::new(Vec::new(), &[]);
    layer.directory("var/lib/data", (0o1777, 999, 999)).unwrap();
    layer.link("var/run", "/run").unwrap();
    layer.file("etc/passwd", 0o644, b"root").unwrap();
    let theirs = package(&[
        (DIR, "./var/run/", 0o755, ""),
        (FILE, "./etc/passwd", 0o600, "other"),
        (DIR, "./var/lib/data/", 0o700, ""),
    ]);
    layer.package(&mut theirs.as_slice()).unwrap();
    let (_, tar) = layer.finish().unwrap();
    assert!(list(&tar).contains(&"var/lib/data/ 1777 999".to_owned()), "{:?}", list(&tar));
    assert!(list(&tar).contains(&"var/run 777 0 -> /run".to_owned()));
    assert_eq!(list(&tar).iter().filter(|l| l.starts_with("etc/passwd")).count(), 1);
}

#[test]
fn hostile_or_damaged_packages_are_refused() {
    let climbing = {
        let mut header = header(FILE, 0o644, 0);
        header.as_old_mut().name[..9].copy_from_slice(b"../passwd");
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let device = package(&[(EntryType::Char, "./dev/null", 0o666, "")]);
    let below_a_file = package(&[(FILE, "./a", 0o644, ""), (FILE, "./a/b", 0o644, "")]);
    let long = "x".repeat(5000);
    let cut = package(&[(FILE, "./long", 0o644, &long)])[..3000].to_vec();
    for (what, bytes) in [("climb", climbing), ("kind", device), ("no directory", below_a_file), ("long", cut)] {
        let error = layered(&[], &[bytes]).map(drop).unwrap_err();
        assert!(format!("{error:#}").contains(what), "{what}: {error:#}");
    }
}

#[test]
fn long_paths_and_link_targets_survive() {
    let (path, target) = (format!("usr/{}/{}", "p".repeat(80), "f".repeat(80)), "t/".repeat(70) + "end");
    let linked = format!("usr/{}", "l".repeat(120));
    let (_, tar) =
        layered(&[], &[package(&[(FILE, &path, 0o644, "x"), (EntryType::Symlink, &linked, 0o777, &target)])]).unwrap();
    assert!(list(&tar).contains(&format!("{path} 644 0")));
    assert!(list(&tar).contains(&format!("{linked} 777 0 -> {target}")));
}

#[test]
fn the_same_packages_give_the_same_bytes_whenever_they_are_unpacked() {
    let test = "the_same_packages_give_the_same_bytes_whenever_they_are_unpacked";
    let children = Children::new(Arc::new(SystemClock::start()));
    let Some(architecture) = fixture::architecture(&children, &["dpkg-deb"], test) else { return };
    let pool = tempfile::tempdir().unwrap();
    let files =
        |words: &str| vec![("usr/bin/tool".to_owned(), words.into()), ("usr/share/doc/x".to_owned(), b"doc".to_vec())];
    let debs = [
        fixture::deb(&children, pool.path(), "a", &architecture, "", &files("one")),
        fixture::deb(&children, pool.path(), "b", &architecture, "", &[("lib/b.so".to_owned(), vec![7; 100_000])]),
    ];
    let build = |debs: &[std::path::PathBuf]| {
        let mut layer = Layer::new(Vec::new(), &["usr/share/doc".to_owned()]);
        for deb in debs {
            let unpack = Exec::site("dpkg-deb").args(["--fsys-tarfile", deb.to_str().unwrap()]);
            children.stream(&unpack, Environment::Inherited, |out| layer.package(out)).unwrap();
        }
        layer.finish().unwrap()
    };
    let (first, tar) = build(&debs);
    assert_eq!(build(&debs), (first.clone(), tar.clone()));
    assert!(list(&tar).iter().any(|l| l == "usr/lib/b.so 644 0"), "{:?}", list(&tar));
    let changed = fixture::deb(&children, pool.path(), "a", &architecture, "", &files("two"));
    assert_ne!(build(&[changed, debs[1].clone()]).0.sha256, first.sha256);
}
