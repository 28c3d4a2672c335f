//! Tests of fetching: apt's own output, and a real apt on a tiny mirror in a temporary folder.

use super::*;
use crate::adapters::clock::SystemClock;
use crate::adapters::provision::fixture::{self, Silent};
use std::sync::Arc;

#[test]
fn apt_s_list_of_uris_becomes_packages_sorted_by_file() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let text = format!(
        "Reading package lists...\n'http://m/pool/z/zstd_1.5.4%2bdfsg2-5_amd64.deb' zstd_1.5.4+dfsg2-5_amd64.deb 200 SHA256:{b}\n\
         'http://m/pool/b/bash_5%3a2.1_amd64.deb' bash_5%3a2.1_amd64.deb 100 SHA256:{a}\n"
    );
    let debs = parse_uris(&text).unwrap();
    assert_eq!(debs.iter().map(Deb::package).collect::<Vec<_>>(), ["bash", "zstd"]);
    assert_eq!((debs[0].version().as_str(), debs[0].bytes, debs[0].sha256.as_str()), ("5:2.1", 100, a.as_str()));
    assert_eq!(debs[1].version(), "1.5.4+dfsg2-5");
}

#[test]
fn a_package_without_a_sha256_is_refused_and_so_is_none_at_all() {
    let hex = "a".repeat(64);
    for line in [
        "'http://m/x_1_amd64.deb' x_1_amd64.deb 100 MD5Sum:0cc175b9c0f1b6a831c399e269772661".to_owned(),
        "'http://m/x_1_amd64.deb' x_1_amd64.deb 100 ".to_owned(),
        format!("'http://m/x_1_amd64.deb' x_1_amd64.deb many SHA256:{hex}"),
        format!("'http://m/x_1_amd64.deb' ../x_1_amd64.deb 100 SHA256:{hex}"),
        format!("'http://m/x_1_amd64.deb' x_1_amd64.deb 100 SHA256:{}", &hex[1..]),
    ] {
        assert!(parse_uris(&line).unwrap_err().to_string().contains("without a SHA-256"), "{line}");
    }
    assert!(parse_uris("Reading package lists...\n").is_err());
}

#[test]
fn the_sums_are_what_sha256sum_prints() {
    let deb = |file: &str, c: &str| Deb { file: file.into(), bytes: 1, sha256: c.repeat(64) };
    let packages = Packages { debs: vec![deb("a_1_all.deb", "0"), deb("b_1_all.deb", "1")], folder: PathBuf::new() };
    assert_eq!(packages.sums(), format!("{}  a_1_all.deb\n{}  b_1_all.deb\n", "0".repeat(64), "1".repeat(64)));
    assert_eq!(packages.digest().len(), 64);
    assert_eq!(packages.find("b").unwrap().file, "b_1_all.deb");
    assert!(packages.find("c").is_err());
}

/// A root that knows one mirror: a folder with `tiny` (which needs `helper` and `unwanted`), read by apt's `copy` method.
struct Mirror {
    _temporary: tempfile::TempDir,
    pool: PathBuf,
    root: AptRoot,
    children: Children,
}

impl Mirror {
    fn new(test: &str) -> Option<Self> {
        let children = Children::new(Arc::new(SystemClock::start()));
        let architecture = fixture::architecture(&children, &["apt-get", "dpkg-deb"], test)?;
        let temporary = tempfile::tempdir().unwrap();
        let pool = temporary.path().join("pool");
        let folder = temporary.path().join("root");
        for sub in ["lists/partial", "archives/partial", "empty/partial"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        fs::create_dir(&pool).unwrap();
        let text = |words: &str| vec![("usr/share/words".to_owned(), words.as_bytes().to_vec())];
        fixture::deb(&children, &pool, "tiny", &architecture, "helper, unwanted", &text("tiny's own words"));
        fixture::deb(&children, &pool, "helper", &architecture, "", &text("helper's"));
        fixture::deb(&children, &pool, "unwanted", &architecture, "", &text("unwanted's"));
        fs::write(folder.join("sources.list"), format!("deb [trusted=yes] copy:{} ./\n", pool.display())).unwrap();
        // The folder is its owner's alone, so apt's own unprivileged user could not read it.
        let conf = format!("{}APT::Sandbox::User \"root\";\n", apt::configuration(&folder, &architecture));
        fs::write(folder.join("apt.conf"), conf).unwrap();
        fs::write(folder.join("status"), "").unwrap();
        let empty = folder.join("empty");
        let mirror = Self { _temporary: temporary, pool, root: AptRoot { folder, empty, architecture }, children };
        mirror.publish();
        Some(mirror)
    }

    /// Writes the mirror's list of packages and has apt read it.
    fn publish(&self) {
        let mut list = String::new();
        for entry in fs::read_dir(&self.pool).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "deb") {
                let show = Exec::site("dpkg-deb").args(["--field", path.to_str().unwrap()]);
                list.push_str(self.children.ask(&show, Environment::Inherited).unwrap().trim_end());
                let (size, name) = (fs::metadata(&path).unwrap().len(), path.file_name().unwrap().to_str().unwrap());
                list.push_str(&format!(
                    "\nFilename: ./{name}\nSize: {size}\nSHA256: {}\n\n",
                    sha256_of(&path).unwrap()
                ));
            }
        }
        fs::write(self.pool.join("Packages"), list).unwrap();
        let update = self.root.command("status").args(["-o", "APT::Update::Error-Mode=any", "update"]);
        self.children.ask(&update, Environment::Inherited).unwrap();
    }

    fn fetch(&self) -> Result<Packages> {
        let (left_out, packages) = (["unwanted".to_owned()], ["tiny".to_owned()]);
        let wish = Wish { name: "test", left_out: &left_out, packages: &packages, purpose: Purpose::Image };
        fetch(&self.root, &wish, &self.children, &Silent)
    }
}

/// Changes one byte in the middle; the size stays.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_needed_is_fetched_and_what_is_left_out_stays_away() {
    let Some(mirror) = Mirror::new("what_is_needed_is_fetched_and_what_is_left_out_stays_away") else { return };
    let packages = mirror.fetch().unwrap();
    assert_eq!(packages.debs.iter().map(Deb::package).collect::<Vec<_>>(), ["helper", "tiny"]);
    assert!(packages.debs.iter().all(|d| packages.path(d).is_file()));
    assert_eq!(mirror.fetch().unwrap().digest(), packages.digest());
}

#[test]
fn a_cached_package_with_a_flipped_byte_is_noticed_and_fetched_again() {
    let Some(mirror) = Mirror::new("a_cached_package_with_a_flipped_byte_is_noticed_and_fetched_again") else { return };
    let packages = mirror.fetch().unwrap();
    let victim = packages.path(packages.find("tiny").unwrap());
    flip(&victim);
    // apt itself is content with it: that is why we look.
    assert_ne!(sha256_of(&victim).unwrap(), packages.find("tiny").unwrap().sha256);
    mirror.fetch().unwrap();
    assert_eq!(sha256_of(&victim).unwrap(), packages.find("tiny").unwrap().sha256);
}

#[test]
fn a_mirror_that_delivers_other_bytes_is_refused_by_name() {
    let Some(mirror) = Mirror::new("a_mirror_that_delivers_other_bytes_is_refused_by_name") else { return };
    for entry in fs::read_dir(&mirror.pool).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("tiny_") {
            flip(&path);
        }
    }
    let error = mirror.fetch().map(drop).unwrap_err();
    let refusal = error.downcast_ref::<Refusal>().unwrap_or_else(|| panic!("{error:#}"));
    assert_eq!(refusal.kind, RefusalKind::ImageUnavailable);
    assert!(refusal.message.contains("other bytes than its signed lists promise"), "{}", refusal.message);
}

#[test]
fn a_package_that_the_mirror_lacks_is_refused_by_name() {
    let Some(mirror) = Mirror::new("a_package_that_the_mirror_lacks_is_refused_by_name") else { return };
    let wish = Wish { name: "test", left_out: &[], packages: &["no-such-thing".to_owned()], purpose: Purpose::Compose };
    let error = fetch(&mirror.root, &wish, &mirror.children, &Silent).map(drop).unwrap_err();
    let refusal = error.downcast_ref::<Refusal>().unwrap_or_else(|| panic!("{error:#}"));
    assert_eq!(refusal.kind, RefusalKind::Preflight);
    assert!(refusal.message.contains("no-such-thing"), "{}", refusal.message);
}

#[test]
fn older_versions_of_a_fetched_package_are_removed_and_strangers_kept() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["a_1_all.deb", "a_2_all.deb", "other_1_all.deb", "lock"] {
        fs::write(folder.path().join(file), b"x").unwrap();
    }
    let deb = Deb { file: "a_2_all.deb".into(), bytes: 1, sha256: String::new() };
    remove_older(&Packages { debs: vec![deb], folder: folder.path().into() }).unwrap();
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a_2_all.deb", "lock", "other_1_all.deb"]);
}
