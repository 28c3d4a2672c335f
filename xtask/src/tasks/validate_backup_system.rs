//! `cargo xtask validate-backup-system`: asks of each stack whether its backups can be trusted, and attacks the verifier with spoiled
//! copies of its newest set.

use crate::checks::BACKUP_SYSTEM;
use crate::domain::check::CheckRecord;
use crate::domain::mutation::MutationRecord;
use crate::domain::outcome::{Outcome, Why, exit_code};
use crate::domain::project::Project;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::report::{Report, SCHEMA};
use crate::domain::stack::Stack;
use crate::engines;
use crate::flow::mutate::{Order, mutate};
use crate::flow::survey;
use crate::flow::world::World;
use crate::scenarios::SCENARIOS;
use anyhow::Result;

/// Which stacks, and how hard the verifier is attacked.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; every stack when left out
    #[arg(value_name = "STACK")]
    pub stack: Option<String>,
    /// How many spoiled copies of each newest set the verifier must refuse; 0 leaves the attack out, which is then not proven
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub mutants: u64,
    /// How many unchanged copies must pass
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    pub controls: u64,
    /// What the spoiling follows from; random when left out, and always printed
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// Only this mutant, to see a survivor again
    #[arg(long, value_name = "K", requires = "seed")]
    pub mutant: Option<u64>,
    /// The set to attack
    #[arg(long, value_name = "SET", default_value = "latest")]
    pub set: String,
    /// How many mutants are made anew and restored (25, or 5 where a container is needed for each)
    #[arg(long, value_name = "N")]
    pub remade: Option<u64>,
    /// How many gigabytes may be copied and read for the mutants of a set: of a large set fewer artifacts are spoiled, which is said
    #[arg(long, value_name = "GB", default_value_t = 20)]
    pub budget: u64,
}

/// What would be done, as text.
///
/// # Errors
/// No stack has this name.
pub fn plan(project: &Project, args: &Args) -> Result<String> {
    let mut text = String::new();
    for stack in chosen(project, args)? {
        text.push_str(&format!("validate the backups of {} in {}\n", stack.name, stack.backups.vault.display()));
        text.extend(BACKUP_SYSTEM.iter().map(|check| format!("  check {:<12} {}\n", check.id, check.title)));
        let seed = args.seed.map_or("a random seed".to_owned(), |seed| format!("seed {seed}"));
        text.push_str(&format!(
            "  attack the verifier with {} spoiled copies of set {} ({seed}), and {} unchanged ones; the vault is only read\n",
            args.mutants, args.set, args.controls
        ));
    }
    Ok(text)
}

/// Asks and attacks.
///
/// # Errors
/// No stack has this name, or there is no stack.
pub fn run(world: &World, project: &Project, args: &Args) -> Result<Report> {
    let begun = world.clock.now();
    let started = world.clock.wall();
    let stacks = chosen(project, args)?;
    let mut checks = Vec::new();
    let mut mutations = Vec::new();
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000_000));
    for stack in &stacks {
        let facts = survey::backups(world, project, stack, SCENARIOS);
        checks.extend(BACKUP_SYSTEM.iter().map(|check| CheckRecord::of(check, &stack.name, &facts)));
        mutations.push(attack(world, stack, args, seed));
    }
    let notes = stacks.iter().flat_map(|stack| stack.notes.iter().map(|note| format!("{}: {note}", stack.name)));
    let mut report = Report {
        schema: SCHEMA,
        tool: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
        task: "validate-backup-system".to_owned(),
        run: world.run.clone(),
        started_at: started.to_string(),
        duration_seconds: (world.clock.now() - begun).as_secs_f64(),
        machine: world.sites.machine(),
        images: Vec::new(),
        drills: Vec::new(),
        checks,
        mutations,
        notes: project.notes.iter().cloned().chain(notes).collect(),
        exit_code: 0,
    };
    report.exit_code = exit_code(report.outcomes());
    Ok(report)
}

fn attack(world: &World, stack: &Stack, args: &Args, seed: u64) -> MutationRecord {
    if args.mutants == 0 {
        let why = Why::new("--mutants 0: whether damage would be noticed was not tried");
        return MutationRecord::without(&stack.name, seed, Outcome::Skipped(why));
    }
    let order = Order {
        stack,
        set: &args.set,
        mutants: args.mutants,
        controls: args.controls,
        seed,
        only: args.mutant,
        remade: args.remade,
        budget: args.budget.saturating_mul(1_000_000_000),
        engines: engines::find,
    };
    mutate(world, order)
}

fn chosen<'a>(project: &'a Project, args: &Args) -> Result<Vec<&'a Stack>> {
    let stacks: Vec<&Stack> = match &args.stack {
        Some(name) => vec![project.stack(name)?],
        None => project.stacks.iter().collect(),
    };
    if stacks.is_empty() {
        let hint = "describe one in recovery.yaml: cargo xtask init";
        return Err(Refusal::new(RefusalKind::Configuration, "there is no stack to validate", hint).into());
    }
    Ok(stacks)
}
