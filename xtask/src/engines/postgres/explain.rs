//! Known causes behind failed commands, read from their standard error. It must not know what the command was for.

use crate::domain::exec::{Exec, Exit};
use crate::domain::refusal::{Refusal, RefusalKind};

/// What a server or program says (a part of it), what kind of cause that is, and what to do. The first that is found
/// counts, so a narrower cause comes before the wider one that follows from it. `{user}` is the role that asked.
const KNOWN: &[(&str, RefusalKind, &str)] = &[
    (
        "xtask: database",
        RefusalKind::TargetNotEmpty,
        "restore into a fresh place, or drop that database first if nobody needs it",
    ),
    (
        "xtask: sessions",
        RefusalKind::Preflight,
        "stop the services that use the database, or let the restore end their sessions at the exchange: --disconnect",
    ),
    (
        "xtask: foreign key",
        RefusalKind::Preflight,
        "nothing was changed: name the other tables of that key with --table, too, or restore everything",
    ),
    (
        "xtask: trigger",
        RefusalKind::Preflight,
        "nothing was changed: restore the whole database beside it (--to NAME) and copy from there",
    ),
    (
        "xtask: restored tables",
        RefusalKind::Integrity,
        "nothing was changed: restore the whole database beside it (--to NAME) and copy from there",
    ),
    (
        "password authentication failed",
        RefusalKind::AccessDenied,
        "correct the password of role {user} in the stack's env file",
    ),
    ("no password supplied", RefusalKind::AccessDenied, "give the password of role {user} in the stack's env file"),
    (
        "no pg_hba.conf entry",
        RefusalKind::AccessDenied,
        "let role {user} in from 127.0.0.1 in the server's pg_hba.conf",
    ),
    ("row-level security policy", RefusalKind::AccessDenied, "as a superuser: ALTER ROLE {user} BYPASSRLS;"),
    ("permission denied to", RefusalKind::AccessDenied, "name a role that may do this in recovery.yaml"),
    (
        "permission denied for large object",
        RefusalKind::AccessDenied,
        "name a superuser, or the large objects' owner, in recovery.yaml",
    ),
    ("permission denied", RefusalKind::AccessDenied, "as a superuser: GRANT pg_read_all_data TO {user};"),
    ("must be owner of", RefusalKind::AccessDenied, "name a role that owns it in recovery.yaml"),
    ("server version mismatch", RefusalKind::VersionMismatch, "dump with the server's own image, or a newer one"),
    (
        "unsupported version (",
        RefusalKind::VersionMismatch,
        "restore with the image that the backup was made on, or a newer one",
    ),
    ("No space left on device", RefusalKind::Storage, "free space where the server keeps its data: df -h"),
    ("could not extend file", RefusalKind::Storage, "free space where the server keeps its data: df -h"),
    ("Read-only file system", RefusalKind::Storage, "mount the folder for writing"),
    ("Disk quota exceeded", RefusalKind::Storage, "free space, or raise the quota"),
    ("is not available", RefusalKind::MissingCapability, "restore with an image that brings the extension"),
    (
        "could not open extension control file",
        RefusalKind::MissingCapability,
        "restore with an image that brings the extension",
    ),
    (
        "could not access file \"$libdir",
        RefusalKind::MissingCapability,
        "restore with an image that brings the library",
    ),
    (
        "has no installation script nor update path",
        RefusalKind::MissingCapability,
        "restore with an image that brings this version",
    ),
    ("locale name", RefusalKind::MissingCapability, "restore with an image that has this locale"),
    ("does not match locale", RefusalKind::MissingCapability, "restore with an image that has this locale"),
    ("collation", RefusalKind::MissingCapability, "restore with an image that has this collation"),
    (
        "executable file not found",
        RefusalKind::MissingCapability,
        "use an image that brings PostgreSQL's client programs",
    ),
    (
        "invalid page in block",
        RefusalKind::Producer,
        "the source is damaged: find out how much with `cargo xtask test-recovery --live`",
    ),
    ("could not read block", RefusalKind::Producer, "the source is damaged: look at the server's log and its disk"),
    (
        "lock timeout",
        RefusalKind::Producer,
        "find who holds the lock: SELECT * FROM pg_stat_activity WHERE state <> 'idle';",
    ),
    ("canceling statement due to", RefusalKind::Producer, "look at the server's log, then run this again"),
    ("server closed the connection", RefusalKind::Producer, "look at the server's log, then run this again"),
    (
        "could not receive data from server",
        RefusalKind::Producer,
        "look at the network and at the server's log, then run this again",
    ),
    (
        "could not send data to server",
        RefusalKind::Producer,
        "look at the network and at the server's log, then run this again",
    ),
    ("terminating connection", RefusalKind::Producer, "look at the server's log, then run this again"),
    ("the database system is", RefusalKind::Producer, "wait until the server has started, then run this again"),
    ("too many connections", RefusalKind::Producer, "close connections, or raise max_connections"),
    ("connection slots", RefusalKind::Producer, "close connections, or raise max_connections"),
    (
        "timeout expired",
        RefusalKind::Timeout,
        "see whether the server is paused or overloaded: docker compose ps, docker compose logs",
    ),
    ("Connection refused", RefusalKind::MissingStore, "start the server, or correct its port in recovery.yaml"),
    (
        "could not translate host name",
        RefusalKind::MissingStore,
        "start the server, or correct its service in recovery.yaml",
    ),
    ("No route to host", RefusalKind::MissingStore, "start the server, or join it to the network again"),
    ("Network is unreachable", RefusalKind::MissingStore, "start the server, or join it to the network again"),
    ("Is the server running", RefusalKind::MissingStore, "start the server, or correct its port in recovery.yaml"),
    ("does not appear to be a valid archive", RefusalKind::BadArtifact, "verify the backup set, or choose another"),
    ("input file is too short", RefusalKind::BadArtifact, "verify the backup set, or choose another"),
    ("could not read from input file", RefusalKind::BadArtifact, "verify the backup set, or choose another"),
    ("already exists", RefusalKind::TargetNotEmpty, "restore into a fresh place"),
    ("xtask: tables", RefusalKind::Producer, "run this again when no migration runs"),
];

/// The known cause behind a failed command, if it is one.
pub fn explain(exec: &Exec, exit: &Exit) -> Option<Refusal> {
    if exit.ok() {
        return None;
    }
    let user = exec.args.iter().find_map(|arg| arg.strip_prefix("--username=")).unwrap_or("postgres");
    let refusal = |kind, line: &str, hint: &str| {
        Refusal::new(
            kind,
            format!("{}: {}", exec.program_name(), said(line)),
            hint.replace("{user}", &super::client::ident(user)),
        )
    };
    let errors = errors(exec.program_name(), &exit.stderr);
    let line_with = |part: &str| errors.iter().copied().find(|line| line.contains(part));
    if let Some(line) = line_with("does not exist") {
        let fatal = line.contains("FATAL:");
        if fatal && line.contains("database \"") {
            return Some(refusal(RefusalKind::MissingStore, line, "correct the store's database in recovery.yaml"));
        }
        if fatal && line.contains("role \"") {
            return Some(refusal(RefusalKind::AccessDenied, line, "correct the store's user in recovery.yaml"));
        }
        if line.contains("role \"") {
            let hint = "restore a set that holds the roles too, or create the role first";
            return Some(refusal(RefusalKind::MissingCapability, line, hint));
        }
    }
    if let Some(mismatch) = line_with("server version:") {
        // pg_dump says which versions on the line after its refusal.
        let hint = "dump with the server's own image, or a newer one";
        return Some(refusal(
            RefusalKind::VersionMismatch,
            &format!("server version mismatch: {}", said(mismatch)),
            hint,
        ));
    }
    let known = KNOWN.iter().find_map(|(part, kind, hint)| Some((line_with(part)?, *kind, *hint)));
    if let Some((line, kind, hint)) = known {
        return Some(refusal(kind, line, hint));
    }
    match exit.code {
        137 => Some(refusal(RefusalKind::Producer, "was killed", "look for a lack of memory: docker inspect, dmesg")),
        126 | 127 => Some(refusal(
            RefusalKind::MissingCapability,
            "is not at this site",
            "use an image that brings PostgreSQL's client programs",
        )),
        _ => None,
    }
}

/// The lines that say what went wrong. Servers and programs say more than that: a warning, or the statement in which an error
/// came up, may speak of collations or permissions that are nobody's cause. A line that names no kind goes with the one
/// before it, unless a program begins anew.
fn errors<'a>(program: &str, stderr: &'a str) -> Vec<&'a str> {
    let mut wrong = true;
    let mut said = Vec::new();
    for line in stderr.lines() {
        let first = |kinds: &[&str]| kinds.iter().filter_map(|kind| line.find(kind)).min();
        let quoted = line.starts_with("LINE ").then_some(0);
        wrong = match (first(WRONG), first(MERELY_SAID).into_iter().chain(quoted).min()) {
            (Some(at), merely) => merely.is_none_or(|merely| at < merely),
            (None, Some(_)) => false,
            (None, None) => {
                wrong
                    || line.strip_prefix(program).is_some_and(|rest| rest.starts_with(':'))
                        && !line.contains(": detail:")
            }
        };
        if wrong {
            said.push(line);
        }
    }
    said
}

/// How a line begins, behind the program's name, that says what went wrong.
const WRONG: &[&str] = &["ERROR:", "FATAL:", "PANIC:", "error:"];
/// How a line begins that says something else.
const MERELY_SAID: &[&str] = &[
    "WARNING:",
    "NOTICE:",
    "INFO:",
    "LOG:",
    "HINT:",
    "DETAIL:",
    "CONTEXT:",
    "QUERY:",
    "STATEMENT:",
    "LOCATION:",
    "warning:",
    "hint:",
    "info:",
    "Command was:",
    "Query was:",
    ": from TOC entry ",
    ": while ",
];

/// A line without what programs and servers put before it: `pg_restore: error: …: ERROR:  relation …` is about the relation.
fn said(line: &str) -> &str {
    let starts = ["ERROR:", "FATAL:", "PANIC:", "error:", "detail:"];
    let begin = starts.iter().filter_map(|start| line.rfind(start).map(|at| at + start.len())).max().unwrap_or(0);
    line[begin..].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stderr: &str) -> Option<Refusal> {
        let exec = Exec::site("pg_dump").arg("--username=app");
        explain(&exec, &Exit { code: 1, stderr: stderr.into(), declared_bytes: None })
    }

    #[test]
    fn each_known_cause_has_its_kind() {
        use RefusalKind::*;
        let cases = [
            (
                "psql: error: connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  password authentication failed for user \"app\"",
                AccessDenied,
            ),
            ("psql: error: connection to server failed: FATAL:  database \"shpo\" does not exist", MissingStore),
            ("psql: error: connection to server failed: FATAL:  role \"nobody\" does not exist", AccessDenied),
            (
                "pg_restore: error: could not execute query: ERROR:  role \"shop_owner\" does not exist",
                MissingCapability,
            ),
            ("pg_dump: error: query failed: ERROR:  permission denied for table orders", AccessDenied),
            (
                "pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table \"r\"",
                AccessDenied,
            ),
            (
                "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 17.2; pg_dump version: 15.20",
                VersionMismatch,
            ),
            ("pg_restore: error: unsupported version (1.16) in file header", VersionMismatch),
            ("dd: error writing '/xtask/data.dump': No space left on device", Storage),
            (
                "pg_restore: error: could not execute query: ERROR:  could not extend file \"base/1/2\": wrote only 4096 of 8192 bytes",
                Storage,
            ),
            (
                "pg_restore: error: could not execute query: ERROR:  extension \"postgis\" is not available",
                MissingCapability,
            ),
            ("psql:<stdin>:1: ERROR:  invalid LC_COLLATE locale name: \"tlh_QO\"", MissingCapability),
            ("pg_dump: error: server closed the connection unexpectedly", Producer),
            (
                "pg_dump: detail: Error message from server: could not receive data from server: Connection timed out",
                Producer,
            ),
            ("psql: error: connection to server at \"db\" (10.0.0.2), port 5432 failed: timeout expired", Timeout),
            ("psql: error: connection to server at \"127.0.0.1\", port 5432 failed: Connection refused", MissingStore),
            (
                "psql: error: could not translate host name \"db\" to address: Temporary failure in name resolution",
                MissingStore,
            ),
            ("pg_dump: error: query failed: FATAL:  terminating connection due to administrator command", Producer),
            (
                "pg_dump: error: Dumping the contents failed: ERROR:  invalid page in block 3 of relation base/1/2",
                Producer,
            ),
            ("psql:<stdin>:9: ERROR:  xtask: database shop holds 32 tables", TargetNotEmpty),
            ("pg_restore: error: could not execute query: ERROR:  relation \"orders\" already exists", TargetNotEmpty),
            ("pg_restore: error: input file does not appear to be a valid archive", BadArtifact),
        ];
        for (stderr, kind) in cases {
            assert_eq!(of(stderr).map(|r| r.kind), Some(kind), "{stderr}");
        }
        assert_eq!(of("something nobody has seen"), None);
    }

    #[test]
    fn a_cause_is_said_in_the_servers_words_with_what_to_type() {
        let refusal = of("pg_dump: error: query failed: ERROR:  permission denied for table orders").unwrap();
        assert_eq!(refusal.message, "pg_dump: permission denied for table orders");
        assert_eq!(refusal.hint, "as a superuser: GRANT pg_read_all_data TO \"app\";");
        let refusal = of(
            "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 17.2; pg_dump version: 15.20",
        );
        assert_eq!(
            refusal.unwrap().message,
            "pg_dump: server version mismatch: server version: 17.2; pg_dump version: 15.20"
        );
    }

    #[test]
    fn what_is_merely_said_is_no_cause() {
        let warned = "WARNING:  database \"shop\" has a collation version mismatch\n\
                      DETAIL:  The database was created using collation version 2.31, but the operating system provides version 2.36.\n\
                      HINT:  Rebuild all objects in this database that use the default collation.\n";
        assert_eq!(of(warned), None);
        let kind = |said: &str| of(&format!("{warned}{said}")).map(|r| r.kind);
        assert_eq!(kind("pg_dump: error: query failed: ERROR:  something nobody has seen"), None);
        assert_eq!(kind("pg_dump: error: query failed: ERROR:  could not extend file"), Some(RefusalKind::Storage));
        assert_eq!(
            kind("psql: error: connection failed\n\tIs the server running locally?"),
            Some(RefusalKind::MissingStore)
        );
        assert_eq!(kind("pg_dump: server closed the connection unexpectedly"), Some(RefusalKind::Producer));
        let failed = "pg_dump: from TOC entry 7; 0 0 COLLATION public collation\npg_dump: error: could not execute query: ERROR:  new to everybody\n";
        assert_eq!(
            of(&format!(
                "{failed}LINE 1: SELECT permission denied\nCommand was: COMMENT ON x IS 'permission denied\nalready exists';\n"
            )),
            None
        );
        assert_eq!(
            of(
                "pg_dump: warning: circular constraints:\npg_dump: detail: collation\npg_dump: error: ERROR:  new to everybody"
            ),
            None
        );
    }

    #[test]
    fn success_needs_no_explanation() {
        let exit = Exit { code: 0, stderr: "already exists".into(), declared_bytes: None };
        assert_eq!(explain(&Exec::site("psql"), &exit), None);
    }
}
