//! A rehearsal's uploads folder, business as usual in it, and its disasters. Only ever run at a site that the drill itself made.

use super::marks;
use super::walk::root;
use crate::adapters::data_tool::{refuse, sync_all_of};
use crate::adapters::dice::Dice;
use crate::domain::engine::MarkTable;
use crate::domain::refusal::RefusalKind;
use anyhow::{Context, Result, bail};
use std::fs::{File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Every invented file's time of change is after this one: 2026-01-01 UTC.
const EPOCH: u64 = 1_767_225_600;

/// Fills a fresh folder with about `bytes` bytes: pictures, documents, odd names, an empty file and an empty folder, links.
pub fn seed(folder: &Path, bytes: u64) -> Result<()> {
    std::fs::create_dir_all(folder).context("make the folder")?;
    if std::fs::read_dir(folder).context("list the folder")?.any(|e| e.is_ok_and(|e| e.file_name() != ".xtask-scratch"))
    {
        let hint = "seed a fresh place";
        return Err(refuse(RefusalKind::TargetNotEmpty, format!("{} is not empty", folder.display()), hint));
    }
    let mut dice = Dice::new(0xf11e);
    let mut written = 0;
    let mut photo = vec![0; 200_000];
    let mut text = String::new();
    for number in 1.. {
        let length = 20_000 + dice.below(180_000) as usize;
        dice.bytes(&mut photo[..length]);
        photo[..4].copy_from_slice(&[0xff, 0xd8, 0xff, 0xe0]);
        let name = format!("photos/2026/{:02}/photo-{number:05}.jpg", 1 + number % 12);
        put(folder, &name, &photo[..length], number)?;
        dice.prose(length / 4, &mut text);
        put(folder, &format!("documents/contract-{number:05}.txt"), text.as_bytes(), number)?;
        written += (length + text.len()) as u64;
        if written >= bytes && number >= 8 {
            break;
        }
    }
    put(folder, "documents/été à la plage — 文書 (1).txt", "naïve ✓\n".as_bytes(), 1)?;
    put(folder, "documents/empty.txt", b"", 2)?;
    let large = vec![b'x'; 3 << 20];
    put(folder, "videos/long.mp4", &large, 3)?;
    std::fs::create_dir_all(folder.join("inbox/nothing here")).context("make an empty folder")?;
    symlink("contract-00001.txt", folder.join("documents/current.txt")).context("make a link")?;
    std::fs::hard_link(folder.join("documents/contract-00003.txt"), folder.join("documents/copy.txt"))
        .context("make a hard link")?;
    marks::create(folder)?;
    let root = root(folder)?;
    sync_all_of(root)
}

fn put(folder: &Path, name: &str, content: &[u8], number: u64) -> Result<()> {
    let path = folder.join(name);
    let failed = || format!("write {name}");
    std::fs::create_dir_all(path.parent().unwrap_or(folder)).with_context(failed)?;
    let mut file = File::create_new(&path).with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    file.set_permissions(Permissions::from_mode(0o644)).with_context(failed)?;
    let time = SystemTime::UNIX_EPOCH + Duration::new(EPOCH + number * 61, 123_456_789);
    file.set_times(FileTimes::new().set_modified(time)).with_context(failed)
}

/// Business as usual after a backup: a new file and a newer version of an old one.
pub fn churn(folder: &Path) -> Result<()> {
    put(folder, "inbox/just arrived.txt", b"newer than any backup\n", 1_000_000)?;
    let mut old =
        OpenOptions::new().append(true).open(folder.join("documents/contract-00001.txt")).context("open a document")?;
    old.write_all(b"\nsigned\n").and_then(|()| old.sync_all()).context("append to a document")
}

/// Deletes everything in the folder; the folder stays.
pub fn delete(folder: &Path) -> Result<()> {
    let mut gone = 0;
    for entry in std::fs::read_dir(folder).context("list the folder")? {
        let entry = entry.context("list the folder")?;
        let path = entry.path();
        if entry.file_type().context("look at a file")?.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        }
        .with_context(|| format!("delete {}", path.display()))?;
        gone += 1;
    }
    if gone == 0 { bail!("there was nothing to delete") } else { Ok(()) }
}

/// The files that the partial strike deletes, cuts and falsifies.
pub const DELETED: [&str; 2] = ["photos/2026/02/photo-00001.jpg", "documents/été à la plage — 文書 (1).txt"];
/// The file that is cut short, as a file system repair does it: without a trace in its times.
pub const CUT: &str = "documents/contract-00002.txt";
/// The file with flipped bytes, as a failing disk leaves it.
pub const FLIPPED: &str = "photos/2026/05/photo-00004.jpg";

/// Deletes some files, cuts one, flips bytes in another, and loses the struck marks.
pub fn corrupt(folder: &Path) -> Result<()> {
    for name in DELETED {
        std::fs::remove_file(folder.join(name)).with_context(|| format!("delete {name}"))?;
    }
    quietly(&folder.join(CUT), |file| file.set_len(file.metadata()?.len() / 2))?;
    quietly(&folder.join(FLIPPED), |file| {
        let mut bytes = [0; 64];
        file.read_exact_at(&mut bytes, 1000)?;
        file.write_all_at(&bytes.map(|b| !b), 1000)
    })?;
    let struck = marks::place(folder, MarkTable::Struck);
    for entry in std::fs::read_dir(&struck).context("list the struck marks")? {
        std::fs::remove_file(entry.context("list the struck marks")?.path()).context("delete a mark")?;
    }
    let root = root(folder)?;
    sync_all_of(root)
}

/// Changes a file and puts its time of change back.
fn quietly(path: &Path, change: impl FnOnce(&File) -> std::io::Result<()>) -> Result<()> {
    let failed = || format!("damage {}", path.display());
    let file = OpenOptions::new().read(true).write(true).open(path).with_context(failed)?;
    let then = file.metadata().and_then(|m| m.modified()).with_context(failed)?;
    change(&file).with_context(failed)?;
    file.set_times(FileTimes::new().set_modified(then)).with_context(failed)
}
