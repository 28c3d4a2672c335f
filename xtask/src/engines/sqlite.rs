//! SQLite: one file, read and written by this binary's own data tool at a directory site. Describes, performs nothing.

mod exchange;

use crate::domain::artifact::{Component, Consistency};
use crate::domain::data_tool::{DataTool, handed_on, has_room, value};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{
    Act, Adopted, Adoption, Blow, Engine, MarkSession, MarkTable, Preflight, Snapshot, Target,
};
use crate::domain::exchange::{Exchange, Wish};
use crate::domain::exec::{Exec, Exit};
use crate::domain::foreign::Content;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::scenario::Strike;
use crate::domain::site::SiteSpec;
use crate::domain::store::{Location, Root, Store};
use crate::domain::timeline::Phase;

/// A single-file database.
pub struct Sqlite;

const TOOL: DataTool = DataTool("sqlite");

/// The path of the database, as the tool sees it from the site's folder.
fn database(at: &Target) -> String {
    if at.root.is_empty() || at.root == "." { at.name.clone() } else { format!("{}/{}", at.root, at.name) }
}

/// The snapshot's copy.
fn copy(at: &Target) -> String {
    format!("{}/copy.db", at.scratch)
}

/// The artifact, staged for a selective restore.
fn staged(at: &Target) -> String {
    format!("{}/backup.db", at.scratch)
}

/// A verb at the database.
fn verb(verb: &str, at: &Target) -> Exec {
    TOOL.verb(verb, database(at))
}

fn judge_source(answer: &str, store: &Store) -> Result<(), Refusal> {
    let name = &store.name;
    let check = "check the store's path in recovery.yaml";
    let refuse = |kind, message: String, hint: &str| Err(Refusal::new(kind, message, hint));
    let empty = "set `allow_empty: true` for the store if that is right";
    match value(answer, "state") {
        Some("rows") => Ok(()),
        Some("no-tables" | "no-rows") if store.allow_empty => Ok(()),
        Some("no-tables") => refuse(RefusalKind::EmptyStore, format!("the database of {name} has no tables"), empty),
        Some("no-rows") => refuse(RefusalKind::EmptyStore, format!("no table of {name} has a row"), empty),
        Some("missing") => refuse(RefusalKind::MissingStore, format!("there is no database file for {name}"), check),
        Some("zero") => refuse(RefusalKind::BadArtifact, format!("the database file of {name} has 0 bytes"), check),
        _ => {
            let what = value(answer, "detail").unwrap_or("it could not be looked at");
            refuse(
                RefusalKind::BadArtifact,
                format!("the file of {name} is not a readable SQLite database: {what}"),
                check,
            )
        }
    }
}

fn judge_target(answer: &str, store: &Store) -> Result<(), Refusal> {
    if value(answer, "state") != Some("vacant") {
        let message = format!("the place of {} holds a file already", store.name);
        let hint = "stop its service and move the file away with its -wal and -shm, then restore again";
        return Err(Refusal::new(RefusalKind::TargetNotEmpty, message, hint));
    }
    has_room(answer, store)
}

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn about(&self) -> &'static str {
        "SQLite 3 files: online backup of live WAL databases, every page checked"
    }

    fn extension(&self) -> &'static str {
        "db"
    }

    fn consistency(&self) -> Consistency {
        Consistency::Snapshot
    }

    fn rehearsal_store(&self, _image: Option<&str>) -> Store {
        Store {
            name: "sqlite".into(),
            engine: self.name().into(),
            service: None,
            image: None,
            location: Location::File { root: Root::Host(".".into()), path: "app.db".into() },
            allow_empty: false,
        }
    }

    fn site(&self, _store: &Store) -> SiteSpec {
        SiteSpec::Directory
    }

    fn owned_target(&self, store: &Store) -> Target {
        let name = match &store.location {
            Location::File { path, .. } => path.to_string_lossy().into_owned(),
            _ => "app.db".into(),
        };
        TOOL.target(".", name)
    }

    fn attached_target(&self, store: &Store) -> Target {
        self.owned_target(store)
    }

    fn ready(&self, _at: &Target) -> Exec {
        Exec::own(["sqlite", "version"])
    }

    fn probe(&self, at: &Target, store: &Store) -> Exec {
        TOOL.probe(database(at), store)
    }

    fn before_dump(&self, at: &Target) -> Vec<Preflight> {
        let act = Act::run(Phase::Detect, "look at the database", verb("inspect", at));
        vec![Preflight { title: "see whether the file is a database with rows", act, judge: judge_source }]
    }

    fn facts(&self, at: &Target) -> Act {
        Act::run(Phase::Detect, "ask for facts", verb("facts", at))
    }

    fn snapshot(&self, at: &Target) -> Snapshot {
        Snapshot::Copy {
            exec: verb("snapshot", at).arg(copy(at)),
            census: TOOL.verb("census-copy", copy(at)),
            release: TOOL.verb("release", copy(at)),
        }
    }

    fn dump(&self, at: &Target) -> Exec {
        TOOL.verb("read", copy(at))
    }

    fn before_restore(&self, at: &Target, from: &Component) -> Vec<Preflight> {
        let needs = from.data().map_or(0, |d| d.plain.bytes);
        let exec = verb("vacant", at).args(["--needs", &needs.to_string()]);
        let act = Act::run(Phase::Detect, "look at the target", exec);
        vec![Preflight { title: "see whether the place is free and large enough", act, judge: judge_target }]
    }

    fn restore(&self, at: &Target, from: &Component) -> Vec<Act> {
        let fact = |key: &str| from.facts.get(key);
        let mut adopt = verb("adopt", at);
        if let Some(mode) = fact("mode") {
            adopt = adopt.args(["--mode", mode]);
        }
        if let (Some(uid), Some(gid)) = (fact("uid"), fact("gid")) {
            adopt = adopt.args(["--owner", &format!("{uid}:{gid}")]);
        }
        vec![
            Act::data(Phase::Load, "write the database beside its place", verb("load", at)),
            Act::run(Phase::Index, "check every page and put it in place", adopt),
        ]
    }

    fn exchange(&self, at: &Target, from: &Component, wish: &Wish) -> Exchange {
        exchange::exchange(at, from, wish)
    }

    fn clear(&self, at: &Target, tag: &str) -> Vec<Act> {
        exchange::clear(at, tag)
    }

    fn tables(&self, at: &Target, _wanted: &[String]) -> Option<Act> {
        Some(Act::run(Phase::Detect, "look at the database", verb("inspect", at)))
    }

    fn restore_tables(
        &self,
        at: &Target,
        _from: &Component,
        wanted: &[String],
        (contents, _): (&str, &str),
    ) -> Result<Vec<Act>, Refusal> {
        exchange::tables(at, wanted, contents)
    }

    fn adopt(&self, at: &Target, what: Adopted<'_>, _answer: &str) -> Result<Adoption, Refusal> {
        if what.archive.content != Content::Sqlite {
            return Err(what.archive.is_not_of(&what.store.name, self.name()));
        }
        Ok(Adoption {
            before: Vec::new(),
            content: vec![
                Act::data(Phase::Load, "write the database beside its place", verb("load", at)),
                Act::run(Phase::Index, "check every page and put it in place", verb("adopt", at)),
            ],
            after: Vec::new(),
            source: at.clone(),
            extras: Vec::new(),
            forget: &["mode", "uid", "gid"],
        })
    }

    fn census(&self, at: &Target) -> Act {
        Act::run(Phase::Prove, "count and digest every table", verb("census", at))
    }

    fn diagnose(&self, at: &Target) -> Act {
        Act::run(Phase::Detect, "read everything and check every key", verb("diagnose", at))
    }

    fn stage(&self, at: &Target) -> Vec<Act> {
        vec![Act::data(Phase::Fetch, "stage the backup and list its tables", TOOL.verb("stage", staged(at)))]
    }

    fn restore_selected(
        &self,
        at: &Target,
        _from: &Component,
        diagnosis: &Diagnosis,
        contents: &str,
    ) -> Result<Vec<Act>, Refusal> {
        let held = |object: &str| !object.starts_with("table ") || contents.lines().any(|l| l == object);
        let text = handed_on(diagnosis, held)?;
        let half =
            |phase, title: &str, name: &str| Act::text(phase, title, verb(name, at).arg(staged(at)), text.clone());
        Ok(vec![
            half(Phase::Load, "build a sound database beside the damaged one", "repair"),
            half(Phase::Index, "build indexes, settle the keys, swap", "finish"),
        ])
    }

    fn seed(&self, at: &Target, bytes: u64) -> Vec<Act> {
        let exec = verb("seed", at).args(["--bytes", &bytes.to_string()]);
        vec![Act::run(Phase::Load, "write a shop", exec)]
    }

    fn churn(&self, at: &Target) -> Vec<Act> {
        vec![Act::run(Phase::Load, "sell a little, delete an order", verb("churn", at))]
    }

    fn mark_session(&self, at: &Target) -> MarkSession {
        TOOL.mark_session(database(at))
    }

    fn marks(&self, at: &Target, of: MarkTable) -> Act {
        TOOL.marks(database(at), of)
    }

    /// Four sums of 64 bits, each in 16 hex digits.
    fn digest_sum(&self, one: &str, other: &str) -> Option<String> {
        let lanes = |digest: &str| -> Option<Vec<u64>> {
            let lane = |at: usize| u64::from_str_radix(digest.get(at..at + 16)?, 16).ok();
            (0..4).map(|n| lane(n * 16)).collect::<Option<Vec<u64>>>().filter(|_| digest.len() == 64)
        };
        let (one, other) = (lanes(one)?, lanes(other)?);
        Some(one.iter().zip(other).map(|(a, b)| format!("{:016x}", a.wrapping_add(b))).collect())
    }

    fn strike(&self, at: &Target, strike: Strike) -> Option<Vec<Blow>> {
        let run = |title: &str, name: &str| TOOL.blow(title, name, database(at));
        Some(vec![match strike {
            Strike::DeleteData => run("delete the database with its sidecars", "strike-delete"),
            Strike::Corrupt => run("drop tables, orphan rows, overwrite a page", "strike-corrupt"),
            Strike::DestroySite => Blow::DestroySite,
        }])
    }

    fn explain(&self, _exec: &Exec, exit: &Exit) -> Option<Refusal> {
        Refusal::of_own_tool(exit.code, &exit.stderr)
    }

    fn is_mark(&self, object: &str) -> bool {
        let name = object.split_once(' ').map_or(object, |(_, name)| name);
        ["main.xtask_mark_kept", "main.xtask_mark_struck"]
            .iter()
            .any(|table| name.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    fn expected_damage(&self, strike: Strike) -> Vec<&'static str> {
        match strike {
            Strike::Corrupt => vec!["table main.events", "table main.order_lines", "table main.orders"],
            Strike::DeleteData | Strike::DestroySite => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(allow_empty: bool) -> Store {
        Store { allow_empty, ..Sqlite.rehearsal_store(None) }
    }

    #[test]
    fn each_state_of_the_source_has_its_own_refusal() {
        let kind = |answer: &str| judge_source(answer, &store(false)).map_err(|r| r.kind);
        assert_eq!(kind("state=rows\n"), Ok(()));
        assert_eq!(kind("state=missing\n"), Err(RefusalKind::MissingStore));
        assert_eq!(kind("state=zero\n"), Err(RefusalKind::BadArtifact));
        assert_eq!(kind("state=no-rows\n"), Err(RefusalKind::EmptyStore));
        assert_eq!(kind("state=no-tables\n"), Err(RefusalKind::EmptyStore));
        assert_eq!(kind("state=foreign\ndetail=text\n"), Err(RefusalKind::BadArtifact));
        assert_eq!(kind(""), Err(RefusalKind::BadArtifact), "no answer is no permission");
        assert_eq!(judge_source("state=no-rows\n", &store(true)), Ok(()));
        assert!(judge_source("state=missing\n", &store(true)).is_err());
    }

    #[test]
    fn a_target_that_is_taken_or_too_small_is_refused() {
        let kind = |answer: &str| judge_target(answer, &store(false)).map_err(|r| r.kind);
        assert_eq!(kind("state=vacant\nfree=9\nneeds=9\n"), Ok(()));
        assert_eq!(kind("state=vacant\nfree=8\nneeds=9\n"), Err(RefusalKind::Storage));
        assert_eq!(kind("state=occupied\nfree=9\nneeds=1\n"), Err(RefusalKind::TargetNotEmpty));
        assert_eq!(kind("state=vacant\n"), Err(RefusalKind::Preflight));
    }

    #[test]
    fn marks_are_told_from_other_objects() {
        assert!(Sqlite.is_mark("table main.xtask_mark_struck") && Sqlite.is_mark("column main.xtask_mark_kept.seq"));
        assert!(!Sqlite.is_mark("table main.xtask_mark_keptsake") && !Sqlite.is_mark("table main.orders"));
    }

    #[test]
    fn commands_name_the_file_below_the_root() {
        let at = Sqlite.owned_target(&store(false));
        assert_eq!(Sqlite.probe(&at, &store(false)).command_line(), "xtask __tool sqlite probe app.db");
        let at = Target { root: "data".into(), name: "a b.db".into(), ..at };
        assert_eq!(
            Sqlite.probe(&at, &store(true)).command_line(),
            "xtask __tool sqlite probe 'data/a b.db' --allow-empty"
        );
    }

    #[test]
    fn a_diagnosis_that_the_backup_cannot_serve_is_refused() {
        use crate::domain::diagnosis::Damage;
        let at = Sqlite.owned_target(&store(false));
        let from = Component {
            store: "s".into(),
            engine: "sqlite".into(),
            as_of_window_ms: None,
            consistent_as_of: String::new(),
            consistency: Consistency::Snapshot,
            facts: [("mode", "640"), ("uid", "7"), ("gid", "8")].map(|(k, v)| (k.into(), v.into())).into(),
            files: Vec::new(),
            census: Default::default(),
        };
        let diagnosis = Diagnosis { damages: vec![Damage::Missing { object: "table main.a".into() }] };
        assert!(Sqlite.restore_selected(&at, &from, &diagnosis, "table main.b\n").is_err());
        let acts = Sqlite.restore_selected(&at, &from, &diagnosis, "table main.a\n").unwrap();
        assert_eq!(acts.len(), 2);
        let last = Sqlite.restore(&at, &from).pop().unwrap().exec.command_line();
        assert_eq!(last, "xtask __tool sqlite adopt app.db --mode 640 --owner 7:8");
    }
}
