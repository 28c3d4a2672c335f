//! Small Debian packages made on the spot, for the tests of this folder.
//! It must not know what the tests prove.

use super::child::Children;
use crate::adapters::processes::Environment;
use crate::domain::event::Event;
use crate::domain::exec::Exec;
use crate::ports::Events;
use std::fs;
use std::path::{Path, PathBuf};

/// For preparations that nobody watches.
pub(super) struct Silent;

impl Events for Silent {
    fn tell(&self, _event: Event) {}
}

/// dpkg's architecture when all these programs are here; else says which test is skipped and why.
pub(super) fn architecture(children: &Children, programs: &[&str], test: &str) -> Option<String> {
    for program in programs {
        if children.ask(&Exec::site(*program).arg("--version"), Environment::Inherited).is_err() {
            println!("SKIPPED {test}: there is no {program} on this system");
            let required = std::env::var_os("XTASK_REQUIRE_TOOLS").is_some_and(|v| v == "1");
            assert!(!required, "XTASK_REQUIRE_TOOLS=1, but there is no {program}");
            return None;
        }
    }
    Some(
        children
            .ask(&Exec::site("dpkg").arg("--print-architecture"), Environment::Inherited)
            .unwrap()
            .trim()
            .to_owned(),
    )
}

/// Builds `<pool>/<name>_1.0_<architecture>.deb` with these files.
pub(super) fn deb(
    children: &Children,
    pool: &Path,
    name: &str,
    architecture: &str,
    depends: &str,
    files: &[(String, Vec<u8>)],
) -> PathBuf {
    let tree = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let depends = if depends.is_empty() { String::new() } else { format!("Depends: {depends}\n") };
    let control = format!(
        "Package: {name}\nVersion: 1.0\nArchitecture: {architecture}\n{depends}Maintainer: none <none@example.com>\nDescription: test\n"
    );
    // dpkg-deb refuses a control folder that others may write.
    let folder = tree.path().join("DEBIAN");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(folder.join("control"), control).unwrap();
    let path = pool.join(format!("{name}_1.0_{architecture}.deb"));
    let build = Exec::site("dpkg-deb").args(["--root-owner-group", "--build"]);
    let build =
        build.args([tree.path().to_str().unwrap(), path.to_str().unwrap()]).env("SOURCE_DATE_EPOCH", "1700000000");
    children.ask(&build, Environment::Inherited).unwrap();
    path
}
