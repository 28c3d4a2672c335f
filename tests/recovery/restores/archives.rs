//! Old archives where a set is asked for: read to their end, brought back in a private place, and restored as any set.

use super::rig::{Rig, content};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use xtask::archive::vault::Vault;

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::default());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

/// Rows 5 and 6 of the old scripts' flaws: the restore fed a binary database to a program that expects SQL, and could never work.
#[test]
fn flaw_05_and_06_a_gzipped_database_file_is_verified_and_restored_as_what_it_is() {
    let rig = Rig::new("delete", 50);
    let before = rig.content();
    std::fs::write(rig.path("old.db.gz"), gzipped(&std::fs::read(rig.path("data/site.db")).unwrap())).unwrap();
    rig.sql("DELETE FROM orders");
    let verified = rig.done(&["verify", "site", "old.db.gz", "--level", "L3"]);
    assert!(verified.out.contains("cannot be known") && verified.out.contains("L3"), "{}", verified.said());
    let refused = rig.run(&["restore", "site", "old.db.gz", "--to", "live"]);
    assert_eq!(refused.code, Some(26), "{}", refused.said());
    let done = rig.done(&["restore", "site", "old.db.gz", "--to", "live", "--confirm", "site"]);
    assert!(done.out.contains("cannot be known") && done.out.contains("nobody can know"), "{}", done.said());
    assert_eq!(rig.content(), before);
    let log = std::fs::read_to_string(rig.path("vault/audit.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told: Vec<_> = lines.filter(|line| line["what"] == "restore" && line["ending"] != "failed").collect();
    assert_eq!(told.len(), 2, "begun and passed: {log}");
    for line in told {
        let target = line["target"].as_str().unwrap();
        assert!(
            target.contains("archive old.db.gz, SHA-256 ") && line.get("set").is_none(),
            "no vault has that set: {line}"
        );
    }
    // Only the safety set is in the vault: the archive's own was private, and is gone.
    assert_eq!(Vault::at(&rig.path("vault")).list().unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(rig.temporary.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_that_is_cut_short_or_something_else_is_restored_by_nobody() {
    let rig = Rig::new("delete", 50);
    let whole = gzipped(&std::fs::read(rig.path("data/site.db")).unwrap());
    let before = rig.content();
    for (name, bytes) in
        [("cut.db.gz", &whole[..whole.len() / 2]), ("text.sql", b"not SQL at all".as_slice()), ("empty.db", b"")]
    {
        std::fs::write(rig.path(name), bytes).unwrap();
        for words in [vec!["verify", "site", name], vec!["restore", "site", name, "--to", "live", "--confirm", "site"]]
        {
            let ended = rig.run(&words);
            assert_eq!(ended.code, Some(28), "{words:?}: {}", ended.said());
        }
    }
    assert_eq!(rig.content(), before);
    std::fs::write(rig.path("old.db"), std::fs::read(rig.path("data/site.db")).unwrap()).unwrap();
    rig.done(&["restore", "site", "old.db", "--to", "beside.db"]);
    assert_eq!(content(&rig.path("data/beside.db")), before);
}
