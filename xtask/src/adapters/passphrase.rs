//! Where a passphrase comes from: a variable by its name, or a file that nobody else can read. Never the command line. It must not know
//! what the passphrase opens.

use super::environment::{Lookup, parse};
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::secret::Secret;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// No passphrase is longer.
const LONGEST: u64 = 64 * 1024;

/// The value of a variable, of the environment or else of the stack's env file; nothing when it is set nowhere.
///
/// # Errors
/// `Configuration`: it is empty, or the env file cannot be read.
pub fn of_variable(name: &str, env_file: Option<&Path>, environment: Lookup<'_>) -> Result<Vec<Secret>, Refusal> {
    let value = match environment(name) {
        Some(value) => value,
        None => {
            let Some(file) = env_file else { return Ok(Vec::new()) };
            let bytes = read(file)?;
            match parse(&bytes, file, environment)?.into_iter().find(|v| v.name == name) {
                Some(variable) => variable.value,
                None => return Ok(Vec::new()),
            }
        }
    };
    if value.is_empty() {
        return Err(wrong(format!("variable `{name}` is empty"), "put the passphrase into it"));
    }
    Ok(vec![Secret::new(value)])
}

/// The first line of a file. With a carriage return at its end it is tried without it and with it: editors of other systems add one, and
/// `openssl -pass file:` takes it for a part of the passphrase.
///
/// # Errors
/// `Preflight`: others can read the file; `Configuration`: it is empty, no text, or cannot be read.
pub fn of_file(path: &Path) -> Result<Vec<Secret>, Refusal> {
    let found = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?;
    // A pipe of a password manager has rights of its own.
    if found.is_file() && found.mode() & 0o077 != 0 {
        let message = format!("{} can be read by others (mode {:04o})", path.display(), found.mode() & 0o7777);
        return Err(Refusal::new(RefusalKind::Preflight, message, format!("chmod 600 {}", path.display())));
    }
    let text = String::from_utf8(read(path)?)
        .map_err(|_| wrong(format!("{} is no text", path.display()), "name the file that holds the passphrase"))?;
    let line = text.split('\n').next().unwrap_or_default();
    let bare = line.strip_suffix('\r').unwrap_or(line);
    if bare.is_empty() {
        return Err(wrong(format!("the first line of {} is empty", path.display()), "put the passphrase into it"));
    }
    Ok(if bare == line { vec![Secret::new(bare)] } else { vec![Secret::new(bare), Secret::new(line)] })
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).and_then(|f| f.take(LONGEST + 1).read_to_end(&mut bytes));
    opened.map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > LONGEST {
        return Err(wrong(format!("{} is longer than {LONGEST} bytes", path.display()), "name the right file"));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Refusal {
    wrong(format!("cannot read {}: {error}", path.display()), "check the path and the rights on it")
}

fn wrong(message: String, hint: &str) -> Refusal {
    Refusal::new(RefusalKind::Configuration, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn exposed(secrets: Vec<Secret>) -> Vec<String> {
        secrets.iter().map(|s| s.expose().to_owned()).collect()
    }

    #[test]
    fn f12_line_ends_of_a_key_file_do_not_count() {
        for (text, wanted) in
            [("key", vec!["key"]), ("key\n", vec!["key"]), ("key\r\n", vec!["key", "key\r"]), (" k \nx", vec![" k "])]
        {
            assert_eq!(exposed(of_file(file(text.as_bytes(), 0o600).path()).unwrap()), wanted, "{text:?}");
        }
        for bad in ["", "\n", "\r\n"] {
            assert_eq!(of_file(file(bad.as_bytes(), 0o600).path()).unwrap_err().kind, RefusalKind::Configuration);
        }
        assert!(of_file(file(b"\xff\xfe", 0o600).path()).is_err());
    }

    #[test]
    fn f12_a_key_file_that_others_can_read_is_refused() {
        let refused = of_file(file(b"key", 0o644).path()).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::Preflight);
        assert!(refused.message.contains("mode 0644") && refused.hint.starts_with("chmod 600"), "{refused:?}");
        assert!(!format!("{refused:?}").contains("key\""));
    }

    #[test]
    fn a_variable_is_looked_up_in_the_environment_and_then_in_the_env_file() {
        let env_file = file(b"BACKUP_ENCRYPTION_KEY='of the file'\n", 0o600);
        let of = |name: &str, outside: &dyn Fn(&str) -> Option<String>| {
            of_variable(name, Some(env_file.path()), outside).map(exposed).map_err(|r| r.kind)
        };
        assert_eq!(of("BACKUP_ENCRYPTION_KEY", &|_| None), Ok(vec!["of the file".to_owned()]));
        assert_eq!(of("BACKUP_ENCRYPTION_KEY", &|_| Some("outside".into())), Ok(vec!["outside".to_owned()]));
        assert_eq!(of("OTHER", &|_| None), Ok(vec![]));
        assert_eq!(of("OTHER", &|_| Some(String::new())), Err(RefusalKind::Configuration));
    }
}
