//! The binary behind `cargo xtask`: reads the command line, wires the adapters to the ports, and turns what happened into words
//! and an exit code.

use clap::Parser;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use xtask::adapters::clock::SystemClock;
use xtask::adapters::config::{LoadOptions, load};
use xtask::adapters::directory::DirectorySites;
use xtask::adapters::sites::LocalSites;
use xtask::adapters::terminal::{Surroundings, Terminal};
use xtask::adapters::web::Client;
use xtask::adapters::{signals, sqlite, tree};
use xtask::cli::{Cli, Task};
use xtask::domain::project::Project;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::report::Report;
use xtask::exit_code;
use xtask::flow::publish::{Sinks, harmless, prepare, publish_through, say};
use xtask::flow::world::World;
use xtask::ports::{Clock, Events, Sites};
use xtask::reporters::{REPORTERS, Reporter};
use xtask::tasks;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = run(&cli);
    signals::unless_interrupted();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let mut text = format!("error: {error:#}\n");
            if let Some(hint) = exit_code::hint(&error) {
                text.push_str(&format!("hint: {hint}\n"));
            }
            let _ = say(&mut std::io::stderr(), &harmless(&text, in_actions()));
            ExitCode::from(exit_code::of(&error))
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<u8> {
    let here = Here::find()?;
    match &cli.task {
        Task::Tool(args) => tool(&args.words).map(|()| exit_code::PASSED),
        Task::Ci(args) if !cli.plan && !cli.json => tasks::ci::run(args, &here.workspace),
        Task::TestRecovery(args) if !cli.plan => test_recovery(cli, &here, &load(&here.options(cli))?, args),
        Task::ValidateTraefik(args) if !cli.plan => validate_traefik(cli, &here, &load(&here.options(cli))?, args),
        Task::ValidateBackupSystem(args) if !cli.plan => {
            validate_backup_system(cli, &here, &load(&here.options(cli))?, args)
        }
        Task::Verify(args) if !cli.plan => verify(cli, &here, &load(&here.options(cli))?, args),
        task => {
            no_json(cli, task)?;
            let mut text = Vec::new();
            let done = if cli.plan { plan(cli, &here, task, &mut text) } else { perform(cli, &here, task, &mut text) };
            signals::unless_interrupted();
            say(&mut std::io::stdout(), &harmless(&String::from_utf8_lossy(&text), in_actions()))?;
            done
        }
    }
}

/// What has no JSON says so: a program that asked for it would read words.
fn no_json(cli: &Cli, task: &Task) -> anyhow::Result<()> {
    let has = !cli.plan
        && matches!(
            task,
            Task::TestRecovery(_)
                | Task::ValidateBackupSystem(_)
                | Task::Backup(_)
                | Task::Adopt(_)
                | Task::Verify(_)
                | Task::Restore(_)
                | Task::Prune(_)
                | Task::Rewrap(_)
                | Task::Sweep(_)
                | Task::ValidateTraefik(_)
        );
    if cli.json && !has {
        let message = "--json is for the results of test-recovery, validate-backup-system, validate-traefik, backup, adopt, verify, restore, prune, rewrap and sweep";
        return Err(Refusal::new(RefusalKind::Configuration, message, "leave --json out").into());
    }
    Ok(())
}

/// What would be done, as text. Nothing in here may do it.
fn plan(cli: &Cli, here: &Here, task: &Task, out: &mut dyn Write) -> anyhow::Result<u8> {
    let text = match task {
        Task::Init(args) => {
            return tasks::init::run(&tasks::init::Args { print: true, ..args.clone() }, &here.options(cli), out);
        }
        Task::Images(args) => tasks::images::plan(args)?,
        Task::Sweep(_) => tasks::sweep::plan(&std::env::temp_dir()),
        Task::Backup(args) => tasks::backup::plan(load(&here.options(cli))?.stack(&args.stack)?, args)?,
        Task::Keys(args) => tasks::keys::plan(args),
        Task::Verify(args) => tasks::verify::plan(load(&here.options(cli))?.stack(&args.stack)?, args),
        Task::Restore(args) => {
            let project = load(&here.options(cli))?;
            tasks::restore::plan(&here.world(cli)?, project.stack(&args.stack)?, args)?
        }
        Task::Prune(args) => {
            let project = load(&here.options(cli))?;
            tasks::prune::plan(project.stack(&args.stack)?, args, SystemClock::start().wall())?
        }
        Task::Rewrap(args) => tasks::rewrap::plan(load(&here.options(cli))?.stack(&args.stack)?, args)?,
        Task::Adopt(args) => tasks::adopt::plan(load(&here.options(cli))?.stack(&args.stack)?, args)?,
        Task::ValidateTraefik(args) => {
            let project = load(&here.options(cli))?;
            let stack = project.stack(&args.stack)?;
            tasks::validate_traefik::plan(stack, project.compose(stack))?
        }
        Task::TestRecovery(args) => tasks::test_recovery::plans(&load(&here.options(cli))?, args)?,
        Task::ValidateBackupSystem(args) => tasks::validate_backup_system::plan(&load(&here.options(cli))?, args)?,
        Task::Ci(args) => tasks::ci::plan(args, &here.workspace),
        Task::Tool(_) => anyhow::bail!("a data tool has no plan"),
    };
    out.write_all(text.as_bytes())?;
    Ok(exit_code::PASSED)
}

/// The tasks that say in a few lines what they have done; `out` is shown when they end.
fn perform(cli: &Cli, here: &Here, task: &Task, out: &mut dyn Write) -> anyhow::Result<u8> {
    match task {
        Task::Init(args) => tasks::init::run(args, &here.options(cli), out),
        Task::Images(args) => images(cli, here, args, out),
        Task::Sweep(_) => tasks::sweep::run(&here.world(cli)?, load(&here.options(cli)), cli.json, out),
        Task::Backup(args) => {
            let project = load(&here.options(cli))?;
            tasks::backup::run(&here.world(cli)?, project.stack(&args.stack)?, args, cli.json, out)
        }
        Task::Keys(args) => tasks::keys::run(args, out),
        Task::Restore(args) => {
            let project = load(&here.options(cli))?;
            let environment = here.options(cli).environment;
            tasks::restore::run(&here.world(cli)?, project.stack(&args.stack)?, args, environment, cli.json, out)
        }
        Task::Prune(args) => {
            let project = load(&here.options(cli))?;
            tasks::prune::run(&here.world(cli)?, project.stack(&args.stack)?, args, cli.json, out)
        }
        Task::Rewrap(args) => {
            let project = load(&here.options(cli))?;
            tasks::rewrap::run(&here.world(cli)?, project.stack(&args.stack)?, args, cli.json, out)
        }
        Task::Adopt(args) => {
            let options = here.options(cli);
            let project = load(&options)?;
            let world = here.world(cli)?;
            tasks::adopt::run(&world, project.stack(&args.stack)?, args, options.environment, cli.json, out)
        }
        Task::Ci(_)
        | Task::TestRecovery(_)
        | Task::ValidateBackupSystem(_)
        | Task::ValidateTraefik(_)
        | Task::Verify(_)
        | Task::Tool(_) => {
            anyhow::bail!("this task tells by itself")
        }
    }
}

/// Whether GitHub Actions reads the output, and would act on what looks like a workflow command.
fn in_actions() -> bool {
    environment("GITHUB_ACTIONS").is_some_and(|v| v == "true")
}

#[expect(clippy::disallowed_methods, reason = "main is where the environment enters")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn test_recovery(cli: &Cli, here: &Here, project: &Project, args: &tasks::test_recovery::Args) -> anyhow::Result<u8> {
    let world = here.world(cli)?;
    prepare(&here.folder.join(&cli.report_dir))?;
    // What earlier runs left behind when they were killed goes first; a living run's things stay.
    let note = |text: String| world.events.tell(xtask::domain::event::Event::Note(text));
    match world.sites.sweep() {
        Ok(swept) => {
            swept.removed.iter().for_each(|name| note(format!("removed {name}, left behind by a run that died")))
        }
        // Where nothing can be looked at, nothing can be made either.
        Err(error) if Refusal::within(&error).is_some() => return Err(error),
        // What others left is no reason to prove nothing.
        Err(error) => note(format!("what earlier runs left behind could not be removed: {error:#}")),
    }
    let report = tasks::test_recovery::run(&world, project, args)?;
    xtask::flow::audit::drilled(&world, project, &report);
    drop(world);
    Ok(tell(cli, here, &report))
}

fn validate_backup_system(
    cli: &Cli,
    here: &Here,
    project: &Project,
    args: &tasks::validate_backup_system::Args,
) -> anyhow::Result<u8> {
    let world = here.world(cli)?;
    prepare(&here.folder.join(&cli.report_dir))?;
    let report = tasks::validate_backup_system::run(&world, project, args)?;
    drop(world);
    Ok(tell(cli, here, &report))
}

fn validate_traefik(
    cli: &Cli,
    here: &Here,
    project: &Project,
    args: &tasks::validate_traefik::Args,
) -> anyhow::Result<u8> {
    let world = here.world(cli)?;
    prepare(&here.folder.join(&cli.report_dir))?;
    let (surroundings, web) = (here.surroundings(world.clock.as_ref())?, Client::new(Arc::clone(&world.clock)));
    let report = tasks::validate_traefik::run(&world, surroundings.as_ref(), &web, project, args)?;
    drop(world);
    Ok(tell(cli, here, &report))
}

fn verify(cli: &Cli, here: &Here, project: &Project, args: &tasks::verify::Args) -> anyhow::Result<u8> {
    let stack = project.stack(&args.stack)?;
    let world = here.world(cli)?;
    prepare(&here.folder.join(&cli.report_dir))?;
    let mut text = Vec::new();
    let done = tasks::verify::run(&world, stack, args, here.options(cli).environment, cli.json, &mut text);
    drop(world);
    signals::unless_interrupted();
    say(&mut std::io::stdout(), &harmless(&String::from_utf8_lossy(&text), in_actions()))?;
    // It has said its own words, as JSON too: what is left are the files, and what Actions shows.
    let silent: Vec<&dyn Reporter> = REPORTERS.iter().copied().filter(|r| r.name() != "terminal").collect();
    let mut words: Box<dyn Write> = if cli.json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
    let code = tell_through(&silent, cli, here, &done.report, (words.as_mut(), false));
    done.error.map_or(Ok(code), Err)
}

/// Tells a finished report to everybody; returns the exit code.
fn tell(cli: &Cli, here: &Here, report: &Report) -> u8 {
    signals::unless_interrupted();
    tell_through(REPORTERS, cli, here, report, (&mut std::io::stdout(), cli.json))
}

fn tell_through(
    reporters: &[&dyn Reporter],
    cli: &Cli,
    here: &Here,
    report: &Report,
    (stdout, json): (&mut dyn Write, bool),
) -> u8 {
    let summary = environment("GITHUB_STEP_SUMMARY").map(PathBuf::from);
    let mut sinks = Sinks {
        folder: &here.folder.join(&cli.report_dir),
        stdout,
        stderr: &mut std::io::stderr(),
        step_summary: summary.as_deref(),
        in_actions: in_actions(),
        json,
        style: Surroundings::of_process(cli.no_color, cli.quiet).summary(json),
    };
    publish_through(reporters, report, &mut sinks).exit_code(report)
}

#[cfg(feature = "docker")]
fn images(cli: &Cli, here: &Here, args: &tasks::images::Args, out: &mut dyn Write) -> anyhow::Result<u8> {
    use xtask::adapters::docker::{DockerImages, RunIdentity};
    use xtask::adapters::provision::Provisioner;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let loader = DockerImages::connect(&RunIdentity::of_this_process(run_id(clock.as_ref()))?)?;
    let provisioner = Arc::new(Provisioner::new(here.cache(), clock));
    let abandoned = Arc::clone(&provisioner);
    signals::clean_up_on_signals(move || abandoned.abandon())?;
    let events = here.events(cli);
    let workshop = tasks::images::Workshop { provisioner: &provisioner, loader: &loader, events: events.as_ref() };
    tasks::images::run(args, &workshop, out)
}

#[cfg(not(feature = "docker"))]
fn images(_: &Cli, here: &Here, _: &tasks::images::Args, _: &mut dyn Write) -> anyhow::Result<u8> {
    let hint = "build with the `docker` feature, which is on by default";
    let message = format!("this binary was built without Docker and leaves {} alone", here.cache().display());
    Err(Refusal::new(RefusalKind::DockerUnavailable, message, hint).into())
}

fn tool(words: &[String]) -> anyhow::Result<()> {
    match words.split_first() {
        Some((engine, words)) if engine == "sqlite" => sqlite::tool(words),
        Some((engine, words)) if engine == "files" => tree::tool(words),
        _ => anyhow::bail!("there is no such tool"),
    }
}

/// Where the program runs.
struct Here {
    /// The folder whose stacks are meant: the current one, or the repository's when the current one describes none.
    folder: PathBuf,
    /// The repository that holds this program.
    workspace: PathBuf,
}

impl Here {
    fn find() -> anyhow::Result<Self> {
        let current = std::env::current_dir()?;
        let workspace =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| current.clone(), Path::to_path_buf);
        Ok(Self { folder: current, workspace })
    }

    fn options(&self, cli: &Cli) -> LoadOptions<'static> {
        #[expect(clippy::disallowed_methods, reason = "main is where the environment enters")]
        fn environment(name: &str) -> Option<String> {
            std::env::var(name).ok()
        }
        LoadOptions { config: cli.config.clone(), folder: self.folder.clone(), environment: &environment }
    }

    fn events(&self, cli: &Cli) -> Arc<dyn Events> {
        Arc::new(Terminal::new(&Surroundings::of_process(cli.no_color, cli.quiet).live()))
    }

    fn cache(&self) -> PathBuf {
        self.workspace.join(".cache/xtask")
    }

    #[cfg(feature = "docker")]
    fn containers(&self, run: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Result<Arc<dyn Sites>, Refusal>> {
        use xtask::adapters::docker::{DockerImages, DockerSites, RunIdentity};
        use xtask::adapters::provision::{Provisioner, StandIns};
        let identity = RunIdentity::of_this_process(run)?;
        let provisioner = Arc::new(Provisioner::new(self.cache(), Arc::clone(clock)));
        let recipes = StandIns::new(provisioner, Arc::new(DockerImages::connect(&identity)?));
        Ok(Ok(Arc::new(DockerSites::connect(&identity, Arc::new(recipes))?)))
    }

    #[cfg(not(feature = "docker"))]
    fn containers(&self, _run: &str, _clock: &Arc<dyn Clock>) -> anyhow::Result<Result<Arc<dyn Sites>, Refusal>> {
        let hint = "build with the `docker` feature, which is on by default";
        Ok(Err(Refusal::new(RefusalKind::DockerUnavailable, "this binary was built without Docker", hint)))
    }

    #[cfg(feature = "docker")]
    fn surroundings(&self, clock: &dyn Clock) -> anyhow::Result<Box<dyn xtask::ports::Surroundings>> {
        use xtask::adapters::docker::{DockerSurroundings, RunIdentity};
        Ok(Box::new(DockerSurroundings::connect(&RunIdentity::of_this_process(run_id(clock))?)?))
    }

    #[cfg(not(feature = "docker"))]
    fn surroundings(&self, _clock: &dyn Clock) -> anyhow::Result<Box<dyn xtask::ports::Surroundings>> {
        let hint = "build with the `docker` feature, which is on by default";
        Err(Refusal::new(RefusalKind::DockerUnavailable, "this binary was built without Docker", hint).into())
    }

    fn world(&self, cli: &Cli) -> anyhow::Result<World> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let run = run_id(clock.as_ref());
        let events = self.events(cli);
        let directory = DirectorySites::new(&run, std::env::current_exe()?, None);
        let containers = self.containers(&run, &clock)?;
        let sites: Arc<dyn Sites> = Arc::new(LocalSites::new(directory, containers));
        let abandoned = Arc::clone(&sites);
        signals::clean_up_on_signals(move || abandoned.abandon())?;
        Ok(World { clock, sites, events, run })
    }
}

/// `20261120t010203-k7q2x`: when, and something random; part of every name that the run gives.
fn run_id(clock: &dyn Clock) -> String {
    let wall = clock.wall().strftime("%Y%m%dt%H%M%S").to_string();
    let random: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(5).collect();
    format!("{wall}-{random}")
}
