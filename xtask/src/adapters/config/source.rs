//! Reads a configuration file without trusting it: a regular file, of bounded size, whatever its name points at.

use crate::adapters::environment::text_of;
use crate::domain::refusal::{Refusal, RefusalKind};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of one configuration file at most. Real ones are a thousandth of that.
pub(super) const LARGEST: u64 = 4 << 20;

/// The bytes of a file; `Ok(None)` when there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let refuse = |cause: String, hint: &str| {
        Refusal::new(RefusalKind::Configuration, format!("{}: {cause}", path.display()), hint)
    };
    // Not blocking: opening a named pipe would otherwise wait for a writer for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file: File = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd.into(),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(e) => return Err(refuse(format!("cannot be opened: {e}"), "check the path and its permissions")),
    };
    let about = file.metadata().map_err(|e| refuse(format!("cannot be looked at: {e}"), "check the disk"))?;
    if !about.is_file() {
        return Err(refuse("is not a regular file".into(), "a configuration file is never a folder, pipe or device"));
    }
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|e| refuse(format!("cannot be read: {e}"), "check the disk and the file's permissions"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(refuse(
            format!("is larger than {} MB", LARGEST >> 20),
            "this cannot be a configuration file: check the path",
        ));
    }
    Ok(Some(bytes))
}

/// The bytes of a file that must be there.
pub(super) fn read(path: &Path, what: &str, hint: &str) -> Result<Vec<u8>, Refusal> {
    read_if_there(path)?.ok_or_else(|| {
        Refusal::new(RefusalKind::Configuration, format!("{}: no such file ({what})", path.display()), hint)
    })
}

/// The text of a file that must be there.
pub(super) fn read_text(path: &Path, what: &str, hint: &str) -> Result<String, Refusal> {
    text_of(&read(path, what, hint)?, path).map(str::to_owned)
}
