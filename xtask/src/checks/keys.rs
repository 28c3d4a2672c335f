//! Whether sets are encrypted for more than one reader, signed, and not openable where they are made.

use crate::domain::check::{Check, Judged};
use crate::domain::fact::{BackupFacts, Fact, KeyUse};
use crate::domain::protection::Encryption;

/// Encryption is on for two readers at least, sets are signed, and no identity lies on the backup host.
pub static CHECK: Check<BackupFacts> = Check {
    id: "keys",
    title: "sets are encrypted for two readers, signed, and not openable here",
    why: "one lost key must not lose all backups, and one lost host must not give them away",
    judge,
};

/// So many readers, one of them kept elsewhere.
const READERS: usize = 2;

fn judge(facts: &BackupFacts) -> Judged {
    let mut judged = Judged::default();
    let protection = &facts.protection;
    let make = "cargo xtask keys encryption FILE; then backups.encryption: { recipients: [age1…, age1…] }";
    match &protection.encryption {
        Encryption::Off | Encryption::Undecided => {
            let off = protection.encryption == Encryption::Off;
            let how = if off { "encryption is off" } else { "nobody said whether sets are encrypted: they are not" };
            match &facts.production {
                Some(why) => {
                    judged.fail(format!("{how}, and this is a production stack ({why})"), make);
                }
                None => {
                    judged.warn(format!("{how}: whoever reads the folder reads the data"), make);
                }
            }
            judged.see(how);
        }
        Encryption::Recipients(readers) => {
            // An age recipient is the same one in capitals.
            let mut different: Vec<String> = readers.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
            different.sort_unstable();
            different.dedup();
            if different.len() < READERS {
                judged.fail(
                    "sets have one reader: whoever loses that key has lost every backup",
                    "add a second recipient whose identity is kept elsewhere",
                );
            }
            judged.see(format!("encrypted for {} readers", different.len()));
        }
        Encryption::Passphrase(_) => {
            let what = "sets are encrypted with a passphrase that this host knows: whoever takes the host reads them";
            judged.warn(what, "name recipients instead, one of them kept elsewhere");
            judged.see("encrypted with a passphrase");
        }
    }
    if !protection.identities.is_empty() && protection.encryption.is_on() {
        let files: Vec<String> = protection.identities.iter().map(|path| path.display().to_string()).collect();
        let what = format!("{} can open every set, and lies on this host", files.join(", "));
        judged.warn(what, "keep identities where sets are read (backups.identity_files), not where they are made");
    }
    match (&protection.signing_key, protection.trusted.is_empty()) {
        (Some(_), false) => judged.see("signed, and only trusted signatures count"),
        (None, false) => judged.see("only trusted signatures count; none is made here"),
        (Some(_), true) => {
            let what = "sets are signed, but no trusted_signers are named: a set that anybody made would be taken";
            judged.fail(what, "write the public key to backups.trusted_signers");
        }
        (None, true) => {
            let next = "cargo xtask keys signing FILE; then backups.signing_key and backups.trusted_signers";
            let what = "sets are not signed: nobody can know who made them";
            match &facts.production {
                Some(why) => {
                    judged.fail(format!("{what}, and this is a production stack ({why})"), next);
                }
                None => {
                    judged.warn(what, next);
                }
            }
        }
    }
    made(facts, &mut judged);
    for key in &facts.keys {
        let path = key.path.display();
        match (&key.holds, key.named_as) {
            (Fact::Known(holds), named) if *holds == named => {
                if named == KeyUse::Signing && key.trusted == Some(false) {
                    let what =
                        format!("what {path} signs is trusted by nobody: its public key is none of trusted_signers");
                    judged.fail(what, "write its public key to backups.trusted_signers");
                }
            }
            (Fact::Known(KeyUse::Identity), KeyUse::Signing) => {
                let what = format!("{path} is named as the signing key and holds an identity, which opens sets");
                judged.fail(what, "cargo xtask keys signing FILE: a key that signs must open nothing");
            }
            (Fact::Known(_), named) => {
                judged.fail(format!("{path} holds no {}", word(named)), "name the right file in recovery.yaml");
            }
            (Fact::Unknown(why), named) => {
                judged
                    .fail(format!("the {} {path} cannot be used: {why}", word(named)), "mend the file, or its rights");
            }
        }
    }
    judged
}

/// What is configured says nothing of the sets that were made: the newest is looked at.
fn made(facts: &BackupFacts, judged: &mut Judged) {
    let Fact::Known(sets) = &facts.sets else { return };
    let sound = facts.sound(sets);
    let Some(newest) = sound.last() else { return };
    if facts.protection.encryption.is_on() && !newest.encrypted {
        let what = format!("encryption is configured, and the newest set {} is not encrypted", newest.id);
        judged.fail(what, format!("cargo xtask backup {}; sets made before are as readable as they were", facts.stack));
    }
}

fn word(key: KeyUse) -> &'static str {
    match key {
        KeyUse::Identity => "identity",
        KeyUse::Signing => "signing key",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::asked;
    use super::*;
    use crate::domain::fact::KeyFile;
    use crate::domain::secret::Secret;

    fn with(change: impl FnOnce(&mut BackupFacts)) -> (String, String) {
        asked(&CHECK, change)
    }

    #[test]
    fn flaw_20_no_encryption_fails_in_production_and_is_told_elsewhere() {
        for off in [Encryption::Off, Encryption::Undecided] {
            let (word, _) = with(|facts| facts.protection.encryption = off.clone());
            assert_eq!(word, "warning");
            let (word, said) = with(|facts| {
                facts.protection.encryption = off;
                facts.production = Some("its name".into());
            });
            assert!(word == "failed" && said.contains("production stack (its name)"), "{said}");
        }
    }

    #[test]
    fn one_reader_even_named_twice_is_one() {
        let (word, said) = with(|facts| {
            facts.protection.encryption = Encryption::Recipients(vec!["age1ops".into(), "AGE1OPS".into()]);
        });
        assert!(word == "failed" && said.contains("one reader"), "{said}");
    }

    #[test]
    fn a_newest_set_that_is_plain_fails_where_encryption_is_configured() {
        let (word, said) = with(|facts| super::super::tests::sets(facts).last_mut().unwrap().encrypted = false);
        assert!(word == "failed" && said.contains("is not encrypted"), "{said}");
        let older = with(|facts| super::super::tests::sets(facts)[0].encrypted = false).0;
        assert_eq!(older, "passed");
    }

    #[test]
    fn a_signing_key_that_nobody_trusts_fails() {
        let (word, said) = with(|facts| facts.keys[0].trusted = Some(false));
        assert!(word == "failed" && said.contains("none of trusted_signers"), "{said}");
    }

    #[test]
    fn an_identity_or_a_passphrase_on_this_host_is_told() {
        assert_eq!(with(|facts| facts.protection.identities.push("ops.key".into())).0, "warning");
        let secret = Encryption::Passphrase(Secret::new("x"));
        assert_eq!(with(|facts| facts.protection.encryption = secret).0, "warning");
    }

    #[test]
    fn f15_signatures_that_nobody_demands_and_keys_of_the_wrong_kind_fail() {
        assert_eq!(with(|facts| facts.protection.trusted.clear()).0, "failed");
        let unsigned = |facts: &mut BackupFacts| {
            facts.protection.trusted.clear();
            facts.protection.signing_key = None;
        };
        assert_eq!(with(unsigned).0, "warning");
        let key = |holds| {
            with(|facts| {
                facts.keys = vec![KeyFile { path: "sign.key".into(), named_as: KeyUse::Signing, holds, trusted: None }];
            })
        };
        assert!(key(Fact::Known(KeyUse::Identity)).1.contains("holds an identity"));
        assert_eq!(key(Fact::Unknown("is not there".into())).0, "failed");
    }
}
