//! Decides how the terminal may look, from what surrounds the process. Reading it and deciding are apart, so deciding is testable.

use crate::domain::display::Style;
use std::io::IsTerminal;

/// What surrounds the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Standard output is a terminal.
    pub stdout_tty: bool,
    /// Standard error is a terminal.
    pub stderr_tty: bool,
    /// `NO_COLOR` is set and not empty (<https://no-color.org>), or `--no-color` was typed.
    pub no_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// `CI` is set and not `false` or `0`.
    pub ci: bool,
    /// `--quiet` was typed.
    pub quiet: bool,
    /// The terminal's columns, or `COLUMNS`.
    pub columns: Option<usize>,
}

/// How the live side looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing is told while it runs.
    Silent,
    /// Lines, without colour or movement.
    Plain(Style),
    /// Colours, and one line that moves.
    Live(Style),
}

/// Logs are read on wide screens, and there a drill's row stays on one line.
const LOG_WIDTH: usize = 120;

impl Surroundings {
    /// Asks the environment, with what was typed.
    #[expect(clippy::disallowed_methods, reason = "an adapter: what the terminal can do is told by the environment")]
    pub fn of_process(no_color: bool, quiet: bool) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let window = rustix::termios::tcgetwinsize(std::io::stderr())
            .or_else(|_| rustix::termios::tcgetwinsize(std::io::stdout()))
            .map(|size| usize::from(size.ws_col));
        Self {
            stdout_tty: std::io::stdout().is_terminal(),
            stderr_tty: std::io::stderr().is_terminal(),
            no_color: no_color || set("NO_COLOR").is_some(),
            dumb: set("TERM").is_some_and(|term| term == "dumb"),
            ci: set("CI").is_some_and(|ci| ci != "false" && ci != "0"),
            quiet,
            columns: window.ok().filter(|c| *c > 0).or_else(|| set("COLUMNS").and_then(|c| c.parse().ok())),
        }
    }

    /// Whether a stream may have colours, given that it is a terminal or not.
    fn colour(&self, tty: bool) -> bool {
        tty && !self.no_color && !self.dumb && !self.ci
    }

    /// The columns to fill; a very wide screen is not filled, for long lines read badly.
    fn width(&self, tty: bool) -> usize {
        self.columns.unwrap_or(if tty { 80 } else { LOG_WIDTH }).clamp(40, 140)
    }

    /// For the summary on standard output, or on standard error with `--json`.
    pub fn summary(&self, json: bool) -> Style {
        let tty = if json { self.stderr_tty } else { self.stdout_tty };
        Style { colour: self.colour(tty), width: self.width(tty) }
    }

    /// For events on standard error.
    pub fn live(&self) -> Look {
        let style = Style { colour: self.colour(self.stderr_tty), width: self.width(self.stderr_tty) };
        match (self.quiet, style.colour) {
            (true, _) => Look::Silent,
            (false, true) => Look::Live(style),
            (false, false) => Look::Plain(style),
        }
    }
}

impl Look {
    /// Its style.
    pub fn style(&self) -> Style {
        match self {
            Self::Silent => Style::plain(LOG_WIDTH),
            Self::Plain(style) | Self::Live(style) => *style,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Surroundings {
        Surroundings { stdout_tty: true, stderr_tty: true, columns: Some(100), ..Surroundings::default() }
    }

    #[test]
    fn a_terminal_is_live_and_coloured() {
        assert_eq!(terminal().live(), Look::Live(Style { colour: true, width: 100 }));
        assert_eq!(terminal().summary(false), Style { colour: true, width: 100 });
    }

    #[test]
    fn each_reason_for_plain_lines_is_enough_alone() {
        let reasons: [fn(&mut Surroundings); 5] =
            [|s| s.no_color = true, |s| s.dumb = true, |s| s.ci = true, |s| s.stderr_tty = false, |s| s.quiet = true];
        for (n, reason) in reasons.iter().enumerate() {
            let mut around = terminal();
            reason(&mut around);
            assert!(!matches!(around.live(), Look::Live(_)), "reason {n}");
        }
        assert_eq!(Surroundings { quiet: true, ..terminal() }.live(), Look::Silent);
    }

    #[test]
    fn each_stream_is_judged_for_itself() {
        let piped = Surroundings { stdout_tty: false, ..terminal() };
        assert!(!piped.summary(false).colour, "stdout is a pipe");
        assert!(piped.summary(true).colour, "with --json the summary goes to stderr, a terminal");
        let log = Surroundings::default();
        assert_eq!(log.summary(false), Style::plain(120));
    }
}
