//! SIGINT, SIGTERM and SIGHUP: everything that this run made is removed, then the process ends with 128 + n. A second signal
//! skips the clean-up.

use crate::exit_code::SIGNALS;
use anyhow::{Context, Result};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether one was taken: from then on the run is over, whatever its threads still say.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Returns at once, unless a signal was taken: then never, because the process ends when everything is removed. Called before
/// anything is told of a run, so that what the clean-up killed is not taken for a fault.
pub fn unless_interrupted() {
    while TAKEN.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Watches for signals until the process ends; `clean_up` removes what the run made, whatever other threads are doing.
///
/// # Errors
/// The handlers cannot be installed.
pub fn clean_up_on_signals(clean_up: impl Fn() -> Result<()> + Send + Sync + 'static) -> Result<()> {
    let mut signals = Signals::new(SIGNALS.map(|(signal, _)| signal)).context("watch for signals")?;
    let clean_up = Arc::new(clean_up);
    std::thread::spawn(move || {
        for signal in &mut signals {
            let code = SIGNALS.iter().find(|(s, _)| *s == signal).map_or(130, |(_, code)| i32::from(*code));
            if TAKEN.swap(true, Ordering::SeqCst) {
                leave(code);
            }
            let clean_up = Arc::clone(&clean_up);
            std::thread::spawn(move || {
                tell("\ninterrupted: removing what this run made (once more to leave it to `cargo xtask sweep`)");
                if let Err(error) = clean_up() {
                    tell(&format!("error: clean up: {error:#}\nhint: cargo xtask sweep"));
                }
                leave(code);
            });
        }
    });
    Ok(())
}

/// The terminal may be gone, which is why the signal came: nothing depends on these words.
fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "the run is over: its resources were removed above, by name"
)]
fn leave(code: i32) -> ! {
    std::process::exit(code)
}
