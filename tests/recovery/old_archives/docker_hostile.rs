//! What a hostile dump asks for is done nowhere but in the throw-away container, and refused there too.

use super::docker_stage::{Stage, around};
use std::path::{Path, PathBuf};
use xtask::domain::refusal::RefusalKind;

/// What a hostile archive would leave behind, on the host.
struct Trace {
    here: PathBuf,
    touch: String,
}

impl Trace {
    fn of(stage: &Stage) -> Self {
        let here = stage.rig.path("pwned");
        Self { touch: format!("touch {} /tmp/pwned-by-an-archive", here.display()), here }
    }

    fn is_none(&self) {
        assert!(!self.here.exists() && !Path::new("/tmp/pwned-by-an-archive").exists(), "it ran on the host");
    }
}

fn fails(stage: &Stage, name: &str, statements: &str, what: &str) {
    let refusal = stage.refused("a.sql", &around(statements));
    assert_eq!(refusal.kind, RefusalKind::BadArtifact, "{name}: {refusal:?}");
    assert!(refusal.message.contains(what) && refusal.message.starts_with("a.sql"), "{name}: {refusal:?}");
}

#[test]
fn docker_f27_a_script_that_would_run_a_program_is_refused_and_runs_nothing_on_the_host() {
    let test = "docker_f27_a_script_that_would_run_a_program_is_refused_and_runs_nothing_on_the_host";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    let trace = Trace::of(&stage);
    let touch = &trace.touch;
    // These never reach a container.
    fails(&stage, "a command of psql", &format!("\\! {touch}"), "a command for psql");
    fails(&stage, "behind a COPY", &format!("COPY public.t FROM stdin; \\! {touch}\n1\n\\.\n"), "behind `COPY");
    fails(&stage, "a program of the server", &format!("COPY public.t TO PROGRAM '{touch}';"), "runs a program");
    // What the reading cannot see is refused in the container: by the server, because the role is no superuser, and by psql.
    let said = format!("DO $$BEGIN EXECUTE 'COPY public.t TO PROGRAM ''{touch}'''; END$$;");
    fails(&stage, "a program, said in a text", &said, "does not restore");
    let hidden = "SELECT set_config('standard_conforming_strings', 'off', false);\nSELECT 'x\\' || ' \\! ";
    fails(&stage, "a command of psql, hidden by a setting", &format!("{hidden}{touch}\n--';\n"), "restricted");
    trace.is_none();
    stage
        .adopt(&Stage::args(&stage.rig.file("a.sql", around("").as_bytes())))
        .expect("the same without the hostile part");
}

#[test]
fn docker_f27_a_script_that_asks_for_more_than_an_owner_may_do_is_refused() {
    let test = "docker_f27_a_script_that_asks_for_more_than_an_owner_may_do_is_refused";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    let trigger = "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;\n\
                   CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f();";
    for (name, statement) in [
        ("a file of the server", "DO $$BEGIN EXECUTE 'COPY public.t FROM ''/etc/passwd'''; END$$;"),
        ("a superuser", "DO $$BEGIN EXECUTE 'ALTER ROLE recyclic SUPERUSER'; END$$;"),
        ("a role", "CREATE ROLE evil SUPERUSER;"),
        ("somebody else's rights", "SET ROLE xtask_owner;"),
        ("an event trigger", trigger),
    ] {
        fails(&stage, name, statement, "does not restore");
    }
}
