//! The grammar of `recovery.yaml`: what may be written, with the place of everything. It must not know what Compose says.

use super::fields::{flag, mapping, only, port, text, texts, wrong};
use super::mounts::tidy;
use super::node::{Kind, Node};
use super::old_variables::Written;
use super::protection::{self, ProtectionText};
use super::proxy::{self, ProxyText};
use super::retention::{self, RetentionText};
use crate::domain::coverage::Waiver;
use crate::domain::objective::{Objective, Objectives};
use crate::domain::place::Place;
use crate::domain::refusal::Refusal;
use crate::domain::schedule::{Schedule, duration};
use crate::domain::stack::Compression;
use crate::domain::suggest;
use crate::{engines, scenarios};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A stack as it is written.
pub(super) struct StackText {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) folder: Option<PathBuf>,
    pub(super) compose: Vec<PathBuf>,
    pub(super) env_file: Option<PathBuf>,
    pub(super) project: Option<String>,
    pub(super) profiles: Vec<String>,
    pub(super) stores: Option<Vec<StoreText>>,
    pub(super) objectives: Objectives,
    pub(super) schedule: Option<Schedule>,
    pub(super) vault: Written<PathBuf>,
    pub(super) compression: Written<Compression>,
    pub(super) max_skew: Option<Duration>,
    pub(super) protection: ProtectionText,
    pub(super) retention: RetentionText,
    pub(super) traefik: ProxyText,
    pub(super) waivers: Vec<Waiver>,
    pub(super) environment: Option<String>,
}

/// A store as it is written: what is left out is inferred.
pub(super) struct StoreText {
    pub(super) name: String,
    pub(super) at: Place,
    pub(super) engine: Option<String>,
    pub(super) service: Option<String>,
    pub(super) image: Option<String>,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password_from: Option<(String, Place)>,
    pub(super) password_file: Option<(PathBuf, Place)>,
    pub(super) port: Option<u16>,
    pub(super) path: Option<String>,
    pub(super) volume: Option<String>,
    pub(super) allow_empty: bool,
}

/// Every stack of the file; `base` is the folder that its relative paths start from.
pub(super) fn stacks(tree: &Node, base: &Path) -> Result<Vec<StackText>, Refusal> {
    if let (Some(services), None) = (tree.get("services"), tree.get("stacks")) {
        let hint = "leave --config out in its folder, or write a recovery.yaml: cargo xtask init --compose <this file>";
        return Err(services.at.place().refuse("this is a Compose file, not a recovery.yaml", hint));
    }
    only(tree, "recovery.yaml", &["stacks"])?;
    let Some(stacks) = tree.get("stacks") else {
        return Err(tree.at.place().refuse(
            "no `stacks` in this file",
            "write `stacks:` and a stack below it, or let `cargo xtask init` do it",
        ));
    };
    let pairs = mapping(stacks, "`stacks`")?;
    if pairs.is_empty() {
        return Err(stacks
            .at
            .place()
            .refuse("`stacks` names no stack", "write one below it, or let `cargo xtask init` do it"));
    }
    pairs.iter().map(|(key, node)| stack(&key.text, key.at.place(), node, base)).collect()
}

fn stack(name: &str, at: Place, node: &Node, base: &Path) -> Result<StackText, Refusal> {
    named(name, &at, "stack", "_")?;
    let what = format!("stack `{name}`");
    let known = [
        "folder",
        "compose",
        "env_file",
        "project",
        "profiles",
        "stores",
        "objectives",
        "backups",
        "waivers",
        "environment",
        "traefik",
    ];
    only(node, &what, &known)?;
    let path = |key: &'static str| node.get(key).map(|n| path(n, key, base)).transpose();
    let compose = node.get("compose").map(|n| texts(n, "`compose`")).transpose()?.unwrap_or_default();
    let folder = path("folder")?;
    if let (Some(node), false) = (node.get("folder"), compose.is_empty()) {
        return Err(node
            .at
            .place()
            .refuse("`folder` and `compose` together", "`folder` is for stacks without Compose: remove one of them"));
    }
    let backups = node.get("backups");
    if let Some(backups) = backups {
        let known =
            [["schedule", "vault", "compression", "retention", "max_skew"].as_slice(), &protection::KEYS].concat();
        only(backups, &format!("`backups` of {what}"), &known)?;
    }
    let backup = |key: &str| backups.and_then(|b| b.get(key));
    Ok(StackText {
        folder,
        compose: compose.into_iter().map(|(file, _)| tidy(&base.join(file))).collect(),
        env_file: path("env_file")?,
        project: node.get("project").map(|n| text(n, "`project`")).transpose()?,
        profiles: node
            .get("profiles")
            .map(|n| texts(n, "`profiles`"))
            .transpose()?
            .unwrap_or_default()
            .into_iter()
            .map(|(p, _)| p)
            .collect(),
        stores: node.get("stores").map(|n| stores(n, &what)).transpose()?,
        objectives: node.get("objectives").map(|n| objectives(n, &what)).transpose()?.unwrap_or_default(),
        schedule: backup("schedule").map(schedule).transpose()?,
        vault: backup("vault").map(|n| Ok((self::path(n, "vault", base)?, n.at.place()))).transpose()?,
        compression: backup("compression").map(|n| Ok((compression(n)?, n.at.place()))).transpose()?,
        max_skew: backup("max_skew").map(skew).transpose()?,
        protection: backups.map(|n| protection::read(n, base)).transpose()?.unwrap_or_default(),
        retention: backup("retention").map(|n| retention::written(n, &what)).transpose()?.unwrap_or_default(),
        traefik: node.get("traefik").map(|n| proxy::written(n, &what)).transpose()?.unwrap_or_default(),
        waivers: node.get("waivers").map(|n| waivers(n, &what)).transpose()?.unwrap_or_default(),
        environment: node.get("environment").map(environment).transpose()?,
        name: name.to_owned(),
        at,
    })
}

/// What needs no backup, each with its reason.
fn waivers(node: &Node, of: &str) -> Result<Vec<Waiver>, Refusal> {
    let waiver = |(key, node): &(super::node::Key, Node)| {
        let because = text(node, "a waiver")?;
        if because.trim().is_empty() {
            let cause = format!("`{}` is waived without a reason", key.text);
            return Err(node.at.place().refuse(cause, "write why it needs no backup"));
        }
        Ok(Waiver { name: key.text.to_string(), because, at: key.at.place() })
    };
    mapping(node, &format!("`waivers` of {of}"))?.iter().map(waiver).collect()
}

fn environment(node: &Node) -> Result<String, Refusal> {
    const KNOWN: [&str; 4] = ["production", "staging", "development", "test"];
    let word = text(node, "`environment`")?;
    if KNOWN.contains(&word.as_str()) {
        return Ok(word);
    }
    Err(node.at.place().refuse(format!("no environment is called `{word}`"), suggest::hint(&word, &KNOWN)))
}

fn path(node: &Node, key: &str, base: &Path) -> Result<PathBuf, Refusal> {
    let path = text(node, &format!("`{key}`"))?;
    if path.is_empty() {
        Err(node.at.place().refuse(format!("`{key}` is empty"), "write a path"))
    } else {
        Ok(tidy(&base.join(path)))
    }
}

fn stores(node: &Node, of: &str) -> Result<Vec<StoreText>, Refusal> {
    let pairs = mapping(node, &format!("`stores` of {of}"))?;
    pairs.iter().map(|(key, node)| store(&key.text, key.at.place(), node)).collect()
}

fn store(name: &str, at: Place, node: &Node) -> Result<StoreText, Refusal> {
    named(name, &at, "store", "")?;
    let what = format!("store `{name}`");
    if let Some(password) = node.get("password") {
        let hint = "write `password_from: NAME_OF_A_VARIABLE` or `password_file: path`";
        return Err(password.at.place().refuse(format!("a password of {what} in the file itself"), hint));
    }
    let known = [
        "engine",
        "service",
        "image",
        "database",
        "user",
        "password_from",
        "password_file",
        "port",
        "path",
        "volume",
        "allow_empty",
    ];
    only(node, &what, &known)?;
    let field = |key: &str| node.get(key).map(|n| text(n, &format!("`{key}`"))).transpose();
    let placed = |key: &str| node.get(key).map(|n| Ok((text(n, &format!("`{key}`"))?, n.at.place()))).transpose();
    let engine = field("engine")?;
    if let (Some(engine), Some(node)) = (&engine, node.get("engine"))
        && engines::find(engine).is_none()
    {
        return Err(node
            .at
            .place()
            .refuse(format!("no engine is called `{engine}`"), suggest::hint(engine, &engines::names())));
    }
    Ok(StoreText {
        engine,
        service: field("service")?,
        image: field("image")?,
        database: field("database")?,
        user: field("user")?,
        password_from: placed("password_from")?,
        password_file: placed("password_file")?.map(|(file, at)| (PathBuf::from(file), at)),
        port: node.get("port").map(|n| port(n, "`port`")).transpose()?,
        path: field("path")?,
        volume: field("volume")?,
        allow_empty: node.get("allow_empty").map(|n| flag(n, "`allow_empty`")).transpose()?.unwrap_or(false),
        name: name.to_owned(),
        at,
    })
}

fn objectives(node: &Node, of: &str) -> Result<Objectives, Refusal> {
    let names: Vec<&str> = scenarios::SCENARIOS.iter().map(|s| s.name).collect();
    let mut objectives = Objectives::default();
    for (key, node) in mapping(node, &format!("`objectives` of {of}"))? {
        let Some(scenario) = scenarios::find(&key.text) else {
            return Err(key
                .at
                .place()
                .refuse(format!("no scenario is called `{}`", key.text), suggest::hint(&key.text, &names)));
        };
        only(node, &format!("the objective for {}", scenario.name), &["rto", "rpo"])?;
        let time = |key: &str| node.get(key).map(time).transpose();
        let objective = Objective {
            rto: time("rto")?.unwrap_or(scenario.objective.rto),
            rpo: time("rpo")?.unwrap_or(scenario.objective.rpo),
        };
        objectives.0.insert(scenario.name.to_owned(), objective);
    }
    Ok(objectives)
}

fn time(node: &Node) -> Result<Duration, Refusal> {
    let wrong_time = |cause: String| node.at.place().refuse(cause, "write a number and s, m, h or d, such as 30m");
    let time = duration(&text(node, "an objective")?).map_err(wrong_time)?;
    if time.is_zero() { Err(wrong_time("an objective of no time at all can never be met".into())) } else { Ok(time) }
}

fn skew(node: &Node) -> Result<Duration, Refusal> {
    let how = "write how far the stores of a set may be apart, with s, m, h or d, such as 15m";
    duration(&text(node, "`max_skew`")?).map_err(|cause| node.at.place().refuse(cause, how))
}

fn schedule(node: &Node) -> Result<Schedule, Refusal> {
    let text = text(node, "`schedule`")?;
    text.parse().map_err(|cause: String| {
        node.at.place().refuse(cause, "for example `every 30m`, `daily 02:00` or `15 */2 * * *`")
    })
}

fn compression(node: &Node) -> Result<Compression, Refusal> {
    match &node.kind {
        Kind::Text(text, _) => match &**text {
            "zstd" => Ok(Compression::Zstd),
            "gzip" => Ok(Compression::Gzip),
            "none" => Ok(Compression::None),
            other => Err(node.at.place().refuse(
                format!("no compression is called `{other}`"),
                suggest::hint(other, &["zstd", "gzip", "none"]),
            )),
        },
        _ => Err(wrong(node, "`compression`", "zstd, gzip or none")),
    }
}

/// Names become file names and report rows.
fn named(name: &str, at: &Place, what: &str, more: &str) -> Result<(), Refusal> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || more.contains(c);
    if name.len() <= 64 && name.chars().all(sound) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let cause = format!("`{name}` cannot name a {what}");
    Err(at.refuse(cause, "use lower-case letters, digits and `-`, at most 64, starting with a letter or digit"))
}
