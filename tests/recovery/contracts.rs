//! What every kind of site promises, as one list of checks that all of them must pass: folders, the scripted fake, containers.
//! The checks use nothing but programs that every image has, and must not know which kind they are looking at.

mod commands;
mod endings;
mod fake_programs;
mod places;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::fake::{FakeSites, ManualClock};
use xtask::adapters::sites::LocalSites;
use xtask::domain::exec::{Exec, Exit};
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::site::SiteSpec;
use xtask::ports::{OwnedSite, Running, Site, Sites};

/// Sites of one kind, and what to ask them for.
pub struct Rig {
    pub sites: Box<dyn Sites>,
    pub spec: SiteSpec,
    /// Whatever has to live as long as the sites.
    pub _keep: Box<dyn std::any::Any>,
}

impl Rig {
    pub fn open(&self) -> Box<dyn OwnedSite> {
        self.sites.open(&self.spec, "contract").unwrap()
    }
}

/// Longer than any check takes, shorter than anybody's patience: a check that hangs fails by this.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn exec(program: &str, args: &[&str]) -> Exec {
    Exec::site(program).args(args.iter().copied()).timeout(PATIENCE)
}

/// Runs a command to its end, writing `input` to it meanwhile.
pub fn run(site: &dyn Site, exec: &Exec, input: &[u8]) -> (Vec<u8>, Exit) {
    let mut running = site.start(exec).unwrap();
    let mut stdin = running.stdin.take();
    let mut output = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command may end without reading everything.
            let _ = stdin.as_mut().map(|stdin| stdin.write_all(input));
        });
        running.stdout.read_to_end(&mut output).unwrap();
    });
    (output, running.control.wait().unwrap())
}

/// Standard output of a command that must succeed.
pub fn text(site: &dyn Site, exec: &Exec) -> String {
    let (output, exit) = run(site, exec, b"");
    assert!(exit.ok(), "{}: {exit:?}", exec.command_line());
    String::from_utf8(output).unwrap()
}

/// A command that never ends by itself, with an input that stays open.
pub fn endless(site: &dyn Site) -> Running {
    site.start(&exec("sleep", &["600"])).unwrap()
}

pub fn kind(error: &anyhow::Error) -> RefusalKind {
    error.chain().find_map(|c| c.downcast_ref::<Refusal>()).unwrap_or_else(|| panic!("no refusal: {error:?}")).kind
}

/// Every check, once for every kind of site.
macro_rules! contract {
    ($($room:ident: $($check:ident)*;)*) => {
        /// The checks by name, for kinds of sites that are not always there.
        #[allow(dead_code, reason = "kinds that need more than this machine may be switched off")]
        pub const CHECKS: &[(&str, fn(&Rig))] = &[$($((stringify!($check), $room::$check)),*),*];

        mod directories { $($(#[test] fn $check() { super::$room::$check(&super::directories_rig()) })*)* }
        mod fakes { $($(#[test] fn $check() { super::$room::$check(&super::fakes_rig()) })*)* }
        mod composites { $($(#[test] fn $check() { super::$room::$check(&super::composites_rig()) })*)* }
    };
}

contract! {
    commands: output_and_success_come_back a_bad_exit_status_comes_back the_end_of_standard_error_is_kept
        a_program_that_does_not_exist_is_told arguments_are_passed_as_they_are bytes_go_through_unchanged
        large_streams_go_through_in_both_directions a_closed_input_ends_a_reader without_input_there_is_nothing_to_read
        a_program_that_reads_nothing_still_tells_its_status both_kinds_of_environment_arrive_and_nothing_of_ours
        commands_run_side_by_side;
    endings: a_timeout_kills_and_is_called_one a_timeout_ends_a_blocked_reader dropping_the_control_kills
        killing_ends_what_the_command_started a_killed_command_has_not_succeeded killing_twice_is_fine
        an_output_nobody_reads_does_not_hang waiting_twice_gives_the_same_answer;
    places: two_sites_share_nothing scratch_can_be_written what_it_cannot_suffer_is_an_error
        what_it_can_suffer_is_done killing_the_site_ends_its_commands a_destroyed_site_runs_nothing_and_stays_destroyed
        destroying_ends_what_runs_there a_sweep_leaves_the_living_alone after_abandoning_nothing_of_the_run_is_left
        its_identity_names_it;
}

fn directories_rig() -> Rig {
    let base = tempfile::tempdir().unwrap();
    let sites = DirectorySites::new("contract", PathBuf::from("/bin/false"), Some(base.path().to_owned()));
    Rig { sites: Box::new(sites), spec: SiteSpec::Directory, _keep: Box::new(base) }
}

fn composites_rig() -> Rig {
    let base = tempfile::tempdir().unwrap();
    let sites = DirectorySites::new("contract", PathBuf::from("/bin/false"), Some(base.path().to_owned()));
    let why = Refusal::new(RefusalKind::DockerUnavailable, "no engine here", "start one");
    Rig { sites: Box::new(LocalSites::new(sites, Err(why))), spec: SiteSpec::Directory, _keep: Box::new(base) }
}

fn fakes_rig() -> Rig {
    let sites = FakeSites::strict(Arc::new(ManualClock::default()));
    fake_programs::script(&sites);
    Rig { sites: Box::new(sites), spec: SiteSpec::Directory, _keep: Box::new(()) }
}
