//! Whether anybody but the user who makes backups can read them, or put something in their place.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::{BackupFacts, Right, Thing};

/// Vault, sets and keys are for their owner alone, and nobody else can rename what is above them or write what is configured.
pub static CHECK: Check<BackupFacts> = Check {
    id: "permissions",
    title: "only the owner can reach sets and keys",
    why: "whoever reads a set reads the data, and whoever writes above the vault can put another one there",
    judge,
};

/// So many are named; the rest is counted.
const NAMED: usize = 5;

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let Some(rights) = facts.rights.or_unknown(&mut judged) else { return judged };
    if rights.iter().all(|right| right.of == Thing::Config && trouble(right).is_none()) {
        return Judged::skip(format!("{} is not there yet", facts.vault.display()));
    }
    let wrong: Vec<(&Right, &str, String)> =
        rights.iter().filter_map(|right| Some((right, trouble(right)?, mend(right)))).collect();
    for (right, what, next) in wrong.iter().take(NAMED) {
        judged.fail(format!("{} {what} (mode {:04o})", right.path.display(), right.mode), next.clone());
    }
    if wrong.len() > NAMED {
        let next = format!("chmod -R go= {}", facts.vault.display());
        judged.fail(format!("and {} more files and folders", wrong.len() - NAMED), next);
    }
    judged.see(format!("{} files and folders", rights.len()));
    judged
}

fn trouble(right: &Right) -> Option<&'static str> {
    const STICKY: u32 = 0o1000;
    match right.of {
        _ if !right.ours => Some("belongs to somebody else"),
        // Others may write into a sticky folder, and rename nothing of ours there.
        Thing::Above => (right.mode & 0o022 != 0 && right.mode & STICKY == 0).then_some("can be written by others"),
        // A group of its own is what many systems give each user.
        Thing::Config => (right.mode & 0o002 != 0 && right.mode & STICKY == 0).then_some("can be written by others"),
        Thing::Folder | Thing::File | Thing::Key if right.mode & 0o022 != 0 => Some("can be written by others"),
        Thing::Folder | Thing::File | Thing::Key => (right.mode & 0o077 != 0).then_some("can be read by others"),
    }
}

fn mend(right: &Right) -> String {
    let path = right.path.display();
    match right.of {
        _ if !right.ours => format!("chown {path} to the user who makes backups"),
        Thing::Config => format!("chmod o-w {path}"),
        Thing::Above => format!("chmod go-w {path}"),
        Thing::Folder => format!("chmod 700 {path}"),
        Thing::File | Thing::Key => format!("chmod 600 {path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use crate::domain::fact::Fact;

    fn with(of: Thing, mode: u32, ours: bool) -> (String, String) {
        asked(&CHECK, |facts| facts.rights = Fact::Known(vec![Right { path: "v".into(), of, mode, ours }]))
    }

    #[test]
    fn whoever_else_may_read_or_write_is_told_with_the_command_that_ends_it() {
        for (of, mode, next) in [
            (Thing::Folder, 0o755, "chmod 700 v"),
            (Thing::File, 0o640, "chmod 600 v"),
            (Thing::Key, 0o604, "chmod 600 v"),
            (Thing::Above, 0o777, "chmod go-w v"),
            (Thing::Config, 0o666, "chmod o-w v"),
        ] {
            let (word, said) = with(of, mode, true);
            assert!(word == "failed" && said.contains(next), "{of:?}: {said}");
        }
        assert_eq!(with(Thing::Folder, 0o700, false).0, "failed");
    }

    #[test]
    fn a_sticky_folder_above_and_one_that_others_only_read_are_fine() {
        assert_eq!(
            (with(Thing::Above, 0o1777, true).0.as_str(), with(Thing::Above, 0o755, true).0.as_str()),
            ("passed", "passed")
        );
    }

    #[test]
    fn what_is_configured_may_be_read_and_a_vault_that_is_not_there_is_no_proof() {
        let config = |facts: &mut BackupFacts| {
            facts.rights = Fact::Known(vec![Right { path: "r".into(), of: Thing::Config, mode: 0o664, ours: true }]);
        };
        assert_eq!(asked(&CHECK, config).0, "skipped");
        let vault = |facts: &mut BackupFacts| {
            let of = |of, mode| Right { path: "r".into(), of, mode, ours: true };
            facts.rights = Fact::Known(vec![of(Thing::Folder, 0o700), of(Thing::Config, 0o664)]);
        };
        assert_eq!(asked(&CHECK, vault).0, "passed");
    }

    #[test]
    fn many_are_counted_and_none_is_not_green() {
        let (word, said) = asked(&CHECK, |facts| {
            let one = |n: usize| Right { path: format!("f{n}").into(), of: Thing::File, mode: 0o644, ours: true };
            facts.rights = Fact::Known((0..12).map(one).collect());
        });
        assert!(word == "failed" && said.contains("and 7 more") && said.contains("chmod -R go= vault"), "{said}");
        assert_eq!(asked(&CHECK, |facts| facts.rights = Fact::Known(Vec::new())).0, "skipped");
    }
}
