//! A command as data: what to run at a site, with what, for how long. Engines return these and never run them.
//! It must not know how a site runs anything.

use super::secret::{REDACTED, Secret};
use std::time::Duration;

/// Which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Found on the site's own PATH (`pg_dump` in the database's container).
    Site(String),
    /// This binary's own data tools (`xtask __tool …`), for stores that are plain files. Directory sites only.
    Own,
}

/// Whether the caller will write to the child's standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    Closed,
    /// A stream that the caller writes and closes.
    Stream,
}

/// Which of a command's streams carries a whole store. A site may give it a faster way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bulk {
    /// Its standard output.
    Output,
    /// Its standard input.
    Input,
}

/// One command. Standard output is always a stream; there is never a shell and never a TTY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// What to run.
    pub program: Program,
    /// Its arguments, never a secret among them.
    pub args: Vec<String>,
    /// Environment additions that may be printed.
    pub env: Vec<(String, String)>,
    /// Environment additions that may not.
    pub secret_env: Vec<(String, Secret)>,
    /// Standard input.
    pub input: Input,
    /// Which stream is large, if one is. The bytes are the same either way.
    pub bulk: Option<Bulk>,
    /// The user to run as at a container site; `None` = the image's own.
    pub user: Option<String>,
    /// After this long the child is killed and the run is `Broken`.
    pub timeout: Duration,
}

/// How long a command may take unless it says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a command that moves a whole store may take.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(4 * 3600);

impl Exec {
    /// A program on the site's PATH.
    pub fn site(program: impl Into<String>) -> Self {
        Self::of(Program::Site(program.into()))
    }

    /// One of this binary's own data tools.
    pub fn own<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::of(Program::Own).args(args)
    }

    fn of(program: Program) -> Self {
        Self {
            program,
            args: Vec::new(),
            env: Vec::new(),
            secret_env: Vec::new(),
            input: Input::Closed,
            bulk: None,
            user: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable that may be printed.
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Adds an environment variable that may not be printed.
    pub fn secret_env(mut self, key: impl Into<String>, value: Secret) -> Self {
        self.secret_env.push((key.into(), value));
        self
    }

    /// The caller will write standard input.
    pub fn reads_stdin(mut self) -> Self {
        self.input = Input::Stream;
        self
    }

    /// This stream carries a whole store.
    pub fn moves(mut self, bulk: Bulk) -> Self {
        self.bulk = Some(bulk);
        self
    }

    /// Runs as this user at a container site.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Bounds the run.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The program's name as a person would type it.
    pub fn program_name(&self) -> &str {
        match &self.program {
            Program::Site(name) => name,
            Program::Own => "xtask",
        }
    }

    /// The command as a line that a person can read and paste; secrets are `[REDACTED]`.
    pub fn command_line(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.env.iter().map(|(k, v)| format!("{k}={}", quote(v))));
        words.extend(self.secret_env.iter().map(|(k, _)| format!("{k}={REDACTED}")));
        words.push(self.program_name().to_owned());
        if self.program == Program::Own {
            words.push("__tool".to_owned());
        }
        words.extend(self.args.iter().map(|a| quote(a)));
        words.join(" ")
    }
}

/// Quotes one word for display in POSIX shell syntax.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// The exit status; a death by signal n is 128 + n.
    pub code: i32,
    /// The last few KiB of standard error, UTF-8 made lossy.
    pub stderr: String,
    /// How many bytes the producer itself says it wrote, when it says so.
    pub declared_bytes: Option<u64>,
}

impl Exit {
    /// Whether the child reported success.
    pub fn ok(&self) -> bool {
        self.code == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_shows_no_secret_and_quotes_words() {
        let exec = Exec::site("pg_dump").arg("--dbname=a b").secret_env("PGPASSWORD", Secret::new("hunter2"));
        assert_eq!(exec.command_line(), "PGPASSWORD=[REDACTED] pg_dump '--dbname=a b'");
        assert!(!format!("{exec:?}").contains("hunter2"));
    }

    #[test]
    fn own_tools_are_shown_as_this_binary() {
        assert_eq!(Exec::own(["sqlite", "census", "it's"]).command_line(), r"xtask __tool sqlite census 'it'\''s'");
    }
}
