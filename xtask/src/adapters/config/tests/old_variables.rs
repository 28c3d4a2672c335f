//! The variables of the old scripts: followed where the file is silent, refused where it says something else, never half.

use super::*;
use crate::domain::protection::Encryption;
use crate::domain::secret::Secret;
use crate::domain::stack::Compression;

/// The stack with this below `backups:` and this env file, in a project folder below the configuration's.
fn stack(written: &str, env_file: &str) -> Result<(tempfile::TempDir, Stack)> {
    let recovery = format!("stacks: {{a: {{compose: app/compose.yaml, backups: {{{written}}}}}}}");
    let files =
        [("app/compose.yaml", "services: {app: {image: i}}"), ("recovery.yaml", &recovery), ("app/.env", env_file)];
    let dir = folder(&files);
    let options = LoadOptions { config: None, folder: dir.path().to_owned(), environment: &|_| None };
    let stack = load(&options)?.stacks.remove(0);
    Ok((dir, stack))
}

fn refusal(written: &str, env_file: &str) -> Refusal {
    let error = stack(written, env_file).map(|(_, stack)| stack).expect_err("it must be refused");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let refusal = Refusal::within(&error).unwrap().clone();
    assert_eq!(refusal.kind, RefusalKind::Configuration);
    refusal
}

#[track_caller]
fn contradicts(written: &str, env_file: &str, key: &str, variable: &str) {
    let why = refusal(written, env_file);
    let both = why.message.contains(&format!("`{key}`")) && why.message.contains(&format!("`{variable}`"));
    assert!(both && why.message.contains("recovery.yaml:1:") && why.hint.contains(variable), "{why:?}");
}

#[test]
fn the_vault_is_the_stacks_own_folder_in_backup_dir() {
    let vault = |written: &str, env_file: &str| {
        let (dir, stack) = stack(written, env_file).unwrap();
        stack.backups.vault.strip_prefix(dir.path()).unwrap().display().to_string()
    };
    assert_eq!(vault("", ""), "backups/a");
    assert_eq!(vault("", "BACKUP_DIR=  \n"), "backups/a");
    assert_eq!(
        vault("", "BACKUP_DIR=./dumps\n"),
        "app/dumps/a",
        "from the Compose project's folder, as the scripts ran"
    );
    assert_eq!(vault("vault: app/dumps", "BACKUP_DIR=./dumps\n"), "app/dumps");
    assert_eq!(vault("vault: app/dumps/a", "BACKUP_DIR=dumps\n"), "app/dumps/a");
    contradicts("vault: elsewhere", "BACKUP_DIR=dumps\n", "vault", "BACKUP_DIR");
}

#[test]
fn an_empty_word_in_the_environment_does_not_silently_switch_off_what_the_env_file_switches_on() {
    let recovery = "stacks: {a: {compose: compose.yaml}}";
    let env = "BACKUP_ENCRYPTION=true\nBACKUP_ENCRYPTION_KEY=hunter2\n";
    let dir = folder(&[("compose.yaml", "services: {app: {image: i}}"), ("recovery.yaml", recovery), (".env", env)]);
    for (blank, refused) in [("BACKUP_ENCRYPTION", true), ("BACKUP_ENCRYPTION_KEY", true), ("BACKUP_OTHER", false)] {
        let environment = |name: &str| (name == blank).then(|| " ".to_owned());
        let loaded =
            load(&LoadOptions { config: None, folder: dir.path().to_owned(), environment: &environment }).map(drop);
        let said = loaded.err().map(|e| format!("{e:#}"));
        assert_eq!(said.is_some(), refused, "{blank}: {said:?}");
        assert!(said.is_none_or(|said| said.contains(blank) && !said.contains("hunter2")), "{blank}");
    }
}

#[test]
fn compression_is_on_or_off_or_named() {
    let kind = |written: &str, env_file: &str| stack(written, env_file).unwrap().1.backups.compression;
    for (written, env_file, wanted) in [
        ("", "", Compression::Zstd),
        ("", "BACKUP_COMPRESSION=true", Compression::Zstd),
        ("", "BACKUP_COMPRESSION=False", Compression::None),
        ("", "BACKUP_COMPRESSION=gzip", Compression::Gzip),
        ("compression: gzip", "BACKUP_COMPRESSION=true", Compression::Gzip),
        ("compression: none", "BACKUP_COMPRESSION=0", Compression::None),
    ] {
        assert_eq!(kind(written, env_file), wanted, "{written} {env_file}");
    }
    for (written, env_file) in [
        ("compression: none", "BACKUP_COMPRESSION=true"),
        ("compression: zstd", "BACKUP_COMPRESSION=false"),
        ("compression: zstd", "BACKUP_COMPRESSION=gzip"),
    ] {
        contradicts(written, env_file, "compression", "BACKUP_COMPRESSION");
    }
    assert!(refusal("", "BACKUP_COMPRESSION=hunter2").message.contains("`BACKUP_COMPRESSION` is none of"));
}

#[test]
fn encryption_is_never_silently_left_out() {
    let on = "BACKUP_ENCRYPTION=true\nBACKUP_ENCRYPTION_KEY=' hunter2 '\n";
    let encryption = |written: &str, env_file: &str| stack(written, env_file).unwrap().1.backups.protection.encryption;
    assert_eq!(encryption("", ""), Encryption::Undecided);
    assert_eq!(encryption("", on), Encryption::Passphrase(Secret::new(" hunter2 ")), "every byte belongs to it");
    assert_eq!(encryption("", "BACKUP_ENCRYPTION=no\nBACKUP_ENCRYPTION_KEY=hunter2\n"), Encryption::Off);
    let recipients = "encryption: { recipients: [age1x] }";
    assert!(matches!(encryption(recipients, "BACKUP_ENCRYPTION=true"), Encryption::Recipients(_)));
    assert!(matches!(encryption(recipients, on), Encryption::Recipients(_)), "the file says how, the variable that");
    assert!(refusal("", "BACKUP_ENCRYPTION=true").message.contains("`BACKUP_ENCRYPTION_KEY` is not set"));
    assert!(refusal("", "BACKUP_ENCRYPTION=hunter2").message.contains("none of true or false"));
    contradicts("encryption: 'off'", on, "encryption", "BACKUP_ENCRYPTION");
    contradicts(recipients, "BACKUP_ENCRYPTION=false", "encryption", "BACKUP_ENCRYPTION");
    let (_, stack) = stack("", "BACKUP_ENCRYPTION_KEY=hunter2\n").unwrap();
    assert!(stack.notes.iter().any(|note| note.contains("encrypts nothing")), "{:?}", stack.notes);
    assert_eq!(stack.backups.protection.encryption, Encryption::Undecided);
}

#[test]
fn the_database_of_old_variables_is_the_one_that_is_backed_up() {
    let compose = "services:\n  db:\n    image: postgres:17\n    environment:\n      POSTGRES_DB: ${POSTGRES_DB}\n      \
                   POSTGRES_USER: ${POSTGRES_USER}\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n    \
                   volumes: ['db:/var/lib/postgresql/data']\nvolumes: { db: {} }\n";
    let env_file = "POSTGRES_DB=recyclic\nPOSTGRES_USER=owner\nPOSTGRES_PASSWORD=hunter2\nPOSTGRES_HOST=postgres\nPOSTGRES_PORT=5432\n";
    let (_dir, project) = loaded(&[("compose.yaml", compose), (".env", env_file)]);
    let Location::Database { database, user, password, port } = &project.stacks[0].stores[0].location else { panic!() };
    assert_eq!((database.as_str(), user.as_str(), *port), ("recyclic", "owner", 5432));
    assert_eq!(password.as_ref().unwrap().expose(), "hunter2");
}
