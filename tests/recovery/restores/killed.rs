//! SIGKILL at random moments of a restore of an SQLite database and a folder: each is the old one or the restored one, sets are whole,
//! no lock stays, no process works on, and what is left is cleared. XTASK_KILLS says how often.
#![expect(clippy::disallowed_methods, reason = "the real program is run and killed at random moments")]

use super::rig::{Content, Rig};
use crate::support::wait_for;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How often, when nobody says.
const KILLS: u32 = 6;

pub fn kills(otherwise: u32) -> u32 {
    std::env::var("XTASK_KILLS").map_or(otherwise, |text| text.parse().expect("XTASK_KILLS is a number"))
}

/// Lets the program go on until it says this and for a moment more, kills it, and says whether it was still at work.
pub fn kill_after(child: &mut Child, after: Option<&str>, moment: Duration) -> bool {
    if let Some(words) = after {
        wait_for(child, words);
    }
    let until = Instant::now() + moment;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(300));
    }
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

/// What a restore says on its way; killed after each of these, and after nothing.
const SAYS: [Option<&str>; 5] = [
    None,
    Some("restoring beside"),
    Some("proven equal"),
    Some("put the proven database"),
    Some("let the two folders"),
];

type State = (Content, Vec<(String, String)>);

fn state(rig: &Rig) -> State {
    (rig.content(), rig.pictures())
}

/// Two states of a site, and the set of each.
struct Two {
    rig: Rig,
    states: [State; 2],
    sets: [String; 2],
}

impl Two {
    fn new(mode: &str) -> Self {
        let rig = Rig::new(mode, 12_000);
        let (one, first) = (state(&rig), rig.backup());
        rig.sql("DELETE FROM orders WHERE id % 3 = 0; UPDATE customers SET name = 'Eve' WHERE id = 1");
        std::fs::write(rig.path("uploads/first.jpg"), "another picture").unwrap();
        (0..40).for_each(|n| std::fs::write(rig.path(&format!("uploads/{n}.jpg")), "more").unwrap());
        let (two, second) = (state(&rig), rig.backup());
        Self { rig, states: [one, two], sets: [first, second] }
    }

    /// Starts a restore of one of them, kills it a moment after it said this, and says whether it was still at work.
    fn killed(&self, which: usize, after: Option<&str>, moment: Duration, more: &[&str]) -> bool {
        let words =
            [["restore", "site", &self.sets[which], "--to", "live", "--confirm", "site"].as_slice(), more].concat();
        let mut child = self.rig.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        kill_after(&mut child, after, moment)
    }

    /// Whether a tool of a killed run still works in the site's folders.
    fn working(&self) -> bool {
        let inside = |cwd: std::path::PathBuf| cwd.starts_with(self.rig.project.path());
        let mut all =
            std::fs::read_dir("/proc").unwrap().filter_map(|e| std::fs::read_link(e.ok()?.path().join("cwd")).ok());
        all.any(inside)
    }

    fn each_is_old_or_new(&self, at: &str) {
        let (content, pictures) = state(&self.rig);
        assert!(
            self.states.iter().any(|s| s.0 == content),
            "{at}: the database is a mixture of {} rows",
            content.len()
        );
        assert!(self.states.iter().any(|s| s.1 == pictures), "{at}: the folder is a mixture: {pictures:?}");
    }
}

#[test]
fn flaw_07_killed_at_any_moment_a_restore_leaves_old_or_new_and_nothing_that_stays() {
    let mut left = 0;
    let all = kills(KILLS);
    for (mode, share) in [("wal", all.div_ceil(2)), ("delete", all / 2)] {
        let two = Two::new(mode);
        let begun = Instant::now();
        let safety = ["--without-safety-backup", "--drop-previous"];
        two.rig.done(&["restore", "site", &two.sets[0], "--to", "live", "--confirm", "site"]);
        let whole = begun.elapsed();
        let mut at_work = 0;
        for number in 0..share {
            let after = SAYS[number as usize % SAYS.len()];
            // The machine may be busier or idler than when one was measured.
            let moment = whole.mul_f64(fastrand::f64() * if after.is_some() { 0.12 } else { 0.6 });
            let more = &safety[..fastrand::usize(..=2)];
            at_work += u32::from(two.killed(fastrand::usize(..2), after, moment, more));
            let at = format!("{mode}, killed {moment:?} after {after:?} with {more:?}");
            let until = Instant::now() + Duration::from_secs(10);
            while two.working() {
                assert!(Instant::now() < until, "{at}: a tool works on");
                std::thread::sleep(Duration::from_millis(5));
            }
            left += usize::from(!two.rig.named("_restore_").is_empty());
            two.each_is_old_or_new(&at);
            // No lock is stuck, and what is left goes: with a sweep, or with the next restore.
            if number % 2 == 0 {
                two.rig.done(&["sweep"]);
            } else {
                let which = fastrand::usize(..2);
                let words =
                    ["restore", "site", &two.sets[which], "--to", "live", "--confirm", "site", "--drop-previous"];
                two.rig.done(&[words.as_slice(), &["--without-safety-backup"]].concat());
                assert_eq!(state(&two.rig), two.states[which], "{at}: the next restore");
            }
            assert_eq!(two.rig.named("_restore_"), Vec::<String>::new(), "{at}: after the clearing");
            two.each_is_old_or_new(&at);
            let journals = std::fs::read_dir(two.rig.path("vault")).unwrap();
            let journals =
                journals.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("restoring-"));
            assert_eq!(journals.count(), 0, "{at}: a journal stays");
        }
        two.rig.done(&["verify", "site", "all"]);
        two.rig.done(&["sweep"]);
        assert_eq!(std::fs::read_dir(two.rig.temporary.path()).unwrap().count(), 0);
        println!("{mode}: {share} kills, {at_work} while it was at work");
        assert!(at_work > 0, "of {share} kills none hit a restore");
    }
    println!("{left} of {all} kills left something to clear");
    assert!(all < 40 || left > 0, "no kill left anything: the clearing was not tried");
}
