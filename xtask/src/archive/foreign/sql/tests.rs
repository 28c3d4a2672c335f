//! Scripts whole, cut at every length, and hostile.

use super::*;
use crate::domain::refusal::Refusal;

const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict aZ09\n\n-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)\n\
-- Dumped by pg_dump version 15.20\n\nSET standard_conforming_strings = on;\n\n\
CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public;\n\n\
CREATE TABLE public.\"or\"\"ders\" (\n    id integer DEFAULT 1 NOT NULL, -- ; a comment\n    note text DEFAULT 'it''s; \\'\n);\n\n\
ALTER TABLE public.\"or\"\"ders\" OWNER TO \"Ann \"\"A\";\n\n\
CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $_$SELECT $$;$$ || $1 \\! $_$;\n\n\
COPY public.\"or\"\"ders\" (id, note) FROM stdin;\n1\t\\\\! no command\n2\t-- PostgreSQL database dump complete\n\\.\n\n\n\
SELECT E'\\'; \\\\! no command', U&'x', $1, 5 - 3, 4 / 2 /* ; /* \\! */ */;\n\n\
GRANT SELECT(id),INSERT ON TABLE public.\"or\"\"ders\" TO reader,\"Writer\" WITH GRANT OPTION;\n\
REVOKE ALL ON SCHEMA public FROM PUBLIC, old_one;\n\
ALTER DEFAULT PRIVILEGES FOR ROLE boss IN SCHEMA public GRANT SELECT ON TABLES TO reader;\n\
CREATE POLICY p ON public.\"or\"\"ders\" FOR SELECT TO auditor USING ((1 = 1));\n\n\
--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict aZ09\n\n";

fn scan(text: &[u8]) -> Result<Said> {
    examine(&mut &text[..], &mut Vec::new())
}

fn refusal(text: &str) -> String {
    let error = scan(text.as_bytes()).unwrap_err();
    Refusal::within(&error).unwrap_or_else(|| panic!("{error:?}")).message.clone()
}

/// A small whole dump around this statement.
fn around(statement: &str) -> String {
    format!("--\n-- PostgreSQL database dump\n--\n\n{statement}\n--\n-- PostgreSQL database dump complete\n--\n\n")
}

#[test]
fn a_whole_script_says_what_it_needs() {
    let said = scan(DUMP.as_bytes()).unwrap();
    assert_eq!(said.server_version.as_deref(), Some("15.20 (Debian 15.20-0+deb12u1)"));
    assert_eq!(said.dump_version.as_deref(), Some("15.20"));
    let roles: Vec<&str> = said.roles.iter().map(String::as_str).collect();
    assert_eq!(roles, ["Ann \"A", "Writer", "auditor", "boss", "old_one", "reader"]);
    assert_eq!(said.extensions.get("uuid-ossp"), Some(&Some("public".to_owned())));
    let guards: Vec<&str> = said.guards.iter().map(|r| &DUMP[r.start as usize..r.end as usize]).collect();
    assert_eq!(guards, ["\\restrict aZ09\n", "\\unrestrict aZ09\n"]);
}

#[test]
fn the_same_is_found_however_the_bytes_arrive() {
    let wanted = scan(DUMP.as_bytes()).unwrap();
    for size in [1, 2, 3, 7, 64] {
        let mut scan = Scan::default();
        DUMP.as_bytes().chunks(size).for_each(|part| scan.see(part).unwrap());
        assert_eq!(scan.whole().unwrap(), wanted, "{size}");
    }
}

#[test]
fn flaw_26_a_script_cut_at_any_length_is_refused_by_name() {
    // What is missing in the last of these is an empty line: nothing.
    let last = DUMP.len() - 1;
    assert!(scan(&DUMP.as_bytes()[..last]).is_ok());
    for length in 0..last {
        let error = scan(&DUMP.as_bytes()[..length]).unwrap_err();
        let refusal = Refusal::within(&error).unwrap();
        assert!(refusal.hint.contains("cut short"), "{length}: {}", refusal.message);
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    for more in ["\0", "SELECT 1;\n", "--\n-- PostgreSQL database dump\n--\n", "\\! true\n", "x"] {
        assert!(scan(format!("{DUMP}{more}").as_bytes()).is_err(), "{more:?}");
    }
    assert!(scan(format!("{DUMP}\n \r\n").as_bytes()).is_ok(), "empty lines are nothing");
}

#[test]
fn a_line_that_psql_would_act_on_is_refused_wherever_it_hides() {
    for hidden in [
        "\\! touch pwned",
        "SELECT 1; \\! touch pwned",
        "SELECT 1 \\g |touch pwned",
        "SELECT 'a' \\; SELECT 2;",
        "\\o |touch pwned",
        "COPY t FROM stdin; \\! touch pwned\n1\n\\.\n",
        "SELECT 1 -\\! touch",
        "SELECT $tag\\! touch",
        "\\restrict two words",
        "SET standard_conforming_strings = off;\nSELECT 'a\\'b';\n\\! touch pwned\n--';",
        "SELECT (1 FROM stdin);\nCOPY (SELECT 1 FROM stdin) TO stdout;\n\\! touch pwned\n",
    ] {
        let message = refusal(&around(hidden));
        assert!(message.contains("psql") || message.contains("behind `COPY"), "{hidden:?}: {message}");
    }
    let message = refusal(&around("\\connect shop\n"));
    assert!(message.contains("--create"), "{message}");
}

#[test]
fn a_copy_that_runs_a_program_is_refused() {
    for copy in [
        "COPY t TO PROGRAM 'touch pwned';",
        "copy (select 1) to /* x */ program $$touch pwned$$;",
        "COPY t FROM PROGRAM 'id';",
    ] {
        assert!(refusal(&around(copy)).contains("runs a program"), "{copy}");
    }
    scan(around("COPY public.program (\"to\") FROM stdin;\nto program 'x'\n\\.\n").as_bytes()).unwrap();
}

#[test]
fn what_only_looks_like_a_command_is_not_refused() {
    for fine in [
        "SELECT 'C:\\dir\\';",
        "SET standard_conforming_strings = off;\nSELECT 'a\\'; \\! no command';",
        "SELECT E'\\\\', 'x';",
        "-- \\! no command",
        "SELECT \"a\\!\";",
        "COPY t FROM stdin;\n\\N\t\\\\.\n\\.x\nx\\.\n\\.\n",
        "SELECT x'ab', b'01', n'\\', e'\\'';",
    ] {
        scan(around(fine).as_bytes()).unwrap_or_else(|e| panic!("{fine}: {e:#}"));
    }
}

#[test]
fn line_ends_of_another_system_are_told() {
    let mut told = Vec::new();
    examine(&mut DUMP.replace('\n', "\r\n").as_bytes(), &mut told).unwrap();
    assert!(told[0].contains("CR LF"), "{told:?}");
}

#[test]
fn a_line_of_megabytes_needs_no_memory_of_its_own() {
    let mut scan = Scan::default();
    scan.see(b"COPY t FROM stdin;\n").unwrap();
    (0..100).for_each(|_| scan.see(&[b'x'; 100_000]).unwrap());
    assert!(scan.kept.len() <= KEPT && scan.kept.capacity() <= 4 * KEPT);
    scan.see(b"\n\\.\n").unwrap();
    assert!(matches!(scan.mode, Mode::Code));
}
