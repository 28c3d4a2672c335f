//! How PostgreSQL's own programs are called: which arguments, which environment, where the password goes.
//! It must not know what is asked of them.

use crate::domain::engine::Target;
use crate::domain::exec::{Exec, TRANSFER_TIMEOUT};

/// The first lines of every script: settings under which two servers print the same text.
pub const SESSION: &str = include_str!("sql/session.sql");

/// `psql` on the store's database, reading its script from standard input. The first error ends it.
pub fn psql(at: &Target, purpose: &str) -> Exec {
    psql_on(at, &at.name, purpose)
}

/// `psql` on another database of the same server.
pub fn psql_on(at: &Target, database: &str, purpose: &str) -> Exec {
    bare_psql(at, database, purpose).arg("--file=-").reads_stdin()
}

/// `psql` that runs these commands in one session; standard input is free for `\copy … from pstdin`.
pub fn psql_commands(at: &Target, database: &str, purpose: &str, commands: &[&str]) -> Exec {
    bare_psql(at, database, purpose).args(commands.iter().map(|c| format!("--command={c}")))
}

fn bare_psql(at: &Target, database: &str, purpose: &str) -> Exec {
    let exec = Exec::site("psql").args(["-X", "-q", "-A", "-t"]).args(["-v", "ON_ERROR_STOP=1"]);
    connected(exec, at, database, purpose).timeout(TRANSFER_TIMEOUT)
}

/// Another of PostgreSQL's programs, told where to connect.
pub fn program(name: &str, at: &Target, database: &str, purpose: &str) -> Exec {
    connected(Exec::site(name), at, database, purpose).timeout(TRANSFER_TIMEOUT)
}

fn connected(exec: Exec, at: &Target, database: &str, purpose: &str) -> Exec {
    let name = exec.program_name().to_owned();
    let exec = exec
        .arg(format!("--host={}", at.host))
        .arg(format!("--port={}", at.port))
        .arg(format!("--username={}", at.user))
        .arg("--no-password")
        .arg(match name.as_str() {
            // Its --dbname takes a connection string only, and no name.
            "pg_dumpall" => format!("--database={}", connection_word(at, database)),
            _ => format!("--dbname={}", connection_word(at, database)),
        })
        .env("PGAPPNAME", format!("xtask-{purpose}"))
        .env("PGCLIENTENCODING", "UTF8")
        .env("PGCONNECT_TIMEOUT", "10")
        .env("LC_ALL", "C");
    match &at.password {
        Some(password) => exec.secret_env("PGPASSWORD", password.clone()),
        None => exec,
    }
}

/// Over a network, a server that vanished without a word is noticed within a minute, not after hours.
const NOTICE: &str = "keepalives_idle=30 keepalives_interval=10 keepalives_count=3";

/// A database's name where a connection string would be understood too: one that looks like such a string is wrapped.
fn connection_word(at: &Target, database: &str) -> String {
    let looks_like_a_string = database.contains('=') || database.contains("://") || database.is_empty();
    match (at.host.starts_with('/'), looks_like_a_string) {
        (true, false) => database.to_owned(),
        (true, true) => connection_string(database),
        (false, _) => format!("{} {NOTICE}", connection_string(database)),
    }
}

/// A connection string that says this database's name and nothing else.
pub fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

/// The same server by TCP, the way an application comes; a first boot's temporary server has no TCP port.
pub fn by_tcp(at: &Target) -> Target {
    Target { host: "127.0.0.1".into(), ..at.clone() }
}

/// A database to stand in while the store's own is made, renamed or dropped.
pub fn maintenance(name: &str) -> &'static str {
    if name == "postgres" { "template1" } else { "postgres" }
}

/// A companion database's name (`<name>_xtask_new`), within the server's 63 bytes and different for different names.
pub fn companion(name: &str, suffix: &str) -> String {
    companion_within(name, suffix, 63)
}

/// As [`companion`], within so many bytes.
pub fn companion_within(name: &str, suffix: &str, most: usize) -> String {
    let room = most - suffix.len();
    if name.len() <= room {
        return format!("{name}{suffix}");
    }
    let sum = name.bytes().fold(0x811c_9dc5_u32, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut kept = room - 9;
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!("{}_{sum:08x}{suffix}", &name[..kept])
}

/// An SQL identifier, always quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An SQL text literal.
pub fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::engine::Engine;

    #[test]
    fn a_database_named_like_a_connection_string_is_still_a_name() {
        let socket =
            crate::engines::postgres::ENGINE.owned_target(&crate::engines::postgres::ENGINE.rehearsal_store(None));
        assert_eq!(connection_word(&socket, "shop"), "shop");
        assert_eq!(connection_word(&socket, "host=evil dbname='x'"), r"dbname='host=evil dbname=\'x\''");
        assert_eq!(connection_word(&socket, "postgres://evil/x"), "dbname='postgres://evil/x'");
        let far = by_tcp(&socket);
        assert_eq!(connection_word(&far, "a'b"), format!(r"dbname='a\'b' {NOTICE}"));
    }

    #[test]
    fn companions_fit_the_server_and_never_collide_with_the_real_name() {
        assert_eq!(companion("shop", "_xtask_new"), "shop_xtask_new");
        let (a, b) = (format!("{}a", "é".repeat(31)), format!("{}b", "é".repeat(31)));
        assert!(companion(&a, "_xtask_new").len() <= 63);
        assert_ne!(companion(&a, "_xtask_new"), companion(&b, "_xtask_new"));
    }

    #[test]
    fn identifiers_and_literals_cannot_be_left() {
        assert_eq!(ident(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'; --"), r"E'\\''; --'");
    }
}
