//! Somebody who swaps a file of a vault for a link, again and again, while it is written and read: no link is ever followed.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use xtask::archive::pipeline;
use xtask::domain::artifact::{Role, StoredFile};
use xtask::domain::stack::Compression;

/// Works while somebody else does the other thing without end; how often that was done.
fn against(other: impl Fn() + Sync, work: impl FnOnce()) -> usize {
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                other();
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        work();
        over.store(true, Ordering::SeqCst);
    });
    done.into_inner()
}

/// Puts a link under this name, without a moment in which there is nothing.
fn swap(link_to: &Path, spare: &Path, name: &Path) {
    let _ = std::fs::remove_file(spare);
    symlink(link_to, spare).unwrap();
    std::fs::rename(spare, name).unwrap();
}

const ROUNDS: usize = 10_000;

#[test]
fn f56_a_link_that_is_swapped_in_while_a_file_is_made_never_leads_to_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let [victim, spare, name] = ["victim", "spare", "db.dump"].map(|n| folder.path().join(n));
    std::fs::write(&victim, "precious").unwrap();
    let (mut made, mut refused) = (0, 0);
    let swapped = against(
        || swap(&victim, &spare, &name),
        || {
            for _ in 0..ROUNDS {
                let _ = std::fs::remove_file(&name);
                match pipeline::store(&mut &b"rows"[..], &name, Compression::None, None, &mut |_| {}) {
                    Ok(_) => made += 1,
                    Err(_) => refused += 1,
                }
            }
        },
    );
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "a link was followed");
    println!("{swapped} swaps, {made} made, {refused} refused");
    assert!(swapped > 100 && refused > 0, "{swapped} swaps, {refused} refused: nobody met anybody");
}

#[test]
fn f56_a_link_that_is_swapped_in_while_a_file_is_read_is_refused_as_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let [other, spare, again, name] = ["other", "spare", "again", "db.dump"].map(|n| folder.path().join(n));
    let stored = pipeline::store(&mut &b"our rows"[..], &name, Compression::None, None, &mut |_| {}).unwrap();
    let file = StoredFile {
        file: "db.dump".to_owned(),
        role: Role::Data,
        compression: Compression::None,
        stored: stored.stored,
        plain: stored.plain,
    };
    std::fs::write(&other, "no rows!").unwrap();
    let (mut read, mut links) = (0, 0);
    let swapped = against(
        || {
            swap(&other, &spare, &name);
            std::fs::write(&again, "our rows").unwrap();
            std::fs::rename(&again, &name).unwrap();
        },
        || {
            for _ in 0..ROUNDS {
                match pipeline::verify(&name, &file, None) {
                    Ok(()) => read += 1,
                    Err(error) => {
                        // Another digest would mean that the other file was read.
                        assert!(format!("{error:#}").contains("is a symbolic link"), "{error:#}");
                        links += 1;
                    }
                }
            }
        },
    );
    println!("{swapped} swaps, {read} read, {links} refused");
    assert!(read > 0 && links > 0, "{swapped} swaps, {read} read, {links} refused: nobody met anybody");
}
