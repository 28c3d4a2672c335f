//! Everything that could be refused, asked before anything is touched. It must not change anything.

use super::{Goal, Order, Visit, refuse, say};
use crate::domain::artifact::Component;
use crate::domain::engine::{Engine, Preflight, Target};
use crate::domain::foreign::ADOPTED_FROM;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::store::{Location, Store};
use crate::flow::world::World;
use crate::flow::{backup, child, visit};
use crate::ports::Site;
use anyhow::{Context, Result};
use std::io::Read;

/// A script of roles that is longer is not one.
const MOST_ROLES: u64 = 64 << 20;

/// Visits every store and asks. The notes are what has to be known though it hinders nobody.
pub(super) fn visit<'a>(world: &World, order: &Order<'a>) -> Result<(Vec<Visit<'a>>, Vec<String>)> {
    let (stack, set) = (order.stack, order.set);
    if set.manifest.stack != stack.name {
        let message = format!("set {} is of stack {}, not of {}", set.manifest.id, set.manifest.stack, stack.name);
        let hint = format!(
            "restore it as what it is: cargo xtask restore {} {} --to NAME",
            set.manifest.stack, set.manifest.id
        );
        return Err(refuse(RefusalKind::Preflight, message, hint));
    }
    confirmed(order)?;
    let (mut visits, mut notes) = (Vec::new(), Vec::new());
    for aim in &order.aims {
        let name = &aim.store.name;
        let component = set.manifest.component(name).ok_or_else(|| {
            let message = format!("set {} holds nothing of {name}", set.manifest.id);
            refuse(RefusalKind::NoBackup, message, "name with --store what the set holds, or choose another set")
        })?;
        if component.engine != aim.engine.name() {
            let message = format!("the set holds {name} as {}, and it is {} now", component.engine, aim.engine.name());
            return Err(refuse(RefusalKind::Preflight, message, "describe that store in recovery.yaml as it was"));
        }
        let one = one(world, order, aim.store, aim.engine, component, &aim.to, &mut notes);
        visits.push(one.with_context(|| format!("restore {name}"))?);
    }
    Ok((visits, notes))
}

/// A word of confirmation that is not the stack's is a mistake, whether one was needed or not.
fn confirmed(order: &Order<'_>) -> Result<()> {
    match &order.confirm {
        Some(word) if *word != order.stack.name => {
            let message = format!("--confirm says `{}`, and the stack is {}", word.escape_debug(), order.stack.name);
            Err(refuse(RefusalKind::Configuration, message, format!("--confirm {}", order.stack.name)))
        }
        _ => Ok(()),
    }
}

fn one<'a>(
    world: &World,
    order: &Order<'a>,
    store: &'a Store,
    engine: &'static dyn Engine,
    component: &'a Component,
    to: &crate::domain::site::Attachment,
    notes: &mut Vec<String>,
) -> Result<Visit<'a>> {
    let (site, mut at) = visit::replaceable(world, engine, store, to)?;
    if let Goal::Named(name) = &order.goal {
        at = visit::named(store, &at, name)?;
    }
    let exchange = engine.exchange(&at, component, &order.wish(world));
    let ask = |question: &Preflight| -> Result<Result<(), Refusal>> {
        let answer = child::plain_act(world, site.as_ref(), engine, &question.act).context(question.title)?;
        Ok((question.judge)(&answer, store))
    };
    let mut occupied = None;
    for question in engine.before_restore(&at, component) {
        match ask(&question)? {
            Err(refusal) if refusal.kind == RefusalKind::TargetNotEmpty => occupied = Some(refusal),
            judged => judged.context(question.title)?,
        }
    }
    match (&order.goal, &occupied) {
        (Goal::Named(_), Some(refusal)) => return Err(refusal.clone().into()),
        (Goal::Live, Some(refusal)) if order.confirm.is_none() => {
            let hint = format!("to replace it, confirm the stack by its name: --confirm {}", order.stack.name);
            return Err(refuse(RefusalKind::TargetNotEmpty, refusal.message.clone(), hint));
        }
        _ => {}
    }
    if order.goal == Goal::Live {
        same_source(world, order, (store, engine, component), (site.as_ref(), &at), notes)?;
    }
    if order.tables.is_empty() {
        for question in exchange.questions.iter().chain(&exchange.obstacles) {
            ask(question)?.context(question.title)?;
        }
        if let Some(room) = &exchange.room {
            room.judge(&child::plain_act(world, site.as_ref(), engine, &room.act)?)?;
        }
    } else {
        if occupied.is_none() {
            let message = format!("there is nothing of {} that single tables could be restored into", store.name);
            return Err(refuse(RefusalKind::MissingStore, message, "leave --table out: restore everything"));
        }
        for question in &exchange.questions {
            ask(question)?.context(question.title)?;
        }
    }
    let roles = if order.tables.is_empty() {
        roles(world, order, engine, component, (site.as_ref(), &at))?
    } else {
        String::new()
    };
    let as_it_is = Store { allow_empty: true, ..store.clone() };
    Ok(Visit { store, as_it_is, engine, component, site, at, exchange, roles, occupied: occupied.is_some() })
}

/// Whether the set is of the server and database that are to be replaced.
fn same_source(
    world: &World,
    order: &Order<'_>,
    (store, engine, component): (&Store, &dyn Engine, &Component),
    (site, at): (&dyn Site, &Target),
    notes: &mut Vec<String>,
) -> Result<()> {
    let was = |key: &str| component.facts.get(key);
    if let (Location::Database { database, .. }, Some(was)) = (&store.location, was("database"))
        && was != database
    {
        let message = format!("the set holds database {was:?}, and {} is database {database:?} now", store.name);
        let hint = "correct the store's database in recovery.yaml, or restore beside it: --to NAME";
        return Err(refuse(RefusalKind::Preflight, message, hint));
    }
    if was(ADOPTED_FROM).is_some() {
        notes.push(format!("{}: nobody can know which server the archive is of, nor who made it", store.name));
        if order.tables.is_empty() && matches!(store.location, Location::Database { .. }) {
            let lost = format!(
                "{}: of the database itself the archive may hold neither owner nor rights (GRANT and REVOKE … ON DATABASE), limits and settings \
                 (ALTER DATABASE): compare them with those of what was there before",
                store.name
            );
            say(world, lost.as_str());
            notes.push(lost);
        }
    }
    let Some(was) = was("system_identifier") else { return Ok(()) };
    let asked = child::plain_act(world, site, engine, &engine.facts(at));
    let now = match asked {
        Ok(answer) => backup::parse_facts(&answer)?.remove("system_identifier"),
        Err(error) if Refusal::within(&error).is_some_and(|r| r.kind == RefusalKind::MissingStore) => None,
        Err(error) => return Err(error),
    };
    if now.as_ref() == Some(was) {
        return Ok(());
    }
    let what = match now {
        Some(now) => format!("the set is of the server with system identifier {was}, and this one has {now}"),
        None => {
            format!("the set is of the server with system identifier {was}, and nobody could say which this one is")
        }
    };
    if order.confirm.is_some() {
        notes.push(format!("{}: {what}; confirmed", store.name));
        return Ok(());
    }
    let hint = format!(
        "if it is the right one (made anew, or moved), confirm the stack by its name: --confirm {}",
        order.stack.name
    );
    Err(refuse(RefusalKind::Preflight, format!("{}: {what}", store.name), hint))
}

/// The roles that the server lacks; refused unless they are to be brought back.
fn roles(
    world: &World,
    order: &Order<'_>,
    engine: &dyn Engine,
    component: &Component,
    (site, at): (&dyn Site, &Target),
) -> Result<String> {
    let Some((extra, question)) = engine.roles(at) else { return Ok(String::new()) };
    let Some(file) = component.extra(extra) else { return Ok(String::new()) };
    let mut text = String::new();
    order.set.plain(file)?.take(MOST_ROLES).read_to_string(&mut text).map_err(child::unwrap_io)?;
    let answer = child::plain_act(world, site, engine, &question(at, &text))?;
    let missing: Vec<&str> = answer.lines().filter(|line| !line.is_empty()).collect();
    if !missing.is_empty() && !order.with_roles {
        let message = format!("the server lacks roles that the backup has: {}", missing.join(", "));
        let hint =
            "--with-roles brings them back with their rights and passwords; roles that are there stay as they are";
        return Err(refuse(RefusalKind::MissingCapability, message, hint));
    }
    Ok(missing.join("\n"))
}
