//! Faults of a vault: in use by another run, not writable, full.

use super::files::{attached, database};
use super::rig::{Mounted, Rig, holds_only, refused};
use xtask::archive::vault::Vault;
use xtask::domain::refusal::RefusalKind;

#[test]
fn a_vault_in_use_is_refused_with_the_name_of_the_run_that_holds_it() {
    let rig = Rig::folders();
    std::fs::create_dir(rig.path("data")).unwrap();
    database(&rig.path("data/app.db"), 1);
    let (store, site, at) = attached(&rig, &rig.path("data"), "app.db");
    rig.backup(&store, site.as_ref(), &at).expect("a sound backup comes first");

    let held = Vault::at(&rig.vault()).begin("shop", "the-other-run", rig.world.clock.wall()).unwrap();
    let pid = format!("pid {}", std::process::id());
    let says = ["in use by run the-other-run", pid.as_str(), rig.vault().to_str().unwrap()].map(str::to_owned);
    let says: Vec<&str> = says.iter().map(String::as_str).collect();
    refused(rig.backup(&store, site.as_ref(), &at), RefusalKind::Locked, &says, "wait for that run");
    drop(held);
    holds_only(&rig.vault(), 1);
    rig.backup(&store, site.as_ref(), &at).expect("the lock is gone with its holder");
    holds_only(&rig.vault(), 2);
}

#[test]
fn a_vault_that_cannot_be_written_is_refused_and_what_it_holds_stays_sound() {
    let test = "a vault that cannot be written";
    let rig = Rig::folders();
    std::fs::create_dir(rig.path("data")).unwrap();
    database(&rig.path("data/app.db"), 1);
    let (store, site, at) = attached(&rig, &rig.path("data"), "app.db");
    let Some(vault) = Mounted::tmpfs(test, rig.path("mounted"), "size=4m,mode=0700") else { return };
    rig.backup_into(vault.path(), &store, site.as_ref(), &at).expect("a sound backup comes first");

    vault.remount("ro");
    let probe = std::fs::write(vault.path().join("probe"), b"x").unwrap_err();
    assert_eq!(probe.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "the vault can still be written");
    let result = rig.backup_into(vault.path(), &store, site.as_ref(), &at);
    refused(result, RefusalKind::Storage, &["Read-only file system", "mounted"], "mount it writable");
    holds_only(vault.path(), 1);

    let below = vault.path().join("new/vault");
    let result = rig.backup_into(&below, &store, site.as_ref(), &at);
    refused(result, RefusalKind::Storage, &["cannot create", "mounted/new"], "mount it writable");
}

#[test]
fn a_full_vault_is_refused_and_holds_what_it_held() {
    let test = "a full vault";
    let rig = Rig::folders();
    std::fs::create_dir(rig.path("data")).unwrap();
    database(&rig.path("data/small.db"), 100);
    database(&rig.path("data/large.db"), 6000);
    let Some(vault) = Mounted::tmpfs(test, rig.path("mounted"), "size=4m,mode=0700") else { return };
    let (store, site, at) = attached(&rig, &rig.path("data"), "small.db");
    rig.backup_into(vault.path(), &store, site.as_ref(), &at).expect("a sound backup comes first");

    let (store, site, at) = attached(&rig, &rig.path("data"), "large.db");
    let result = rig.backup_into(vault.path(), &store, site.as_ref(), &at);
    refused(result, RefusalKind::Storage, &["No space left", "app.db", "bytes free"], "free space there");
    holds_only(vault.path(), 1);
    // Nothing of the attempt takes room away from the next one.
    let (store, site, at) = attached(&rig, &rig.path("data"), "small.db");
    rig.backup_into(vault.path(), &store, site.as_ref(), &at).expect("a small one still fits");
    holds_only(vault.path(), 2);
}
