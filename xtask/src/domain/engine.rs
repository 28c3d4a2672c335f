//! What we know about one kind of store, as data: every method returns commands or facts and performs nothing.
//! It must not know which site a command runs at, nor who asks.

use super::artifact::{Component, Consistency};
use super::census::Census;
use super::diagnosis::Diagnosis;
use super::exchange::{Exchange, Wish};
use super::exec::{Exec, Exit};
use super::foreign::Findings;
use super::refusal::Refusal;
use super::scenario::Strike;
use super::secret::Secret;
use super::site::SiteSpec;
use super::stack::Compression;
use super::store::Store;
use super::timeline::Phase;

/// How a store is addressed at one site. Paths are the site's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The data folder at the site (`/var/lib/postgresql/data`, or `.` at a directory site).
    pub root: String,
    /// A folder at the site that may be filled and is thrown away.
    pub scratch: String,
    /// The database's name, or the file's path below `root`; empty for folders.
    pub name: String,
    /// The role, where there is one.
    pub user: String,
    /// Its password, where the server wants one.
    pub password: Option<Secret>,
    /// The server's port.
    pub port: u16,
    /// The server's address as seen by the commands: a socket folder or `127.0.0.1`.
    pub host: String,
}

/// A command with what goes to its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What this does, a few words (`create the database`).
    pub title: String,
    /// The recovery phase whose time this takes.
    pub phase: Phase,
    /// The command.
    pub exec: Exec,
    /// Its standard input.
    pub feed: Feed,
}

/// What is written to a command's standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// Nothing.
    Nothing,
    /// This text.
    Text(String),
    /// The artifact's plain bytes, digest checked.
    Data,
    /// The plain bytes of the extra with this name, digest checked.
    Extra(String),
}

impl Act {
    /// A command that reads nothing.
    pub fn run(phase: Phase, title: impl Into<String>, exec: Exec) -> Self {
        Self { title: title.into(), phase, exec, feed: Feed::Nothing }
    }

    /// A command that reads this text.
    pub fn text(phase: Phase, title: impl Into<String>, exec: Exec, text: impl Into<String>) -> Self {
        Self { title: title.into(), phase, exec: exec.reads_stdin(), feed: Feed::Text(text.into()) }
    }

    /// A command that reads the artifact.
    pub fn data(phase: Phase, title: impl Into<String>, exec: Exec) -> Self {
        Self { title: title.into(), phase, exec: exec.reads_stdin(), feed: Feed::Data }
    }
}

/// Asks which of the roles that a text names a server has not.
pub type AskRoles = fn(&Target, &str) -> Act;

/// How the moment that a backup is consistent at is held while dump and census both read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshot {
    /// A session that stays open. Its script must print one line `ready <id>` once the snapshot is held; `<id>` then replaces
    /// `{snapshot}` in the dump's arguments. Then `census` is written and answers census lines ending with a line `end`.
    /// At last `close` is written, answers the counters again (their values after the dump) ending with `end`, and input ends.
    Session {
        /// The session's command; reads stdin.
        exec: Exec,
        /// Opens the snapshot.
        open: String,
        /// Asks for the census.
        census: String,
        /// Asks for the counters again, and ends.
        close: String,
    },
    /// A copy made first, then read by dump and census alike.
    Copy {
        /// Makes the copy.
        exec: Exec,
        /// Prints the copy's census.
        census: Exec,
        /// Removes the copy.
        release: Exec,
    },
    /// The dump itself takes the census on its way and leaves it behind; the recovery point is fuzzy.
    OnTheWay {
        /// Prints the census after the dump has ended.
        census: Exec,
        /// Removes what was left behind.
        release: Exec,
    },
}

/// A question before dumping or restoring, with the pure judgement of its answer.
#[derive(Clone)]
pub struct Preflight {
    /// What is asked, a few words.
    pub title: &'static str,
    /// Asks.
    pub act: Act,
    /// Judges the standard output.
    pub judge: fn(&str, &Store) -> Result<(), Refusal>,
}

/// One move of a strike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blow {
    /// Runs a command at the site.
    Run(Act),
    /// Runs a command and keeps the trimmed standard output: it replaces `{lookup}` in the blows after it.
    Lookup(Act),
    /// Stops and starts the server.
    Restart,
    /// Destroys the site with all that is in it.
    DestroySite,
}

/// How an archive of another tool becomes a store at a fresh site of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// Ours: makes the place ready.
    pub before: Vec<Act>,
    /// The archive at work: what fails here is the archive's own doing.
    pub content: Vec<Act>,
    /// Ours: takes back what was lent to it.
    pub after: Vec<Act>,
    /// Where the data is then.
    pub source: Target,
    /// What else the set must hold, in place of [`Engine::extras`].
    pub extras: Vec<(&'static str, Exec)>,
    /// Facts of the site that would be taken for facts of the archive's own source.
    pub forget: &'static [&'static str],
}

/// What is to be adopted.
#[derive(Debug, Clone, Copy)]
pub struct Adopted<'a> {
    /// The store that it is a backup of.
    pub store: &'a Store,
    /// What is known of it.
    pub archive: &'a Findings,
    /// The folder inside of it that is meant; `None` = all of it.
    pub inside: Option<&'a str>,
}

/// What we know about one kind of store.
pub trait Engine: Sync {
    /// Its name in configuration and reports (`postgres`).
    fn name(&self) -> &'static str;

    /// One line for help and documentation.
    fn about(&self) -> &'static str;

    /// The artifact's ending before the compression's (`dump`, `db`, `tar`).
    fn extension(&self) -> &'static str;

    /// How sharp its recovery point is.
    fn consistency(&self) -> Consistency;

    /// Compression that suits the artifact when nobody chose.
    fn compression(&self) -> Compression {
        Compression::Zstd
    }

    /// The store that a rehearsal invents when there is none of the user's to imitate.
    fn rehearsal_store(&self, image: Option<&str>) -> Store;

    /// A fresh site for a store like this one.
    fn site(&self, store: &Store) -> SiteSpec;

    /// How the store is addressed at an owned site made from [`Engine::site`].
    fn owned_target(&self, store: &Store) -> Target;

    /// How the store is addressed where it really runs.
    fn attached_target(&self, store: &Store) -> Target;

    /// The same target reached at the server's own address first, the way an application comes: many servers let anybody in
    /// from inside, and a wrong password would never be noticed.
    fn reached_at(&self, at: Target, _address: &str) -> Target {
        at
    }

    /// Exits 0 once the server accepts *application* connections (not the first boot's temporary server).
    fn ready(&self, at: &Target) -> Exec;

    /// Exits 0 and prints something when the service answers the way an application asks. A store that may be empty
    /// (`allow_empty`) may answer that it is.
    fn probe(&self, at: &Target, store: &Store) -> Exec;

    /// Questions before a dump.
    fn before_dump(&self, at: &Target) -> Vec<Preflight>;

    /// Prints facts of the source, a line `key=value` each.
    fn facts(&self, at: &Target) -> Act;

    /// How the snapshot is held.
    fn snapshot(&self, at: &Target) -> Snapshot;

    /// Writes the artifact to standard output. `{snapshot}` in its arguments is replaced by the snapshot's id.
    fn dump(&self, at: &Target) -> Exec;

    /// What else the set must hold (`globals`): name and command that writes it to standard output.
    fn extras(&self, _at: &Target) -> Vec<(&'static str, Exec)> {
        Vec::new()
    }

    /// What a backup of this store does not hold although people may expect it, a sentence each.
    fn lacks(&self, _taken: &Component) -> Vec<String> {
        Vec::new()
    }

    /// Questions before a restore into this target.
    fn before_restore(&self, at: &Target, from: &Component) -> Vec<Preflight>;

    /// Restores everything. The real name changes hands in the last act only, so a restore that dies leaves the old state.
    fn restore(&self, at: &Target, from: &Component) -> Vec<Act>;

    /// The extra that names roles, with what asks which of them the server has not: it prints their names, quoted, a line each.
    fn roles(&self, _at: &Target) -> Option<(&'static str, AskRoles)> {
        None
    }

    /// As [`Engine::restore`], at a server that others use too: of roles it brings back these, and changes no other.
    fn restore_shared(&self, at: &Target, from: &Component, _roles: &str) -> Vec<Act> {
        self.restore(at, from)
    }

    /// Whether an object of the census is the server's, and not the store's: a restore at a running server leaves it as it is.
    fn is_shared(&self, _object: &str) -> bool {
        false
    }

    /// How a copy that was restored beside takes the place of what is there.
    fn exchange(&self, at: &Target, from: &Component, wish: &Wish) -> Exchange;

    /// Removes what an exchange of this tag left that never came to its end. Fine when there is nothing.
    fn clear(&self, at: &Target, tag: &str) -> Vec<Act>;

    /// Asks which of these tables (census objects) are there, one a line; `None` where none can be restored by itself.
    fn tables(&self, _at: &Target, _wanted: &[String]) -> Option<Act> {
        None
    }

    /// Replaces the rows of these tables by the backup's, all of them or none; what is gone comes back with its definition.
    /// `contents` is what the last act of [`Engine::stage`] printed, `there` the answer to [`Engine::tables`].
    ///
    /// # Errors
    /// The backup does not hold one of them.
    fn restore_tables(
        &self,
        _at: &Target,
        _from: &Component,
        _wanted: &[String],
        (_contents, _there): (&str, &str),
    ) -> Result<Vec<Act>, Refusal> {
        let message = format!("an engine of {} restores no single table", self.name());
        Err(Refusal::new(super::refusal::RefusalKind::Configuration, message, "leave --table out"))
    }

    /// What has to be asked at a fresh site before an archive is adopted there.
    fn adopt_asks(&self, _at: &Target) -> Option<Act> {
        None
    }

    /// How an archive of another tool is brought back into a fresh site; `answer` is the one to [`Engine::adopt_asks`].
    ///
    /// # Errors
    /// It is no archive of this kind of store.
    fn adopt(&self, at: &Target, what: Adopted<'_>, answer: &str) -> Result<Adoption, Refusal>;

    /// Prints the census of what is there now, in census lines.
    fn census(&self, at: &Target) -> Act;

    /// Says what is damaged: census lines of all that can be read, `unreadable` lines, and `orphans` lines.
    fn diagnose(&self, at: &Target) -> Act;

    /// Stages the artifact for a selective restore and prints its table of contents.
    fn stage(&self, at: &Target) -> Vec<Act>;

    /// Restores what the diagnosis names and nothing else; `contents` is what the last act of [`Engine::stage`] printed.
    fn restore_selected(
        &self,
        at: &Target,
        from: &Component,
        diagnosis: &Diagnosis,
        contents: &str,
    ) -> Result<Vec<Act>, Refusal>;

    /// Fills a fresh store with about this many bytes of deterministic data and creates the two mark tables.
    fn seed(&self, at: &Target, bytes: u64) -> Vec<Act>;

    /// Business as usual between the backup and the strike: rows that the backup cannot hold.
    fn churn(&self, at: &Target) -> Vec<Act>;

    /// A session that commits marks: each line `<seq>` on its input is committed to the kept and the struck mark table in one
    /// transaction and acknowledged by a line `ack <seq>`.
    fn mark_session(&self, at: &Target) -> MarkSession;

    /// Prints the surviving marks' numbers, one a line, of the kept or the struck table.
    fn marks(&self, at: &Target, of: MarkTable) -> Act;

    /// The digest of two parts' rows together, where the digests of contents add up; `None` where they do not.
    fn digest_sum(&self, _one: &str, _other: &str) -> Option<String> {
        None
    }

    /// The blows of a strike; `None` when this engine cannot suffer it. A blow's command may print census lines: the rows that
    /// it takes, that others refer to, and that no backup holds. No other row may stay lost.
    fn strike(&self, at: &Target, strike: Strike) -> Option<Vec<Blow>>;

    /// A known cause behind a failed command, from its exit status and standard error.
    fn explain(&self, exec: &Exec, exit: &Exit) -> Option<Refusal>;

    /// Whether an object of the census belongs to the drill's struck mark table (it changes after the backup).
    fn is_mark(&self, object: &str) -> bool;

    /// The census objects that a strike is expected to damage: a drill whose diagnosis names fewer is not proven.
    fn expected_damage(&self, strike: Strike) -> Vec<&'static str>;
}

/// The two mark tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkTable {
    /// Never touched by a partial strike: all marks must survive it.
    Kept,
    /// Dropped by a partial strike: its survivors tell the data loss.
    Struck,
}

/// How marks are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkSession {
    /// The session; reads stdin.
    pub exec: Exec,
    /// What to write for mark `{seq}`; must make the session print `ack {seq}` after the commit.
    pub line: String,
}

/// Whether two censuses differ only where the drill itself wrote marks.
pub fn without_marks(engine: &dyn Engine, census: &Census) -> Census {
    let objects = census.objects.iter().filter(|(name, _)| !engine.is_mark(name)).map(|(n, e)| (n.clone(), e.clone()));
    Census { objects: objects.collect() }
}
