//! Passphrases: the right one is found among several, a wrong one never succeeds and is never called damage.

use super::rig::{PASSPHRASE, Rig, bytes, derived, is_wrong_key, keys, refusal, sqlite};
use xtask::archive::foreign::Keys;
use xtask::domain::foreign::Derivation;
use xtask::domain::refusal::RefusalKind;
use xtask::domain::secret::Secret;

#[test]
fn f12_flaw_18_a_thousand_wrong_keys_never_succeed_and_never_say_damage() {
    let Some(rig) = Rig::new("a thousand wrong keys", &["openssl", "gzip", "sqlite3"]) else { return };
    let plains =
        [bytes("shop-15.dump"), rig.pipe("gzip", &["-c"], &bytes("shop-15.sql")), sqlite(&rig), bytes("shop-15.sql")];
    let mut padded = 0;
    for (number, plain) in plains.iter().enumerate() {
        let few = Derivation::Pbkdf2 { iterations: 3 };
        let ways = [("-md", "md5", Derivation::Md5), ("-md", "sha256", Derivation::Sha256), ("-iter", "3", few)];
        let (option, value, derivation) = ways[number % 3];
        let path = rig.file("a.enc", &rig.openssl(&[option, value], plain));
        rig.examine_with(&path, &derived(PASSPHRASE, derivation)).expect("the right one succeeds");
        for n in 0..250 {
            let mut wrong = derived(&format!("wrong {n}"), derivation);
            wrong.derivations = vec![Derivation::Md5, Derivation::Sha256, few];
            is_wrong_key(&refusal(rig.examine_with(&path, &wrong).map(|_| ())));
        }
        // The trap itself: some of the wrong ones end with a padding that openssl takes for right.
        let small = rig.file("small.enc", &rig.openssl(&["-md", "md5"], b"sixteen and more bytes"));
        let openssl = |n: u32| {
            let shell = xshell::Shell::new().unwrap();
            shell.change_dir(rig.folder.path());
            let words = ["enc", "-d", "-aes-256-cbc", "-md", "md5", "-in", "small.enc", "-out", "noise", "-pass"];
            let pass = format!("pass:wrong {n}");
            xshell::cmd!(shell, "openssl {words...} {pass}").quiet().ignore_stderr().run().is_ok()
        };
        if number == 0 {
            padded = (0..400).filter(|n| openssl(*n)).count();
        }
        is_wrong_key(&refusal(rig.examine_with(&small, &keys(&["wrong"])).map(|_| ())));
    }
    println!("openssl itself accepted {padded} of 400 wrong keys");
}

#[test]
fn the_way_of_deriving_is_found_or_obeyed() {
    let Some(rig) = Rig::new("the way of deriving", &["openssl"]) else { return };
    let path = rig.file("a.enc", &rig.openssl(&["-pbkdf2", "-iter", "12345"], &bytes("shop-15.dump")));
    let unknown = refusal(rig.examine_with(&path, &keys(&[PASSPHRASE])).map(|_| ()));
    is_wrong_key(&unknown);
    assert!(unknown.hint.contains("pbkdf2:ITERATIONS"), "{unknown:?}");
    let found = rig.examine_with(&path, &derived(PASSPHRASE, Derivation::Pbkdf2 { iterations: 12_345 })).unwrap();
    assert_eq!(found.findings().layers_text(), "openssl aes-256-cbc (pbkdf2:12345)");
    is_wrong_key(&refusal(rig.examine_with(&path, &derived(PASSPHRASE, Derivation::Md5)).map(|_| ())));
}

#[test]
fn the_right_passphrase_is_found_among_several_and_is_never_shown() {
    let Some(rig) = Rig::new("the right passphrase", &["openssl"]) else { return };
    let path = rig.file("a.enc", &rig.openssl(&[], &bytes("shop-17.dump")));
    let several = Keys { passphrases: ["no", "", PASSPHRASE].map(Secret::new).to_vec(), derivations: Vec::new() };
    rig.examine_with(&path, &several).unwrap();
    let shown = format!("{several:?} {:?}", refusal(rig.examine_with(&path, &keys(&["canary-77"])).map(|_| ())));
    assert!(!shown.contains(PASSPHRASE) && !shown.contains("canary-77"), "{shown}");
}

#[test]
fn f11_an_encrypted_file_cut_at_any_length_is_refused() {
    let Some(rig) = Rig::new("an encrypted file cut", &["openssl", "gzip"]) else { return };
    let zipped = rig.pipe("gzip", &["-c"], &bytes("shop-15.sql"));
    let sealed = rig.openssl(&["-md", "sha256"], &zipped);
    let lengths = (0..80).chain((80..sealed.len()).step_by(7)).chain(sealed.len() - 40..sealed.len());
    for length in lengths {
        let path = rig.file("cut.enc", &sealed[..length]);
        let refused = refusal(rig.examine_with(&path, &derived(PASSPHRASE, Derivation::Sha256)).map(|_| ()));
        // Whole blocks of too little to recognise anything may be a wrong key too.
        let few = length < 32 + 16;
        assert!(
            refused.kind == RefusalKind::BadArtifact || (few && refused.kind == RefusalKind::WrongKey),
            "{length}: {refused:?}"
        );
    }
    for more in [1, 15, 16, 17] {
        let path = rig.file("grown.enc", &[sealed.clone(), vec![0; more]].concat());
        assert!(rig.examine_with(&path, &derived(PASSPHRASE, Derivation::Sha256)).is_err(), "{more} bytes more");
    }
}

#[test]
fn f09_flaw_18_changed_bytes_are_noticed_where_something_covers_them_and_told_where_nothing_does() {
    let Some(rig) = Rig::new("changed bytes", &["openssl", "gzip"]) else { return };
    let plain = bytes("shop-15.dump");
    let read = |sealed: &[u8], at: usize| {
        let mut changed = sealed.to_vec();
        changed[at] ^= 1 << (at % 8);
        rig.examine_with(&rig.file("flip.enc", &changed), &derived(PASSPHRASE, Derivation::Md5))
    };
    let covered = rig.openssl(&["-md", "md5"], &rig.pipe("gzip", &["-c", "-n"], &plain));
    let mut refused = 0;
    for at in (0..covered.len()).step_by(5) {
        match read(&covered, at) {
            Err(_) => refused += 1,
            Ok(found) => assert_eq!(found.findings().plain, super::contents::fingerprint(&plain), "byte {at}"),
        }
    }
    assert!(refused > covered.len() / 6, "only {refused} flips were refused");
    // Without gzip inside nobody can notice all of them, and that is said.
    let bare = rig.openssl(&["-md", "md5"], &bytes("shop-15.sql"));
    let unnoticed = (2000..3000).step_by(9).filter_map(|at| read(&bare, at).ok()).collect::<Vec<_>>();
    assert!(!unnoticed.is_empty(), "every flip was noticed: the warning would be too modest");
    assert!(unnoticed.iter().all(|found| found.findings().unknown.contains(&xtask::domain::foreign::Unknown::Bytes)));
}
