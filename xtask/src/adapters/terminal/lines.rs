//! The words for each event, one line each. Pure but for what it remembers of the current step.

use crate::domain::display::{Ink, Style, bytes, duration, one_line};
use crate::domain::event::Event;
use crate::domain::site::ImageOrigin;
use std::time::Duration;

/// A plain log gets a progress line this often while a step moves bytes.
const BEAT: Duration = Duration::from_secs(10);

/// Words for events.
pub struct Lines {
    style: Style,
    steps: usize,
    title: String,
    begun: Duration,
    beat: Duration,
}

impl Lines {
    /// Before the first event.
    pub fn new(style: Style) -> Self {
        Self { style, steps: 0, title: String::new(), begun: Duration::ZERO, beat: Duration::ZERO }
    }

    /// The lines that stay.
    pub fn of(&mut self, event: &Event) -> Vec<String> {
        let style = self.style;
        match event {
            Event::Note(note) => vec![format!("{} {}", style.paint(Ink::Faint, "note:"), one_line(note))],
            Event::ImagePreparing { what } => vec![format!("{} {}", style.paint(Ink::Faint, "image:"), one_line(what))],
            Event::ImageReady(image) => {
                let (how, took) = match image.origin {
                    ImageOrigin::Present => ("was on the engine", None),
                    ImageOrigin::Pulled => ("pulled", Some(image.prepared_ms)),
                    ImageOrigin::BuiltLocally => {
                        ("STAND-IN built here, not the official image", Some(image.prepared_ms))
                    }
                    ImageOrigin::PresentStandIn => ("STAND-IN built here before, not the official image", None),
                };
                let took = took.map(|ms| format!(" in {}", duration(ms as f64 / 1e3))).unwrap_or_default();
                let head = style.paint(Ink::Faint, "image:");
                vec![format!("{head} {} is {} ({how}{took})", one_line(&image.wanted), one_line(&image.used))]
            }
            Event::DrillStarted { name, steps } => {
                self.steps = *steps;
                vec![style.paint(Ink::Strong, &one_line(name))]
            }
            Event::StepStarted { .. } | Event::Progress { .. } => Vec::new(),
            Event::StepFinished { number, title, took, error } => {
                self.finished(*number, title, *took, error.as_deref())
            }
            Event::DrillFinished { name, outcome } => {
                let ink = match outcome.as_str() {
                    "passed" => Ink::Good,
                    "failed" => Ink::Bad,
                    "skipped" => Ink::Caution,
                    _ => Ink::Unknown,
                };
                let line = format!("{} {}", style.paint(ink, &outcome.to_uppercase()), one_line(name));
                vec![line, String::new()]
            }
        }
    }

    fn finished(&self, number: usize, title: &str, took: Duration, error: Option<&str>) -> Vec<String> {
        let head = format!("  {} {}", self.place(number), one_line(title));
        let took = duration(took.as_secs_f64());
        let gap = self.style.width.min(80).saturating_sub(head.chars().count() + took.chars().count()).max(2);
        let mut lines = vec![format!("{head}{}{took}", " ".repeat(gap))];
        if let Some(error) = error {
            lines.push(format!("        {} {}", self.style.paint(Ink::Bad, "error:"), one_line(error)));
        }
        lines
    }

    /// ` 3/14`.
    fn place(&self, number: usize) -> String {
        let width = self.steps.to_string().len();
        format!("{number:>width$}/{}", self.steps)
    }

    /// What is going on now, for the moving line.
    pub fn current(&self, event: &Event) -> String {
        match event {
            Event::StepStarted { number, title } => format!("{} {}", self.place(*number), one_line(title)),
            Event::ImagePreparing { what } => one_line(what),
            _ => String::new(),
        }
    }

    /// In a plain log: a line now and then while bytes move, so that a long step is seen to live.
    pub fn heartbeat(&mut self, event: &Event, now: Duration) -> Option<String> {
        match event {
            Event::StepStarted { .. } => {
                self.title = self.current(event);
                (self.begun, self.beat) = (now, now);
                None
            }
            Event::Progress { bytes, total } if now.saturating_sub(self.beat) >= BEAT => {
                self.beat = now;
                let rate = *bytes as f64 / now.saturating_sub(self.begun).as_secs_f64().max(0.001);
                let rest = total.map(|total| total.saturating_sub(*bytes) as f64 / rate.max(1.0));
                let left = rest.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                Some(format!("  {}: {}", self.title, moved(*bytes, *total, rate, left)))
            }
            _ => None,
        }
    }
}

/// `45.2 MB of 100 MB, 50.1 MB/s, 2 s left`; `rate` in bytes a second.
pub fn moved(count: u64, total: Option<u64>, rate: f64, left: Option<Duration>) -> String {
    let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
    let left = left.map(|left| format!(", {} left", duration(left.as_secs_f64().ceil()))).unwrap_or_default();
    format!("{}{of}, {}/s{left}", bytes(count), bytes(rate.max(0.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: usize) -> Event {
        Event::StepStarted { number, title: "back up".into() }
    }

    #[test]
    fn a_step_says_its_place_its_title_its_time_and_its_error() {
        let mut lines = Lines::new(Style::plain(40));
        assert_eq!(lines.of(&Event::DrillStarted { name: "a/b total-loss".into(), steps: 14 }), ["a/b total-loss"]);
        let took = Duration::from_millis(1840);
        let event = |error| Event::StepFinished { number: 3, title: "back up".into(), took, error };
        assert_eq!(lines.of(&event(None)), ["   3/14 back up                   1.84 s"]);
        let failed = lines.of(&event(Some("pg_dump: exit 1\n::error::boo".into())));
        assert_eq!(failed[1], "        error: pg_dump: exit 1 ::error::boo");
        let end = Event::DrillFinished { name: "a/b total-loss".into(), outcome: "skipped".into() };
        assert_eq!(lines.of(&end), ["SKIPPED a/b total-loss", ""]);
    }

    #[test]
    fn a_long_step_shows_rate_and_remaining_time_now_and_then() {
        let mut lines = Lines::new(Style::plain(80));
        lines.of(&Event::DrillStarted { name: "x".into(), steps: 14 });
        let at = Duration::from_secs;
        assert_eq!(lines.heartbeat(&step(3), at(100)), None);
        let half = Event::Progress { bytes: 50_000_000, total: Some(100_000_000) };
        assert_eq!(lines.heartbeat(&half, at(105)), None);
        let said = lines.heartbeat(&half, at(110)).unwrap();
        assert_eq!(said, "   3/14 back up: 50.0 MB of 100 MB, 5.00 MB/s, 10 s left");
        assert_eq!(lines.heartbeat(&half, at(111)), None, "the next line is ten seconds away");
        let unknown = Event::Progress { bytes: 50_000_000, total: None };
        assert_eq!(lines.heartbeat(&unknown, at(120)).unwrap(), "   3/14 back up: 50.0 MB, 2.50 MB/s");
    }

    #[test]
    fn a_stand_in_is_called_one() {
        let image = crate::domain::site::ImageIdentity {
            wanted: "postgres:17".into(),
            used: "localhost/xtask-postgres:17".into(),
            digest: "sha256:00".into(),
            origin: ImageOrigin::BuiltLocally,
            prepared_ms: 42_000,
        };
        let said = Lines::new(Style::plain(80)).of(&Event::ImageReady(image));
        assert_eq!(
            said,
            ["image: postgres:17 is localhost/xtask-postgres:17 (STAND-IN built here, not the official image in 42 s)"]
        );
    }
}
