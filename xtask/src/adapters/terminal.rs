//! The live side of the terminal: tells events while they happen, on standard error. Animated on a terminal, plain lines elsewhere.
//! It must not know what the events add up to: the summary is a reporter's.

mod lines;
mod look;

pub use look::{Look, Surroundings};

use crate::domain::display::Style;
use crate::domain::event::Event;
use crate::ports::Events;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lines::{Lines, moved};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Watches a run on behalf of a person.
pub struct Terminal {
    inner: Mutex<Inner>,
}

struct Inner {
    lines: Lines,
    begun: Instant,
    out: Out,
}

/// Where lines go.
enum Out {
    Silent,
    Plain(Box<dyn Write + Send>),
    Live(ProgressBar),
}

impl Terminal {
    /// On standard error, as `look` says.
    pub fn new(look: &Look) -> Self {
        let out = match look {
            Look::Silent => Out::Silent,
            Look::Plain(_) => Out::Plain(Box::new(std::io::stderr())),
            Look::Live(_) => Out::Live(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
        };
        Self::on(out, look.style())
    }

    /// Plain lines to any writer.
    pub fn plain(out: Box<dyn Write + Send>, style: Style) -> Self {
        Self::on(Out::Plain(out), style)
    }

    #[expect(clippy::disallowed_methods, reason = "paces progress lines; measures nothing that is reported")]
    fn on(out: Out, style: Style) -> Self {
        Self { inner: Mutex::new(Inner { lines: Lines::new(style), begun: Instant::now(), out }) }
    }
}

impl Events for Terminal {
    fn tell(&self, event: Event) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).tell(&event);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Out::Live(bar) = &self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).out {
            bar.finish_and_clear();
        }
    }
}

impl Inner {
    fn tell(&mut self, event: &Event) {
        let now = self.begun.elapsed();
        match &mut self.out {
            Out::Silent => {}
            Out::Plain(out) => {
                let beat = self.lines.heartbeat(event, now);
                for line in self.lines.of(event).into_iter().chain(beat) {
                    // Nobody may be reading any more: the run goes on, its report is what counts.
                    let _ = writeln!(out, "{line}");
                }
            }
            Out::Live(bar) => {
                for line in self.lines.of(event) {
                    bar.println(line);
                }
                animate(bar, &mut self.lines, event);
            }
        }
    }
}

/// The one moving line at the bottom.
fn animate(bar: &ProgressBar, lines: &mut Lines, event: &Event) {
    match event {
        Event::StepStarted { .. } | Event::ImagePreparing { .. } => {
            bar.reset();
            bar.unset_length();
            bar.set_style(style("{spinner} {wide_msg} {took}"));
            bar.set_message(lines.current(event));
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Event::Progress { bytes, total } => {
            if bar.position() == 0 || bar.length() != *total {
                bar.set_style(match total {
                    Some(total) => {
                        bar.set_length(*total);
                        style("{spinner} {wide_msg} [{bar:20}] {moved}")
                    }
                    None => style("{spinner} {wide_msg} {moved}"),
                });
            }
            bar.set_position(*bytes);
        }
        Event::StepFinished { .. } | Event::ImageReady(_) | Event::DrillFinished { .. } => {
            bar.disable_steady_tick();
            bar.finish_and_clear();
        }
        Event::Note(_) | Event::DrillStarted { .. } => {}
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars(r"|/-\ ")
        .progress_chars("=> ")
        .with_key("took", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", crate::domain::display::duration(state.elapsed().as_secs_f64().round()));
        })
        .with_key("moved", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let left = state.len().map(|_| state.eta());
            let _ = write!(out, "{}", moved(state.pos(), state.len(), state.per_sec(), left));
        })
}
