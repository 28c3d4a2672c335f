//! `cargo xtask validate-traefik`: asks Traefik itself, and its doors, whether a stack's routes lead where its files say.

use crate::checks::TRAEFIK;
use crate::domain::check::{CheckRecord, Weight};
use crate::domain::compose::ComposeProject;
use crate::domain::outcome::exit_code;
use crate::domain::stack::Stack;
use crate::flow::routes::{Eyes, PATIENCE, TIMES, gather, wanted};
use anyhow::Result;
use std::io::Write;

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
/// When the stack has no route: nothing to ask is no success.
pub fn checks(eyes: &Eyes<'_>, stack: &Stack, compose: Option<&ComposeProject>) -> Result<Vec<CheckRecord>> {
    let facts = gather(eyes, stack, compose)?;
    Ok(TRAEFIK.iter().map(|check| CheckRecord::of(check, &stack.name, &facts)).collect())
}

/// The exit code that follows.
pub fn code(records: &[CheckRecord]) -> u8 {
    exit_code(records.iter().map(|record| &record.outcome))
}

/// Says what was found, the worst in full. As JSON: `{"stack", "exit_code", "checks": […]}`.
///
/// # Errors
/// When nobody can be told.
pub fn tell(stack: &Stack, records: &[CheckRecord], json: bool, out: &mut dyn Write) -> Result<u8> {
    let code = code(records);
    if json {
        let document = serde_json::json!({ "stack": stack.name, "exit_code": code, "checks": records });
        writeln!(out, "{document:#}")?;
        return Ok(code);
    }
    for record in records {
        writeln!(out, "{:<8} {:<12} {}", record.word(), record.id, record.title)?;
        for finding in &record.findings {
            let mark = match finding.weight {
                Weight::Failure => "!",
                Weight::Unknown => "?",
                Weight::Warning => "-",
            };
            writeln!(out, "         {mark} {}\n           next: {}", finding.sentence(), finding.next)?;
        }
        if let (true, Some(why)) = (record.outcome.skipped(), record.outcome.why()) {
            writeln!(out, "         {why}")?;
        } else if record.findings.iter().any(|f| f.weight != Weight::Warning) {
            writeln!(out, "         why it matters: {}", record.why)?;
        } else {
            for seen in &record.seen {
                writeln!(out, "           {seen}")?;
            }
        }
    }
    let count = |word: &str| records.iter().filter(|record| record.word() == word).count();
    let words = ["failed", "broken", "warning", "skipped", "passed"];
    let counts: Vec<String> =
        words.iter().map(|w| (count(w), w)).filter(|(n, _)| *n > 0).map(|(n, w)| format!("{n} {w}")).collect();
    writeln!(out, "{}: {}", stack.name, counts.join(", "))?;
    Ok(code)
}
