//! `cargo xtask validate-traefik`: asks Traefik itself, and its doors, whether a stack's routes lead where its files say.

use crate::checks::TRAEFIK;
use crate::domain::check::CheckRecord;
use crate::domain::compose::ComposeProject;
use crate::domain::outcome::exit_code;
use crate::domain::project::Project;
use crate::domain::report::{Report, SCHEMA};
use crate::domain::stack::Stack;
use crate::flow::routes::{Eyes, PATIENCE, TIMES, gather, wanted};
use crate::flow::world::World;
use crate::ports::{Surroundings, Web};
use anyhow::Result;

/// Which stack.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The stack's name; `prod` and `staging` name the stack that ends so
    #[arg(value_name = "STACK")]
    pub stack: String,
}

/// What would be asked, as text.
///
/// # Errors
/// When the stack has no route.
pub fn plan(stack: &Stack, compose: Option<&ComposeProject>) -> Result<String> {
    let mut text = format!("look at the containers of project {}, at Traefik and at the networks\n", stack.project);
    let api = stack.traefik.api.as_ref().map_or("the API of the Traefik that runs here".to_owned(), |api| api.shown());
    text.push_str(&format!("ask {api} for version, entry points, routers, services and middlewares\n"));
    for routed in wanted(stack, compose)? {
        for router in &routed.routers {
            let rule = router.rule.as_deref().unwrap_or("a rule that Traefik makes up");
            let (name, seconds) = (&router.name, PATIENCE.as_secs());
            text.push_str(&format!(
                "ask {TIMES} times, {seconds} s each, through the doors of router {name}: {rule}\n"
            ));
        }
    }
    text.push_str("ask the published doors for the dashboard\n");
    for check in TRAEFIK {
        text.push_str(&format!("check {}: {}\n", check.id, check.title));
    }
    Ok(text)
}

/// Asks every check.
///
/// # Errors
/// No stack has this name, or it has no route: nothing to ask is no success.
pub fn run(
    world: &World,
    surroundings: &dyn Surroundings,
    web: &dyn Web,
    project: &Project,
    args: &Args,
) -> Result<Report> {
    let (begun, started) = (world.clock.now(), world.clock.wall());
    let stack = project.stack(&args.stack)?;
    let eyes = Eyes { clock: world.clock.as_ref(), surroundings, web };
    let facts = gather(&eyes, stack, project.compose(stack))?;
    let mut report = Report {
        schema: SCHEMA,
        tool: concat!("xtask ", env!("CARGO_PKG_VERSION")).to_owned(),
        task: "validate-traefik".to_owned(),
        run: world.run.clone(),
        started_at: started.to_string(),
        duration_seconds: (world.clock.now() - begun).as_secs_f64(),
        machine: world.sites.machine(),
        images: Vec::new(),
        drills: Vec::new(),
        checks: TRAEFIK.iter().map(|check| CheckRecord::of(check, &stack.name, &facts)).collect(),
        mutations: Vec::new(),
        notes: project.notes.clone(),
        exit_code: 0,
    };
    report.exit_code = exit_code(report.outcomes());
    Ok(report)
}
