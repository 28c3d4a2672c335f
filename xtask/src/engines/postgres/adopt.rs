//! An old dump becomes a database: in a fresh container, replayed by a role that is no superuser, as a user of the container who owns
//! nothing there. It must not know where the archive lies.

use super::client::{ident, literal, maintenance, psql, psql_commands, psql_on};
use super::restore::{self, backslash_word, pg_restore, staged, write_file};
use super::{SUPERUSER, selective};
use crate::domain::engine::{Act, Adopted, Adoption, Target};
use crate::domain::exec::{Bulk, Exec, TRANSFER_TIMEOUT};
use crate::domain::foreign::{Content, Findings};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::store::{Location, Store};
use crate::domain::timeline::Phase;
use std::collections::BTreeSet;

/// Lends the archive's roles what they need to own things; gone in the end.
const LENDER: &str = "xtask_adopting";
/// Who replays an archive when the store's own role cannot.
const STAND_IN: &str = "adopted";
/// The user of the container whose processes read the archive: should one of the programs be led astray, it owns nothing there.
const NOBODY: &str = "nobody";
const BEFORE: &str = include_str!("sql/adopt_before.sql");
/// From these versions of each major on, psql knows `\restrict`.
const RESTRICTS: [u32; 5] = [130_022, 140_019, 150_014, 160_010, 170_006];

/// Asks which psql this is.
pub fn asks(at: &Target) -> Act {
    let exec = psql_on(at, maintenance(&at.name), "adopt");
    Act::text(Phase::Provision, "ask for psql's version", exec, "\\echo client=:VERSION_NUM\n")
}

/// See [`crate::domain::engine::Engine::adopt`].
pub fn adopt(at: &Target, what: Adopted<'_>, answer: &str) -> Result<Adoption, Refusal> {
    let archive = what.archive;
    if archive.content.engine() != "postgres" {
        return Err(archive.is_not_of(&what.store.name, "postgres"));
    }
    let role = stand_in(what.store);
    let others = others(archive, &role)?;
    Ok(Adoption {
        before: before(at, archive, &role, &others),
        content: content(at, archive, &role, restricts(answer))?,
        after: vec![after(at, &role, &others)],
        source: at.clone(),
        extras: extras(at, &role, &others),
        // What is known of roles is their names.
        forget: &["system_identifier", "asked_as", "asked_at", "lsn", "role_passwords", "other_databases"],
    })
}

/// The role that replays the archive: the stack's own, so that what has no owner in the archive belongs to it.
fn stand_in(store: &Store) -> String {
    match &store.location {
        Location::Database { user, .. } if user != SUPERUSER && user != LENDER && !predefined(user) => user.clone(),
        _ => STAND_IN.to_owned(),
    }
}

fn predefined(role: &str) -> bool {
    role.starts_with("pg_")
}

/// The archive's other roles.
fn others(archive: &Findings, role: &str) -> Result<BTreeSet<String>, Refusal> {
    if let Some(ours) = archive.said.roles.iter().find(|r| *r == SUPERUSER || *r == LENDER) {
        let message = format!("{} gives things to role {ours}, which is this tool's own", archive.name);
        let hint = "rename that role where the archive is from and dump again";
        return Err(Refusal::new(RefusalKind::BadArtifact, message, hint));
    }
    Ok(archive.said.roles.iter().filter(|r| *r != role && !predefined(r)).cloned().collect())
}

fn restricts(answer: &str) -> bool {
    let number = answer.lines().find_map(|line| line.strip_prefix("client=")?.trim().parse::<u32>().ok());
    number.is_some_and(|n| n >= 180_000 || RESTRICTS.iter().any(|first| n / 10_000 == first / 10_000 && n >= *first))
}

fn before(at: &Target, archive: &Findings, role: &str, others: &BTreeSet<String>) -> Vec<Act> {
    let (name, me) = (ident(&at.name), ident(role));
    let mut script = format!("CREATE ROLE {LENDER};\nCREATE ROLE {me} LOGIN;\nGRANT {LENDER} TO {me};\n");
    for other in others.iter().map(|r| ident(r)) {
        script.push_str(&format!("CREATE ROLE {other};\nGRANT {LENDER} TO {other};\nGRANT {other} TO {me};\n"));
    }
    script.push_str(&format!(
        "DROP DATABASE IF EXISTS {name} WITH (FORCE);\nCREATE DATABASE {name} TEMPLATE template0 OWNER {LENDER};\n"
    ));
    let wanted = serde_json::json!(archive.said.extensions).to_string();
    let lent = format!("\\set role {}\n\\set wanted {}\n{BEFORE}", backslash_word(role), backslash_word(&wanted));
    vec![
        Act::text(
            Phase::Provision,
            "make the roles and an empty database",
            psql_on(at, maintenance(&at.name), "adopt"),
            script,
        ),
        Act::text(Phase::Provision, "make extensions that only a superuser may make", psql(at, "adopt"), lent),
    ]
}

fn content(at: &Target, archive: &Findings, role: &str, restricts: bool) -> Result<Vec<Act>, Refusal> {
    let me = Target { user: role.to_owned(), ..at.clone() };
    let restored = |format: &str, path: String| {
        let exec = pg_restore(&me, &at.name).arg(format!("--format={format}")).arg(path).user(NOBODY);
        Act::run(Phase::Load, "restore the archive", exec)
    };
    let stage = Act::data(Phase::Fetch, "stage the archive", write_file(&staged(at)));
    let folder = format!("{}/dump", at.scratch);
    let unpack = Exec::site("tar").args(["-x", "-f", "-", "-C", folder.as_str()]).user(NOBODY).moves(Bulk::Input);
    Ok(match archive.content {
        Content::PostgresCustom => vec![stage, restored("custom", staged(at))],
        Content::PostgresTar => vec![stage, restored("tar", staged(at))],
        Content::PostgresDirectory => vec![
            Act::run(
                Phase::Fetch,
                "make a folder for the archive",
                Exec::site("mkdir").arg(folder.clone()).user(NOBODY),
            ),
            Act::data(Phase::Fetch, "unpack the archive", unpack.timeout(TRANSFER_TIMEOUT)),
            restored("directory", folder),
        ],
        Content::PostgresSql => vec![Act::data(Phase::Load, "replay the script", replay(&me, archive, restricts))],
        Content::Sqlite | Content::Tar => return Err(archive.is_not_of(&at.name, "postgres")),
    })
}

/// `psql` with the script on its standard input. Where it knows how, it obeys no line of the script that is meant for it: the word that
/// would end this is the script's own digest, which no script can hold.
fn replay(me: &Target, archive: &Findings, restricts: bool) -> Exec {
    let guard = format!("\\restrict {}", archive.plain.sha256);
    let exec = match restricts {
        true => psql_commands(me, &me.name, "adopt", &[&guard]).arg("--file=-").reads_stdin(),
        false => psql(me, "adopt"),
    };
    exec.arg("--output=/dev/null").moves(Bulk::Input).user(NOBODY)
}

/// Takes back what was lent: nobody is a member of anybody or logs in, and the lender is gone. Roles are then as their bare names make them.
fn after(at: &Target, role: &str, others: &BTreeSet<String>) -> Act {
    let (name, me) = (ident(&at.name), ident(role));
    let mut script = format!(
        "REASSIGN OWNED BY {LENDER} TO {SUPERUSER};\nALTER DATABASE {name} OWNER TO {me};\nDROP OWNED BY {LENDER};\nDROP ROLE {LENDER};\n\
         ALTER ROLE {me} NOLOGIN;\n"
    );
    for other in others {
        script.push_str(&format!("REVOKE {} FROM {me};\n", ident(other)));
    }
    Act::text(Phase::Index, "take back what was lent to the archive", psql(at, "adopt"), script)
}

/// The roles by name alone, and the database's settings: a real server's roles have rights and passwords that no archive knows, and a restore
/// must not change them.
fn extras(at: &Target, role: &str, others: &BTreeSet<String>) -> Vec<(&'static str, Exec)> {
    let all = others.iter().map(String::as_str).chain([role]);
    let lines: Vec<String> = all.map(|role| literal(&format!("CREATE ROLE {};", ident(role)))).collect();
    let roles = format!("SELECT unnest(ARRAY[{}])", lines.join(", "));
    let settings = include_str!("sql/settings.sql");
    vec![
        (restore::GLOBALS, psql_commands(at, &at.name, "globals", &[&roles])),
        (restore::SETTINGS, psql_commands(at, &at.name, "settings", &["SET xtask.script = ''", settings])),
        (selective::KEYS, selective::keys(at)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_psql_that_can_be_restricted_are_known() {
        let knows = |version: &str| restricts(&format!("client={version}\n"));
        assert!(["130022", "150014", "150020", "170006", "180000", "190001"].into_iter().all(knows));
        assert!(!["120030", "130021", "150013", "170005", "", "x"].into_iter().any(knows));
    }

    #[test]
    fn a_role_s_line_can_hold_any_name() {
        let at = crate::engines::find("postgres").unwrap();
        let at = at.owned_target(&at.rehearsal_store(None));
        let odd = BTreeSet::from(["o'dd \"one\"".to_owned()]);
        let (_, exec) = extras(&at, "me", &odd).swap_remove(0);
        let words = exec.args.join(" ");
        assert!(words.contains(r#"ARRAY['CREATE ROLE "o''dd ""one""";', 'CREATE ROLE "me";']"#), "{words}");
    }
}
