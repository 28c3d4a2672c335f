//! What a drill would do, as text: every step with its command lines, nothing run. It asks the same descriptions that the drill
//! carries out; what is known only on the way stands in braces.

use crate::domain::artifact::{Component, Fingerprint};
use crate::domain::diagnosis::{Damage, Diagnosis};
use crate::domain::engine::{Act, Adopted, Blow, Engine, Feed, MarkTable, Preflight, Snapshot, Target};
use crate::domain::exec::{Exec, quote};
use crate::domain::foreign::{Content, Findings, Said};
use crate::domain::protection::Encryption;
use crate::domain::refusal::Refusal;
use crate::domain::scenario::{Step, Strike};
use crate::domain::site::{Attachment, ContainerSpec, SiteSpec};
use crate::domain::stack::Compression;
use crate::domain::store::Store;
use crate::flow::drill::{Input, Order};
use std::collections::BTreeSet;
use std::fmt::Write;

mod restore;

pub use restore::{Planned, restore};

/// The plan of one drill.
pub fn plan(order: &Order<'_>) -> String {
    let mut text =
        format!("{}/{} {} ({})\n", order.stack, order.store.name, order.scenario.name, order.input.origin().name());
    match order.scenario.steps_for(order.input.origin()) {
        Err(why) => {
            let _ = writeln!(text, "  skipped: {why}");
        }
        Ok(steps) => {
            for (n, step) in steps.iter().enumerate() {
                let _ = writeln!(text, "  {:>2}. {}", n + 1, step.title());
                for line in commands(order, *step) {
                    let _ = writeln!(text, "      {line}");
                }
            }
        }
    }
    text
}

/// The command lines of one step.
fn commands(order: &Order<'_>, step: Step) -> Vec<String> {
    let engine = order.engine;
    let mut target = engine.owned_target(order.store);
    "{scratch}".clone_into(&mut target.scratch);
    let component = placeholder(order);
    match step {
        Step::Sandbox | Step::Provision => place(engine, order.store, &target),
        Step::Seed => match order.input {
            Input::Rehearsal { bytes } => acts(&engine.seed(&target, bytes)),
            _ => Vec::new(),
        },
        Step::StartMarks => {
            let session = engine.mark_session(&target);
            vec![fed(&session.exec, &session.line)]
        }
        Step::Backup => match &order.input {
            Input::Live(attachment) => {
                backup(engine, &engine.attached_target(order.store), Some(attachment), &stages_of(order))
            }
            _ => backup(engine, &target, None, &stages_of(order)),
        },
        Step::Verify => vec!["(read every stored byte back, compare sizes and SHA-256)".to_owned()],
        Step::Churn => acts(&engine.churn(&target)),
        Step::Expose => {
            let mut lines = vec![format!("(write marks for {} s more)", order.exposure.as_secs())];
            if selective(order) {
                lines.extend(acts(&[engine.census(&target)]));
            }
            lines
        }
        Step::Strike(strike) => {
            engine.strike(&target, strike).map_or_else(|| vec!["(unsupported)".to_owned()], |b| blows(&b))
        }
        Step::Declare => vec!["(start the clock)".to_owned()],
        Step::Diagnose => acts(&[engine.diagnose(&target)]),
        Step::Restore => {
            let mut lines = questions(&engine.before_restore(&target, &component));
            lines.extend(acts(&engine.restore(&target, &component)));
            lines
        }
        Step::RestoreSelected => selected(engine, &target, &component),
        Step::Prove => {
            let mut lines = if selective(order) { acts(&[engine.diagnose(&target)]) } else { Vec::new() };
            lines.extend(acts(&[engine.census(&target)]));
            if matches!(order.input, Input::Rehearsal { .. }) {
                lines.extend(acts(&[engine.marks(&target, MarkTable::Kept), engine.marks(&target, MarkTable::Struck)]));
            }
            lines
        }
        Step::Probe => vec![line(&engine.probe(&target, order.store))],
    }
}

/// Whether only what is damaged is restored, which is judged against the state before the strike.
fn selective(order: &Order<'_>) -> bool {
    order.scenario.steps.contains(&Step::RestoreSelected)
}

fn place(engine: &dyn Engine, store: &Store, target: &Target) -> Vec<String> {
    let mut lines = match engine.site(store) {
        SiteSpec::Directory => vec!["(a private folder)".to_owned()],
        SiteSpec::Container(spec) => vec![container(&spec)],
    };
    lines.push(line(&engine.ready(target)));
    lines
}

fn container(spec: &ContainerSpec) -> String {
    let mut line = "docker run --detach --network {private}".to_owned();
    for (key, value) in &spec.env {
        let _ = write!(line, " --env {}", quote(&format!("{key}={}", on_one_line(value))));
    }
    for (key, _) in &spec.secret_env {
        let _ = write!(line, " --env {key}=[REDACTED]");
    }
    let _ = write!(line, " --volume {{data}}:{} --volume {{scratch}}:{} {}", spec.data, spec.scratch, spec.image);
    for word in &spec.command {
        let _ = write!(line, " {}", quote(&on_one_line(word)));
    }
    line
}

/// What the bytes of an artifact pass through on their way into a set.
pub fn stages(compression: Compression, encryption: &Encryption) -> String {
    let mut stages = Vec::new();
    stages.extend((compression != Compression::None).then_some("compress"));
    stages.extend(encryption.is_on().then_some("encrypt"));
    stages.push("sha256 > {set}");
    stages.join(" | ")
}

fn stages_of(order: &Order<'_>) -> String {
    stages(order.compression.unwrap_or(order.engine.compression()), order.encryption)
}

/// The command lines of a backup of one store, whose bytes pass through these stages; `attached` when it is somebody's.
pub fn backup(engine: &dyn Engine, target: &Target, attached: Option<&Attachment>, stages: &str) -> Vec<String> {
    backup_with(engine, target, attached, stages, None)
}

/// The same with other extras than the engine's own.
fn backup_with(
    engine: &dyn Engine,
    target: &Target,
    attached: Option<&Attachment>,
    stages: &str,
    extras: Option<Vec<(&'static str, Exec)>>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut target = target.clone();
    "{scratch}".clone_into(&mut target.scratch);
    if let Some(Attachment::Service { .. }) = attached {
        target = engine.reached_at(target, "{its address}");
    }
    lines.extend(attached.map(|attachment| match attachment {
        Attachment::Service { project, service } => format!(
            "docker run --detach --network container:{{{project}/{service}}} {{its image}} (beside the service, never inside it)"
        ),
        Attachment::Volume(of) => format!("cd {{the folder of volume {}}}", on_one_line(&of.name)),
        Attachment::Folder(folder) => format!("cd {}", quote(&on_one_line(&folder.to_string_lossy()))),
    }));
    lines.extend(questions(&engine.before_dump(&target)));
    lines.extend(acts(&[engine.facts(&target)]));
    match engine.snapshot(&target) {
        Snapshot::Session { exec, open, census, .. } => {
            lines.extend([fed(&exec, &open), format!("(in the same session, beside the dump) {}", script(&census))]);
        }
        Snapshot::Copy { exec, census, .. } => lines.extend([line(&exec), line(&census)]),
        Snapshot::OnTheWay { .. } => {}
    }
    lines.push(format!("{} | {stages}", line(&engine.dump(&target))));
    for (name, exec) in extras.unwrap_or_else(|| engine.extras(&target)) {
        lines.push(format!("{} | {stages} ({name})", line(&exec)));
    }
    match engine.snapshot(&target) {
        Snapshot::OnTheWay { census, release } => lines.extend([line(&census), line(&release)]),
        Snapshot::Copy { release, .. } => lines.push(line(&release)),
        Snapshot::Session { close, .. } => lines.push(format!("(in the snapshot's session) {}", script(&close))),
    }
    lines
}

/// The command lines of an adoption into a fresh site, of an archive that names no role and no extension.
///
/// # Errors
/// The engine takes no archive of this content.
pub fn adopt(engine: &dyn Engine, store: &Store, content: Content, stages: &str) -> Result<Vec<String>, Refusal> {
    let mut target = engine.owned_target(store);
    "{scratch}".clone_into(&mut target.scratch);
    let none = || Fingerprint { bytes: 0, sha256: "{digest}".to_owned() };
    let archive = Findings {
        name: "{archive}".to_owned(),
        layers: Vec::new(),
        content,
        file: none(),
        plain: none(),
        said: Said::default(),
        told: Vec::new(),
        unknown: BTreeSet::new(),
    };
    let what = Adopted { store, archive: &archive, inside: None };
    let asked: Vec<Act> = engine.adopt_asks(&target).into_iter().collect();
    let adoption = engine.adopt(&target, what, "client=990000\n")?;
    let mut lines = place(engine, store, &target);
    lines.extend(questions(&engine.before_restore(&target, &bare(engine, store))));
    lines.extend(acts(&asked));
    let all = [adoption.before, adoption.content, adoption.after].concat();
    lines.extend(acts(&all).into_iter().map(|line| line.replace("{set}/data", "{archive}")));
    lines.extend(backup_with(engine, &adoption.source, None, stages, Some(adoption.extras)));
    Ok(lines)
}

fn selected(engine: &dyn Engine, target: &Target, component: &Component) -> Vec<String> {
    let damages = engine.expected_damage(Strike::Corrupt).into_iter().map(|o| Damage::Missing { object: o.to_owned() });
    let diagnosis = Diagnosis { damages: damages.collect() };
    let mut lines = acts(&engine.stage(target));
    let contents: String = diagnosis.lost().map(|object| format!("{object}\n")).collect();
    match engine.restore_selected(target, component, &diagnosis, &contents) {
        Ok(found) if !found.is_empty() => lines.extend(acts(&found)),
        _ => lines
            .push("(restore what the diagnosis names: the commands depend on it and on the staged list)".to_owned()),
    }
    lines
}

fn blows(blows: &[Blow]) -> Vec<String> {
    let lines = blows.iter().map(|blow| match blow {
        Blow::Run(act) => act_line(act),
        Blow::Lookup(act) => format!("lookup=$({})", act_line(act)),
        Blow::Restart => "docker restart {site}".to_owned(),
        Blow::DestroySite => "(remove the site with its volumes and network, or its folder)".to_owned(),
    });
    lines.collect()
}

fn questions(all: &[Preflight]) -> Vec<String> {
    all.iter().map(|q| act_line(&q.act)).collect()
}

fn acts(all: &[Act]) -> Vec<String> {
    all.iter().map(act_line).collect()
}

fn act_line(act: &Act) -> String {
    match &act.feed {
        Feed::Nothing => line(&act.exec),
        Feed::Text(text) => fed(&act.exec, text),
        Feed::Data => format!("{} < {{set}}/data   # {}", line(&act.exec), act.title),
        Feed::Extra(name) => format!("{} < {{set}}/{name}   # {}", line(&act.exec), act.title),
    }
}

fn fed(exec: &Exec, text: &str) -> String {
    format!("{} {}", line(exec), script(text))
}

fn script(text: &str) -> String {
    let (first, more) = short(text);
    format!("<<< {first:?}{more}")
}

/// A command on one line: of an argument that has several, the first.
fn line(exec: &Exec) -> String {
    let mut exec = exec.clone();
    for word in exec.args.iter_mut().chain(exec.env.iter_mut().map(|(_, value)| value)) {
        *word = on_one_line(word);
    }
    exec.command_line()
}

fn on_one_line(word: &str) -> String {
    if !word.contains('\n') {
        return word.to_owned();
    }
    let (first, more) = short(word);
    first + &more
}

/// The beginning of a text, and how much more there is.
fn short(text: &str) -> (String, String) {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = lines.next().unwrap_or("").chars().take(70).collect();
    match lines.count() {
        0 => (first, String::new()),
        more => (first, format!(" … {more} lines more")),
    }
}

/// A component as a set would hold it, for descriptions that want one.
fn placeholder(order: &Order<'_>) -> Component {
    if let Input::Set(set) = &order.input
        && let Some(component) = set.manifest.component(&order.store.name)
    {
        return component.clone();
    }
    bare(order.engine, order.store)
}

fn bare(engine: &dyn Engine, store: &Store) -> Component {
    Component {
        store: store.name.clone(),
        engine: engine.name().to_owned(),
        as_of_window_ms: None,
        consistent_as_of: String::new(),
        consistency: engine.consistency(),
        facts: std::collections::BTreeMap::new(),
        files: Vec::new(),
        census: crate::domain::census::Census::default(),
    }
}
