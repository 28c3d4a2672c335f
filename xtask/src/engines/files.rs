//! Plain files: a folder kept as one deterministic archive by this binary's own data tool. Describes, performs nothing.

use crate::domain::artifact::{Component, Consistency};
use crate::domain::data_tool::{DataTool, handed_on, has_room, value};
use crate::domain::diagnosis::Diagnosis;
use crate::domain::engine::{
    Act, Adopted, Adoption, Blow, Engine, MarkSession, MarkTable, Preflight, Snapshot, Target,
};
use crate::domain::exchange::{Exchange, Wish};
use crate::domain::exec::{Exec, Exit, quote};
use crate::domain::foreign::Content;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::scenario::Strike;
use crate::domain::site::SiteSpec;
use crate::domain::store::{Location, Root, Store};
use crate::domain::timeline::Phase;
use std::path::PathBuf;

/// A folder.
pub struct Files;

const TOOL: DataTool = DataTool("files");

/// The folder, as the tool sees it from the site's.
fn folder(at: &Target) -> String {
    match (at.root.as_str(), at.name.as_str()) {
        ("", "") => ".".into(),
        (root, "") => root.to_owned(),
        ("" | ".", name) => name.to_owned(),
        (root, name) => format!("{root}/{name}"),
    }
}

/// Where a dump leaves the census that it took on its way.
fn census(at: &Target) -> String {
    format!("{}/census", at.scratch)
}

/// The artifact, staged for a selective restore.
fn staged(at: &Target) -> String {
    format!("{}/backup.tar", at.scratch)
}

/// A verb at the folder.
fn verb(verb: &str, at: &Target) -> Exec {
    TOOL.verb(verb, folder(at))
}

/// Where it is restored first, and what the one that is there is called afterwards.
fn companions(at: &Target, tag: &str) -> (Target, Target) {
    let named = |word: &str| {
        let whole = format!("{}_{word}_{tag}", folder(at));
        Target { root: whole, name: String::new(), ..at.clone() }
    };
    (named("restore"), named("before"))
}

fn judge_movable(answer: &str, store: &Store) -> Result<(), Refusal> {
    if value(answer, "state") == Some("movable") {
        return Ok(());
    }
    let message =
        format!("the folder of {} is a file system of its own, and cannot change its name in one step", store.name);
    let hint = "restore beside it (--to NAME), stop its service, and move the files in by hand";
    Err(Refusal::new(RefusalKind::Preflight, message, hint))
}

fn judge_source(answer: &str, store: &Store) -> Result<(), Refusal> {
    let name = &store.name;
    let refuse = |kind, message: String, hint: &str| Err(Refusal::new(kind, message, hint));
    let check = "check the store's path in recovery.yaml";
    match value(answer, "state") {
        Some("files") => Ok(()),
        Some("empty") if store.allow_empty => Ok(()),
        Some("empty") => {
            let hint = "set `allow_empty: true` for the store if that is right";
            refuse(RefusalKind::EmptyStore, format!("the folder of {name} holds no file"), hint)
        }
        Some("missing") => refuse(RefusalKind::MissingStore, format!("there is no folder for {name}"), check),
        Some("foreign") => {
            refuse(RefusalKind::BadArtifact, format!("what stands for the folder of {name} is none"), check)
        }
        Some("bad-link") => {
            let what = value(answer, "detail").unwrap_or("a link leads out");
            let hint = "make the link relative and inside the folder, or remove it";
            refuse(RefusalKind::Preflight, format!("the folder of {name} cannot be restored safely: {what}"), hint)
        }
        _ => refuse(RefusalKind::Preflight, format!("the folder of {name} could not be looked at"), check),
    }
}

fn judge_target(answer: &str, store: &Store) -> Result<(), Refusal> {
    if value(answer, "state") != Some("vacant") {
        let message = format!("the folder of {} is not empty", store.name);
        return Err(Refusal::new(RefusalKind::TargetNotEmpty, message, "move its contents away, then restore again"));
    }
    has_room(answer, store)
}

impl Engine for Files {
    fn name(&self) -> &'static str {
        "files"
    }

    fn about(&self) -> &'static str {
        "folders of plain files: one deterministic archive, hostile archives refused whole"
    }

    fn extension(&self) -> &'static str {
        "tar"
    }

    fn consistency(&self) -> Consistency {
        Consistency::Fuzzy
    }

    fn rehearsal_store(&self, _image: Option<&str>) -> Store {
        Store {
            name: "files".into(),
            engine: self.name().into(),
            service: None,
            image: None,
            location: Location::Folder { root: Root::Host("uploads".into()), path: PathBuf::new() },
            allow_empty: false,
        }
    }

    fn site(&self, _store: &Store) -> SiteSpec {
        SiteSpec::Directory
    }

    /// A folder inside the site's, so that a restore can give it its name by one rename.
    fn owned_target(&self, _store: &Store) -> Target {
        TOOL.target("data", String::new())
    }

    fn attached_target(&self, store: &Store) -> Target {
        let root = match &store.location {
            Location::Folder { path, .. } if !path.as_os_str().is_empty() => path.to_string_lossy().into_owned(),
            _ => ".".into(),
        };
        Target { root, ..self.owned_target(store) }
    }

    fn ready(&self, _at: &Target) -> Exec {
        Exec::own(["files", "version"])
    }

    fn probe(&self, at: &Target, store: &Store) -> Exec {
        TOOL.probe(folder(at), store)
    }

    fn before_dump(&self, at: &Target) -> Vec<Preflight> {
        let act = Act::run(Phase::Detect, "look at the folder", verb("inspect", at));
        vec![Preflight {
            title: "see whether the folder holds files that can be restored safely",
            act,
            judge: judge_source,
        }]
    }

    fn facts(&self, at: &Target) -> Act {
        Act::run(Phase::Detect, "ask for facts", verb("facts", at))
    }

    fn snapshot(&self, at: &Target) -> Snapshot {
        Snapshot::OnTheWay { census: TOOL.verb("census-taken", census(at)), release: TOOL.verb("release", census(at)) }
    }

    fn dump(&self, at: &Target) -> Exec {
        verb("dump", at).args(["--census".to_owned(), census(at)])
    }

    fn lacks(&self, taken: &Component) -> Vec<String> {
        let fact = |key: &str| taken.facts.get(key).map(String::as_str).unwrap_or_default();
        let told = |count: &str, names: &str| match fact(count).parse::<u64>() {
            Ok(count) if count > 0 => Some((count, fact(names).to_owned())),
            _ => None,
        };
        let special = told("skipped_special_files", "skipped_special_names")
            .map(|(count, names)| format!("{count} pipes, sockets or devices are not in it: {names}"));
        let attributes = told("files_with_extended_attributes", "extended_attributes_names").map(|(count, names)| {
            let files = if count == 1 { "file" } else { "files" };
            format!("the extended attributes of {count} {files} are not in it: {names}")
        });
        special.into_iter().chain(attributes).collect()
    }

    fn before_restore(&self, at: &Target, from: &Component) -> Vec<Preflight> {
        let needs = from.data().map_or(0, |d| d.plain.bytes);
        let act =
            Act::run(Phase::Detect, "look at the target", verb("vacant", at).args(["--needs", &needs.to_string()]));
        vec![Preflight { title: "see whether the folder is empty and there is room", act, judge: judge_target }]
    }

    fn restore(&self, at: &Target, _from: &Component) -> Vec<Act> {
        vec![
            Act::data(Phase::Load, "extract into a private folder", verb("load", at)),
            Act::run(Phase::Index, "put the folder in place", verb("adopt", at)),
        ]
    }

    fn exchange(&self, at: &Target, _from: &Component, wish: &Wish) -> Exchange {
        let (beside, previous) = companions(at, &wish.tag);
        let mut exec = verb("exchange", at).arg(folder(&beside)).arg(folder(&previous));
        for (wanted, word) in [(wish.keep, "--keep"), (wish.replace, "--replace")] {
            if wanted {
                exec = exec.arg(word);
            }
        }
        let title = "see whether the folder can change its name";
        let question = Preflight {
            title,
            act: Act::run(Phase::Provision, "look at the folder", verb("movable", at)),
            judge: judge_movable,
        };
        Exchange {
            questions: Vec::new(),
            obstacles: vec![question],
            room: None,
            swap: Act::run(Phase::Index, "let the two folders change names", exec),
            landed: None,
            after: None,
            removal: format!("rm -r {}", quote(&folder(&previous))),
            previous: wish.keep.then(|| folder(&previous)),
            beside,
            notes: vec!["a container that mounts the folder sees the previous one until it is restarted".to_owned()],
        }
    }

    fn clear(&self, at: &Target, tag: &str) -> Vec<Act> {
        let (beside, previous) = companions(at, tag);
        let exec = verb("clear", at).arg(folder(&beside)).arg(folder(&previous));
        vec![Act::run(Phase::Provision, "remove what an unfinished restore left", exec)]
    }

    fn adopt(&self, at: &Target, what: Adopted<'_>, _answer: &str) -> Result<Adoption, Refusal> {
        if what.archive.content != Content::Tar {
            return Err(what.archive.is_not_of(&what.store.name, self.name()));
        }
        Ok(Adoption {
            before: Vec::new(),
            content: vec![
                Act::data(Phase::Load, "extract into a private folder", verb("load", at)),
                Act::run(Phase::Index, "put the folder in place", verb("adopt", at)),
            ],
            after: Vec::new(),
            source: Target { name: what.inside.unwrap_or_default().to_owned(), ..at.clone() },
            extras: Vec::new(),
            forget: &[],
        })
    }

    fn census(&self, at: &Target) -> Act {
        Act::run(Phase::Prove, "digest every file", verb("census", at))
    }

    fn diagnose(&self, at: &Target) -> Act {
        Act::run(Phase::Detect, "read every file", verb("diagnose", at))
    }

    fn stage(&self, at: &Target) -> Vec<Act> {
        vec![Act::data(Phase::Fetch, "stage the backup and list its files", TOOL.verb("stage", staged(at)))]
    }

    fn restore_selected(
        &self,
        at: &Target,
        _from: &Component,
        diagnosis: &Diagnosis,
        contents: &str,
    ) -> Result<Vec<Act>, Refusal> {
        let held: std::collections::BTreeSet<&str> = contents.lines().collect();
        let text = handed_on(diagnosis, |object| held.contains(object))?;
        Ok(vec![Act::text(Phase::Load, "bring back the damaged files", verb("pick", at).arg(staged(at)), text)])
    }

    fn seed(&self, at: &Target, bytes: u64) -> Vec<Act> {
        vec![Act::run(
            Phase::Load,
            "write pictures and documents",
            verb("seed", at).args(["--bytes", &bytes.to_string()]),
        )]
    }

    fn churn(&self, at: &Target) -> Vec<Act> {
        vec![Act::run(Phase::Load, "upload a file, sign another", verb("churn", at))]
    }

    fn mark_session(&self, at: &Target) -> MarkSession {
        TOOL.mark_session(folder(at))
    }

    fn marks(&self, at: &Target, of: MarkTable) -> Act {
        TOOL.marks(folder(at), of)
    }

    fn strike(&self, at: &Target, strike: Strike) -> Option<Vec<Blow>> {
        let run = |title: &str, name: &str| TOOL.blow(title, name, folder(at));
        Some(vec![match strike {
            Strike::DeleteData => run("delete everything in the folder", "strike-delete"),
            Strike::Corrupt => run("delete files, cut one, flip bytes in another", "strike-corrupt"),
            Strike::DestroySite => Blow::DestroySite,
        }])
    }

    fn explain(&self, _exec: &Exec, exit: &Exit) -> Option<Refusal> {
        Refusal::of_own_tool(exit.code, &exit.stderr)
    }

    fn is_mark(&self, object: &str) -> bool {
        let path = object.split_once(' ').map_or(object, |(_, path)| path);
        path == ".xtask-marks" || path.starts_with(".xtask-marks/")
    }

    fn expected_damage(&self, strike: Strike) -> Vec<&'static str> {
        match strike {
            Strike::Corrupt => vec![
                "file documents/contract-00002.txt",
                "file documents/été à la plage — 文書 (1).txt",
                "file photos/2026/02/photo-00001.jpg",
                "file photos/2026/05/photo-00004.jpg",
            ],
            Strike::DeleteData | Strike::DestroySite => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(allow_empty: bool) -> Store {
        Store { allow_empty, ..Files.rehearsal_store(None) }
    }

    #[test]
    fn each_state_of_the_source_has_its_own_refusal() {
        let kind = |answer: &str| judge_source(answer, &store(false)).map_err(|r| r.kind);
        assert_eq!(kind("state=files\n"), Ok(()));
        assert_eq!(kind("state=missing\n"), Err(RefusalKind::MissingStore));
        assert_eq!(kind("state=empty\n"), Err(RefusalKind::EmptyStore));
        assert_eq!(kind("state=foreign\n"), Err(RefusalKind::BadArtifact));
        assert_eq!(kind("state=bad-link\ndetail=x\n"), Err(RefusalKind::Preflight));
        assert_eq!(kind(""), Err(RefusalKind::Preflight), "no answer is no permission");
        assert_eq!(judge_source("state=empty\n", &store(true)), Ok(()));
    }

    #[test]
    fn a_target_that_is_taken_or_too_small_is_refused() {
        let kind = |answer: &str| judge_target(answer, &store(false)).map_err(|r| r.kind);
        assert_eq!(kind("state=vacant\nfree=9\nneeds=9\n"), Ok(()));
        assert_eq!(kind("state=vacant\nfree=8\nneeds=9\n"), Err(RefusalKind::Storage));
        assert_eq!(kind("state=occupied\nfree=9\nneeds=1\n"), Err(RefusalKind::TargetNotEmpty));
        assert_eq!(kind("garbage"), Err(RefusalKind::TargetNotEmpty));
    }

    #[test]
    fn commands_name_the_folder_below_the_root() {
        let owned = Files.owned_target(&store(false));
        assert_eq!(Files.dump(&owned).command_line(), "xtask __tool files dump data --census .xtask-scratch/census");
        assert_eq!(
            Files.probe(&Files.attached_target(&store(false)), &store(true)).command_line(),
            "xtask __tool files probe . --allow-empty"
        );
        assert_eq!(folder(&Target { root: "a".into(), name: "b".into(), ..owned }), "a/b");
    }

    #[test]
    fn marks_are_told_from_other_files() {
        assert!(Files.is_mark("file .xtask-marks/kept/1") && Files.is_mark("folder .xtask-marks"));
        assert!(!Files.is_mark("file .xtask-marksman") && !Files.is_mark("file a/.xtask-marks"));
    }
}
