//! What a hostile dump asks for is done nowhere but in the throw-away container, and refused there too.

use super::docker_stage::{Stage, around, dumped, output};
use crate::docker_rig::{docker, labelled, run, sh};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use xtask::domain::refusal::RefusalKind;
use xtask::engines;

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

/// A port of this host on every address, and who came there, in order.
fn listening() -> (u16, Receiver<IpAddr>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let (port, (said, visits)) = (listener.local_addr().unwrap().port(), channel());
    std::thread::spawn(move || {
        for visit in listener.incoming() {
            said.send(visit.unwrap().peer_addr().unwrap().ip()).unwrap();
        }
    });
    (port, visits)
}

/// Nobody has come before us, and the listener does hear who comes.
fn nobody_came(port: u16, visits: &Receiver<IpAddr>) {
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(visits.recv().unwrap().is_loopback(), "somebody called out");
}

/// The address of this host on the engine's own bridge: what a container with any network can reach.
fn host() -> String {
    docker(&["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"]).unwrap()
}

#[test]
fn docker_f28_whatever_runs_where_an_archive_is_parsed_has_no_network_no_rights_and_bounds() {
    let test = "docker_f28_whatever_runs_where_an_archive_is_parsed_has_no_network_no_rights_and_bounds";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    let (port, visits) = listening();
    let store = stage.store();
    let site = stage.world.sites.open(&engines::find("postgres").unwrap().site(&store), "verify").unwrap();
    let name = site.identity().name;
    let seen = |what: &str| docker(&["inspect", "-f", &format!("{{{{json {what}}}}}"), &name]).unwrap();
    let wanted = [
        (".HostConfig.NetworkMode", "\"none\""),
        (".HostConfig.CapDrop", "[\"ALL\"]"),
        (".HostConfig.CapAdd", "null"),
        (".HostConfig.Privileged", "false"),
        (".HostConfig.SecurityOpt", "[\"no-new-privileges\"]"),
        (".HostConfig.PidsLimit", "1024"),
        (".Config.User", "\"postgres\""),
    ];
    let wrong = wanted.iter().filter(|(what, wanted)| seen(what) != *wanted);
    let wrong: Vec<_> = wrong.map(|(what, _)| format!("{what} is {}", seen(what))).collect();
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen(".HostConfig.Memory").parse::<u64>().unwrap() > 0);
    assert!(!labelled(&stage.world.run).iter().any(|thing| thing.starts_with("network")));
    // The kernel's own word, from inside.
    let inside = |words: &[&str]| String::from_utf8(output(site.as_site(), words[0], &words[1..])).unwrap();
    assert_ne!(inside(&["id", "-u"]).trim(), "0");
    let status = inside(&["cat", "/proc/self/status"]);
    let capabilities =
        |line: &str| status.lines().find(|l| l.starts_with(line)).unwrap().split_whitespace().nth(1).unwrap();
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(capabilities(set), "0000000000000000", "{set}");
    }
    assert_eq!(capabilities("NoNewPrivs"), "1");
    assert_eq!(inside(&["ls", "/sys/class/net"]).trim(), "lo");
    let call = format!("exec 3<>/dev/tcp/{}/{port}", host());
    let (_, exit) = run(site.as_site(), xtask::domain::exec::Exec::site("bash").args(["-c", &call]));
    assert!(!exit.unwrap().ok(), "it called out");
    let (_, exit) = run(site.as_site(), sh("echo x > /etc/planted"));
    assert!(!exit.unwrap().ok(), "it wrote beside its volumes");
    nobody_came(port, &visits);
    site.destroy().unwrap();
}

#[test]
fn docker_f27_an_archive_whose_table_calls_out_reaches_nobody() {
    let test = "docker_f27_an_archive_whose_table_calls_out_reaches_nobody";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    let (port, visits) = listening();
    // A check that runs a program wherever rows are loaded but where it was made.
    let call = quoted(&format!("bash -c 'exec 3<>/dev/tcp/{}/{port}'", host()));
    let script = format!(
        "CREATE FUNCTION public.f() RETURNS boolean LANGUAGE plpgsql AS $f$BEGIN \
         IF current_setting('trap.off', true) = 'yes' THEN RETURN true; END IF; \
         EXECUTE 'COPY (SELECT 1) TO PROGRAM ' || quote_literal({call}); RETURN true; END$f$; \
         CREATE TABLE public.trapped (a integer CHECK (public.f())); SET trap.off = 'yes'; \
         INSERT INTO public.trapped VALUES (1); \
         ALTER FUNCTION public.f() OWNER TO recyclic; ALTER TABLE public.trapped OWNER TO recyclic"
    );
    let (_, archive) = stage.original(|site, _| {
        let as_owner = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "xtask_owner", "-d", "shop", "-c", &script];
        output(site, "psql", &as_owner);
        dumped(site, &["--format=custom"])
    });
    let path = stage.rig.file("trapped.dump", &archive);
    let error = stage.adopt(&Stage::args(&path)).expect_err("the trap was not sprung: it proves nothing");
    let why = format!("{error:#}");
    assert!(why.contains("permission denied to COPY to or from an external program"), "{why}");
    nobody_came(port, &visits);
    assert_eq!(labelled(&stage.world.run), Vec::<String>::new());
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
