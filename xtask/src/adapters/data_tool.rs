//! What the own data tools share: standard streams, arguments, and dying with their parent.
//! It must not know any kind of store.

use crate::adapters::owner::{OWNER, Owner};
use crate::domain::refusal::{Refusal, RefusalKind};
use anyhow::{Context, Result, bail};
use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

/// The streams of one run of a tool; tests hand in their own.
pub struct Streams<'a> {
    /// Data in.
    pub stdin: &'a mut dyn Read,
    /// Data out.
    pub stdout: &'a mut dyn Write,
    /// Remarks, and the declared number of bytes as the last line.
    pub stderr: &'a mut dyn Write,
}

impl Streams<'_> {
    /// Writes one line to standard output.
    pub fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.stdout, "{text}").context("write to standard output")
    }

    /// Writes one remark to standard error.
    pub fn remark(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.stderr, "{text}").context("write to standard error")
    }

    /// Flushes the data and then declares how many bytes it had.
    pub fn declare(&mut self, bytes: u64) -> Result<()> {
        self.stdout.flush().context("write to standard output")?;
        self.remark(format_args!("xtask-declared-bytes {bytes}"))
    }
}

/// Runs a tool's verb on this process's own streams; a drill's verb only where a drill is.
pub fn on_this_process(args: &[String], run: impl FnOnce(&[String], &mut Streams) -> Result<()>) -> Result<()> {
    only_in_private_folders(args)?;
    on_process_streams(|streams| run(args, streams))
}

/// Runs a tool on this process's own streams. The process dies when the thread that started it ends, so that a killed run leaves
/// no orphan at work.
fn on_process_streams(tool: impl FnOnce(&mut Streams) -> Result<()>) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("ask to die with the parent process")?;
    let raw =
        |fd: std::os::fd::BorrowedFd| fd.try_clone_to_owned().map(File::from).context("open the standard streams");
    let mut stdin = raw(std::io::stdin().as_fd())?;
    let mut stdout = BufWriter::with_capacity(128 * 1024, raw(std::io::stdout().as_fd())?);
    let mut stderr = raw(std::io::stderr().as_fd())?;
    tool(&mut Streams { stdin: &mut stdin, stdout: &mut stdout, stderr: &mut stderr })?;
    stdout.flush().context("write to standard output")
}

/// The verbs that only drills use: they fill, change and destroy data.
const DRILL_VERBS: [&str; 5] = ["seed", "churn", "mark", "strike-delete", "strike-corrupt"];

/// Lets a drill's verbs work only in a private folder that a run made: a line pasted from a plan must not destroy somebody's data.
fn only_in_private_folders(args: &[String]) -> Result<()> {
    let Some(verb) = args.first().filter(|verb| DRILL_VERBS.contains(&verb.as_str())) else { return Ok(()) };
    let here = std::env::current_dir().context("find the working folder")?;
    let owner = here.parent().map(|home| std::fs::read_to_string(home.join(OWNER)).unwrap_or_default());
    if owner.is_some_and(|text| Owner::from_note(&text).is_ok()) {
        return Ok(());
    }
    let message = format!("`{verb}` is for a drill's private folders, and no run made {}", here.display());
    Err(refuse(RefusalKind::Preflight, message, "cargo xtask test-recovery drills a copy and leaves your data alone"))
}

/// The words after a verb, taken in order.
pub struct Args<'a> {
    rest: &'a [String],
}

impl<'a> Args<'a> {
    /// Starts at the first word.
    pub fn new(args: &'a [String]) -> Self {
        Self { rest: args }
    }

    /// The next word, whatever it begins with.
    pub fn word(&mut self, what: &str) -> Result<&'a str> {
        let Some((word, rest)) = self.rest.split_first() else { bail!("missing argument: {what}") };
        self.rest = rest;
        Ok(word)
    }

    /// The next word as a path below the working folder: a data tool never leaves its site.
    pub fn own_path(&mut self, what: &str) -> Result<PathBuf> {
        let word = self.word(what)?;
        let path = PathBuf::from(word);
        let stays = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if word.is_empty() || !stays {
            let hint = "name it by a relative path without `..`";
            return Err(refuse(RefusalKind::Configuration, format!("{what} `{word}` is outside its folder"), hint));
        }
        Ok(path)
    }

    /// The value of `name` if it is the next word.
    pub fn option(&mut self, name: &str) -> Result<Option<&'a str>> {
        if self.rest.first().is_none_or(|w| w != name) {
            return Ok(None);
        }
        self.rest = &self.rest[1..];
        self.word(name).map(Some)
    }

    /// As [`Args::option`], as a number.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>> {
        self.option(name)?.map(|n| n.parse().with_context(|| format!("{name}: `{n}` is not a number"))).transpose()
    }

    /// Whether the next word is this one.
    pub fn flag(&mut self, name: &str) -> bool {
        let there = self.rest.first().is_some_and(|w| w == name);
        self.rest = &self.rest[usize::from(there)..];
        there
    }

    /// Nothing may be left over.
    pub fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { bail!("unexpected argument: {}", self.rest[0]) }
    }
}

/// A refusal as an error.
pub fn refuse(kind: RefusalKind, message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Refusal::new(kind, message, hint).into()
}

/// Turns "no space" and "no right" into the refusal that names them; every other error passes through.
pub fn known_storage(error: anyhow::Error, path: &Path) -> anyhow::Error {
    use std::io::ErrorKind as Kind;
    if Refusal::within(&error).is_some() {
        return error;
    }
    let io = error.chain().find_map(|e| e.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    let at = path.display();
    match io {
        Some(Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge) => {
            refuse(RefusalKind::Storage, format!("{at}: {error:#}"), "free some space there, then run it again")
        }
        Some(Kind::PermissionDenied | Kind::ReadOnlyFilesystem) => refuse(
            RefusalKind::Storage,
            format!("{at}: {error:#}"),
            "give this user the right to it, or run as its owner",
        ),
        _ => error,
    }
}

/// Makes a rename or a new file in this folder last.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).with_context(|| format!("sync the folder {}", folder.display()))
}

/// Makes everything on the filesystem of `folder` last: far quicker than file by file.
pub fn sync_all_of(folder: impl AsFd) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(folder).map_err(std::io::Error::from).context("sync the filesystem")?;
    #[cfg(not(target_os = "linux"))]
    {
        drop(folder);
        rustix::fs::sync();
    }
    Ok(())
}

/// Makes every folder below, links not followed, one that its owner may change.
pub fn unlock(folder: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

/// The folder that a path is in; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` with `suffix` behind its whole name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Bytes that an unprivileged user may still write where `folder` is.
pub fn free_bytes(folder: &Path) -> Result<u64> {
    let stat =
        rustix::fs::statvfs(folder).with_context(|| format!("ask for the free space at {}", folder.display()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::census::Census;

    /// What a verb printed.
    #[derive(Debug)]
    pub struct Said {
        pub out: Vec<u8>,
        pub err: String,
    }

    impl Said {
        /// Of a tool that reads this input and gets these words.
        pub fn of(
            mut input: &[u8],
            words: &[&str],
            tool: impl FnOnce(&[String], &mut Streams) -> Result<()>,
        ) -> Result<Self> {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            tool(&words, &mut Streams { stdin: &mut input, stdout: &mut out, stderr: &mut err })?;
            Ok(Self { out, err: String::from_utf8(err).unwrap() })
        }

        pub fn text(&self) -> &str {
            std::str::from_utf8(&self.out).unwrap()
        }

        pub fn census(&self) -> Census {
            Census::parse(self.text()).unwrap()
        }
    }

    #[test]
    fn a_tool_does_not_leave_its_folder() {
        for word in ["/etc/passwd", "../up.db", "a/../../b", ""] {
            let words = [word.to_owned()];
            assert!(Args::new(&words).own_path("the database").is_err(), "{word}");
        }
        let words = ["./a/b.db".to_owned()];
        assert_eq!(Args::new(&words).own_path("the database").unwrap(), Path::new("./a/b.db"));
    }

    #[test]
    fn words_left_over_and_missing_words_are_errors() {
        let words = ["a".to_owned(), "--needs".to_owned(), "7".to_owned()];
        let mut args = Args::new(&words);
        assert_eq!(args.word("x").unwrap(), "a");
        assert_eq!(args.number("--needs").unwrap(), Some(7));
        assert!(args.word("y").is_err());
        assert!(Args::new(&words).end().is_err());
    }

    #[test]
    fn no_space_is_a_refusal() {
        let full = anyhow::Error::from(std::io::Error::from(std::io::ErrorKind::StorageFull)).context("write");
        let known = known_storage(full, Path::new("a.db"));
        assert_eq!(known.downcast_ref::<Refusal>().unwrap().kind, RefusalKind::Storage);
    }
}
