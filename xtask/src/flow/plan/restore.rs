//! What a restore to somebody's place would do, as command lines.

use super::{act_line, acts, fed, line, questions};
use crate::domain::artifact::Component;
use crate::domain::engine::{Act, Feed, Target};
use crate::domain::exchange::Wish;
use crate::domain::refusal::Refusal;
use crate::domain::site::Attachment;
use crate::flow::recover::{Aim, Goal};
use crate::flow::visit;
use std::path::Path;

/// What is known of a restore before it begins.
#[derive(Clone, Copy)]
pub struct Planned<'a> {
    /// The store.
    pub aim: &'a Aim<'a>,
    /// What the set holds of it.
    pub component: &'a Component,
    /// Where to.
    pub goal: &'a Goal,
    /// Single tables, as census objects.
    pub tables: &'a [String],
    /// Names and manner.
    pub wish: &'a Wish,
}

/// The command lines of the restore of one store.
///
/// # Errors
/// The name that it is to get is none.
pub fn restore(planned: Planned<'_>) -> Result<Vec<String>, Refusal> {
    let Planned { aim, component, goal, tables, wish } = planned;
    let engine = aim.engine;
    let mut at = Target { scratch: "{scratch}".to_owned(), ..engine.attached_target(aim.store) };
    let mut lines = Vec::new();
    match &aim.to {
        Attachment::Service { project, service } => {
            at = engine.reached_at(at, "{its address}");
            lines.push(format!("(in a container beside service {service} of project {project}, never inside it)"));
        }
        Attachment::Folder(folder) if at.root == "." && at.name.is_empty() => {
            at.root = folder.file_name().map_or("{folder}".to_owned(), |name| name.to_string_lossy().into_owned());
            lines.push(format!("cd {}", folder.parent().unwrap_or(Path::new("/")).display()));
        }
        Attachment::Folder(folder) => lines.push(format!("cd {}", folder.display())),
        Attachment::Volume(of) => {
            if at.root == "." && at.name.is_empty() {
                "{folder}".clone_into(&mut at.root);
            }
            lines.push(format!("cd {{the folder of volume {}}}", of.name));
        }
    }
    if let Goal::Named(name) = goal {
        at = visit::named(aim.store, &at, name)?;
    }
    let exchange = engine.exchange(&at, component, wish);
    lines.push("# questions; nothing is touched before all of them are answered well".to_owned());
    lines.extend(questions(&engine.before_restore(&at, component)));
    if *goal == Goal::Live {
        lines.extend(acts(&[engine.facts(&at)]));
    }
    lines.extend(questions(&exchange.questions));
    if !tables.is_empty() {
        lines.push(backup(goal));
        lines.push("# the tables, in place and in one transaction".to_owned());
        lines.extend(acts(&engine.stage(&at)));
        lines.extend(engine.tables(&at, tables).iter().map(act_line));
        match engine.restore_tables(&at, component, tables, (&tables.join("\n"), &tables.join("\n"))) {
            Ok(all) => lines.extend(acts(&all)),
            Err(_) => lines.push("(the commands depend on the staged list)".to_owned()),
        }
        return Ok(lines);
    }
    lines.extend(questions(&exchange.obstacles));
    lines.extend(exchange.room.iter().map(|room| act_line(&room.act)));
    if let Some((extra, question)) = engine.roles(&at) {
        let Act { exec, feed, .. } = question(&at, "");
        if let Feed::Text(text) = feed {
            lines.push(format!("{}   # the roles of {{set}}/{extra}", fed(&exec, &text)));
        }
    }
    lines.push(backup(goal));
    lines.push("# beside: restored and proven under a name of its own".to_owned());
    lines.extend(questions(&engine.before_restore(&exchange.beside, component)));
    lines.extend(acts(&engine.restore_shared(&exchange.beside, component, "")));
    lines.extend(acts(&[engine.census(&exchange.beside)]));
    lines.push("(compare with the census of the set)".to_owned());
    lines.push("# the exchange, in one step".to_owned());
    lines.push(act_line(&exchange.swap));
    lines.extend(exchange.after.iter().map(act_line));
    lines.push(line(&engine.probe(&at, aim.store)));
    if let Some(previous) = exchange.previous.filter(|_| *goal == Goal::Live) {
        lines.push(format!("(what was there is called {previous} then; {} removes it)", exchange.removal));
    }
    lines.extend(acts(&engine.clear(&at, &wish.tag)));
    Ok(lines)
}

fn backup(goal: &Goal) -> String {
    match goal {
        Goal::Live => "# a safety backup of what is there now, into the vault".to_owned(),
        Goal::Named(_) => "# nothing that is there is touched".to_owned(),
    }
}
