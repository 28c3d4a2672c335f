//! Restoring on somebody's running server: which roles it lacks, who stands in the way, and how the copy gets the name.
//! It must not know what is in the copy.

use super::client::{self, SESSION, companion, companion_within, ident, literal, maintenance, psql_on};
use super::restore::{GLOBALS, WRITING, backslash_word};
use crate::domain::artifact::Component;
use crate::domain::engine::{Act, AskRoles, Preflight, Target};
use crate::domain::exchange::{Exchange, Room, Wish};
use crate::domain::exec::{Exec, quote};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::store::Store;
use crate::domain::timeline::Phase;

const SESSIONS: &str = include_str!("sql/sessions.sql");
const SWAP: &str = include_str!("sql/exchange.sql");
/// A restore gives names of its own to the database that it fills, and they must fit behind this one.
const ROOM_FOR_SUFFIXES: usize = 12;

/// The database that is filled and proven.
fn beside(at: &Target, tag: &str) -> String {
    companion_within(&at.name, &format!("_restore_{tag}"), 63 - ROOM_FOR_SUFFIXES)
}

/// See [`crate::domain::engine::Engine::exchange`].
pub fn exchange(at: &Target, from: &Component, wish: &Wish) -> Exchange {
    let (fresh, old) = (beside(at, &wish.tag), companion(&at.name, &format!("_before_{}", wish.tag)));
    let drop = format!("DROP DATABASE {};", ident(&old));
    Exchange {
        questions: [
            Some(ask(at, "see whether this role may restore", may_restore)),
            (!wish.replace).then(|| vacant(at)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        obstacles: vec![ask(at, "see who uses the database", if wish.disconnect { only_sessions } else { nobody })],
        room: Some(room(at, from)),
        swap: swap(at, &fresh, &old, wish),
        landed: Some(landed(at, &fresh)),
        after: (wish.replace && !wish.keep).then(|| drop_previous(at, &old)),
        removal: format!(
            "psql --username={} --dbname={} --command={}",
            quote(&at.user),
            maintenance(&at.name),
            quote(&drop)
        ),
        beside: Target { name: fresh, ..at.clone() },
        previous: wish.keep.then_some(old),
        notes: Vec::new(),
    }
}

fn ask(at: &Target, title: &'static str, judge: fn(&str, &Store) -> Result<(), Refusal>) -> Preflight {
    let script = format!("\\set name {}\n{SESSION}{SESSIONS}", backslash_word(&at.name));
    let act = Act::text(Phase::Provision, title, psql_on(at, maintenance(&at.name), "preflight"), script);
    Preflight { title, act, judge }
}

/// Also of a database that holds nothing, and of the server's own ones: none of them gives way to a restore beside.
fn vacant(at: &Target) -> Preflight {
    let title = "see whether the name is free";
    let script = format!(
        "{SESSION}SELECT 'taken=' || quote_ident(datname) FROM pg_database WHERE datname = {};\nSELECT 'asked=yes';\n",
        literal(&at.name)
    );
    let act = Act::text(Phase::Provision, title, psql_on(at, maintenance(&at.name), "preflight"), script);
    Preflight { title, act, judge: name_is_free }
}

fn name_is_free(answer: &str, store: &Store) -> Result<(), Refusal> {
    match all(answer, "taken").first() {
        Some(name) => {
            let message = format!("there is a database {name} already");
            Err(Refusal::new(RefusalKind::TargetNotEmpty, message, "choose a name that nobody has"))
        }
        None if all(answer, "asked") == ["yes"] => Ok(()),
        None => {
            let message = format!("nobody said which databases the server of {} has", store.name);
            Err(Refusal::new(RefusalKind::Preflight, message, "look at pg_database by hand"))
        }
    }
}

fn all<'a>(answer: &'a str, key: &str) -> Vec<&'a str> {
    answer.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn may_restore(answer: &str, _: &Store) -> Result<(), Refusal> {
    let role = all(answer, "role").concat();
    if all(answer, "standby") != ["false"] {
        let message = "the server is a standby, or does not say that it is none: nothing can be restored there";
        return Err(Refusal::new(RefusalKind::Preflight, message, "restore on the primary"));
    }
    if all(answer, "superuser") != ["true"] {
        let message = format!("role {role} is no superuser, and a restore gives everything back to its owners");
        let hint = "name a superuser as the store's user in recovery.yaml, for the restore";
        return Err(Refusal::new(RefusalKind::AccessDenied, message, hint));
    }
    Ok(())
}

fn only_sessions(answer: &str, store: &Store) -> Result<(), Refusal> {
    let prepared = all(answer, "prepared");
    // The question ends with this line: without it nothing was heard.
    if all(answer, "standby").is_empty() {
        let message = format!("nobody said who uses the database of {}", store.name);
        return Err(Refusal::new(RefusalKind::Preflight, message, "look at pg_stat_activity by hand"));
    }
    if prepared.is_empty() {
        return Ok(());
    }
    let message = format!("prepared transactions hold the database of {}: {}", store.name, prepared.join(", "));
    Err(Refusal::new(RefusalKind::Preflight, message, "COMMIT PREPARED or ROLLBACK PREPARED them first"))
}

fn nobody(answer: &str, store: &Store) -> Result<(), Refusal> {
    only_sessions(answer, store)?;
    let sessions = all(answer, "session");
    if sessions.is_empty() {
        return Ok(());
    }
    let first = sessions.iter().take(3).copied().collect::<Vec<_>>().join("; ");
    let more = if sessions.len() > 3 { format!("; and {} more", sessions.len() - 3) } else { String::new() };
    let message = format!("the database of {} is in use: {first}{more}", store.name);
    let hint = "stop the services that use it, or let the restore end their sessions at the exchange: --disconnect";
    Err(Refusal::new(RefusalKind::Preflight, message, hint))
}

/// The archive is staged, and the database is there twice until the previous one is removed. A container's own volumes and the
/// server's are kept in one place.
fn room(at: &Target, from: &Component) -> Room {
    let staged = from.data().map_or(0, |data| data.plain.bytes);
    let database = from.facts.get("bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(staged);
    let exec = Exec::site("df").args(["-P", "-k"]).arg(at.scratch.clone()).env("LC_ALL", "C");
    Room { act: Act::run(Phase::Provision, "look for room", exec), needs: staged + database }
}

fn swap(at: &Target, fresh: &str, old: &str, wish: &Wish) -> Act {
    let on = |yes: bool| if yes { "on" } else { "off" };
    let all = [
        ("name", at.name.as_str()),
        ("fresh", fresh),
        ("old", old),
        ("replace", on(wish.replace)),
        ("disconnect", on(wish.disconnect)),
    ];
    let set: String = all.map(|(name, value)| format!("\\set {name} {}\n", backslash_word(value))).concat();
    let exec = psql_on(at, maintenance(&at.name), "exchange").env("PGOPTIONS", WRITING);
    Act::text(Phase::Index, "let the two databases change names", exec, format!("{set}{SESSION}{SWAP}"))
}

/// The copy has its own name until the exchange, which is one transaction.
fn landed(at: &Target, fresh: &str) -> Act {
    let script = format!(
        "{SESSION}SELECT 'landed=' || (count(*) FILTER (WHERE datname = {}) = 1 AND count(*) FILTER (WHERE datname = {}) = 0) FROM pg_database;\n",
        literal(&at.name),
        literal(fresh)
    );
    Act::text(Phase::Index, "ask which database has the name", psql_on(at, maintenance(&at.name), "exchange"), script)
}

fn drop_previous(at: &Target, old: &str) -> Act {
    let exec = psql_on(at, maintenance(&at.name), "exchange").env("PGOPTIONS", WRITING);
    let script = format!("{SESSION}DROP DATABASE IF EXISTS {} WITH (FORCE);\n", ident(old));
    Act::text(Phase::Index, "drop what was there before", exec, script)
}

/// See [`crate::domain::engine::Engine::clear`].
pub fn clear(at: &Target, tag: &str) -> Vec<Act> {
    let fresh = beside(at, tag);
    let names = [fresh.clone(), companion(&fresh, super::restore::FRESH), companion(&fresh, super::restore::OLD)];
    let drop: String =
        names.iter().map(|name| format!("DROP DATABASE IF EXISTS {} WITH (FORCE);\n", ident(name))).collect();
    let exec = psql_on(at, maintenance(&at.name), "clear").env("PGOPTIONS", WRITING);
    vec![Act::text(Phase::Provision, "drop what an unfinished restore left", exec, format!("{SESSION}{drop}"))]
}

/// The extra that names the roles, and the question which of them the server has not.
pub fn roles() -> (&'static str, AskRoles) {
    (GLOBALS, missing_roles)
}

fn missing_roles(at: &Target, globals: &str) -> Act {
    let names = globals.lines().filter_map(|line| line.strip_prefix("CREATE ROLE ")?.strip_suffix(';'));
    let plain = |name: &str| match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_owned(),
    };
    let names: Vec<String> = names.map(|name| literal(&plain(name))).collect();
    let script = format!(
        "{SESSION}SELECT quote_ident(name) FROM unnest(ARRAY[{}]::text[]) AS name WHERE name !~ '^pg_' \
         AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) ORDER BY 1;\n",
        names.join(", ")
    );
    Act::text(
        Phase::Provision,
        "see whether the server has the roles",
        client::psql_on(at, maintenance(&at.name), "preflight"),
        script,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::engine::Engine;

    fn store() -> Store {
        crate::engines::postgres::ENGINE.rehearsal_store(None)
    }

    const QUIET: &str = "role=shop\nsuperuser=true\nstandby=false\n";

    #[test]
    fn whoever_uses_the_database_is_named_and_silence_is_no_permission() {
        assert_eq!(nobody(QUIET, &store()), Ok(()));
        assert_eq!(nobody("", &store()).unwrap_err().kind, RefusalKind::Preflight);
        assert_eq!(only_sessions("", &store()).unwrap_err().kind, RefusalKind::Preflight);
        let said =
            nobody(&format!("session=app as shop from 10.0.0.7, idle since 2026-11-20 01:00:00\n{QUIET}"), &store());
        let said = said.unwrap_err();
        assert!(said.message.contains("app as shop from 10.0.0.7") && said.hint.contains("--disconnect"), "{said:?}");
        assert_eq!(only_sessions(&format!("session=app\n{QUIET}"), &store()), Ok(()));
        let prepared = only_sessions(&format!("prepared=tx1\n{QUIET}"), &store()).unwrap_err();
        assert!(prepared.message.contains("tx1"), "{prepared:?}");
    }

    #[test]
    fn beside_the_name_of_any_database_is_taken_and_silence_is_no_free_name() {
        assert_eq!(name_is_free("asked=yes\n", &store()), Ok(()));
        let taken = name_is_free("taken=postgres\nasked=yes\n", &store()).unwrap_err();
        assert_eq!(taken.kind, RefusalKind::TargetNotEmpty);
        assert_eq!(name_is_free("", &store()).unwrap_err().kind, RefusalKind::Preflight);
    }

    #[test]
    fn a_standby_and_a_role_that_is_no_superuser_are_refused() {
        assert_eq!(may_restore(QUIET, &store()), Ok(()));
        let kind = |answer: &str| may_restore(answer, &store()).unwrap_err().kind;
        assert_eq!(kind("role=app\nsuperuser=false\nstandby=false\n"), RefusalKind::AccessDenied);
        assert_eq!(kind("role=shop\nsuperuser=true\nstandby=true\n"), RefusalKind::Preflight);
        assert_eq!(kind(""), RefusalKind::Preflight);
    }

    #[test]
    fn every_name_of_a_restore_fits_the_server_and_tells_its_database() {
        let engine = &crate::engines::postgres::ENGINE;
        let at = |name: &str| Target { name: name.into(), ..engine.owned_target(&store()) };
        let tag = "20261120t010203_k7q2x";
        assert_eq!(beside(&at("shop"), tag), "shop_restore_20261120t010203_k7q2x");
        let long = at(&"é".repeat(31));
        let fresh = beside(&long, tag);
        assert!(companion(&fresh, super::super::restore::FRESH).starts_with(&fresh), "{fresh}");
        assert_ne!(fresh, beside(&at(&format!("{}e", "é".repeat(30))), tag));
    }

    #[test]
    fn the_roles_of_a_script_are_asked_for_by_their_own_names() {
        let act = missing_roles(
            &crate::engines::postgres::ENGINE.owned_target(&store()),
            "--\nCREATE ROLE app;\nCREATE ROLE \"Odd \"\"one\";\nALTER ROLE app WITH LOGIN;\n",
        );
        let crate::domain::engine::Feed::Text(script) = &act.feed else { panic!("a script") };
        assert!(script.contains("ARRAY['app', 'Odd \"one']"), "{script}");
    }
}
