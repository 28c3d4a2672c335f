//! Programs that lie: a `pg_dump` that ends badly after a whole dump, or well after half of one, or that leaves a table out; and
//! what a set says of the database that it is of.

use super::docker_server::{IMAGE, Server, rig};
use super::rig::{Rig, holds_only, refused};
use crate::docker_rig::{docker, said};
use xtask::domain::engine::Target;
use xtask::domain::refusal::RefusalKind;

const REAL: &str = "/usr/lib/postgresql/17/bin/pg_dump";

/// Puts this script in the place of `pg_dump`, which it finds as `$real`.
fn replace(server: &Server, script: &str) {
    let text = format!("#!/bin/bash\nreal={REAL}.real\n{script}\n");
    let put = format!("test -e {REAL}.real || mv {REAL} {REAL}.real; cat > {REAL}; chmod 755 {REAL}");
    let container = server.name();
    // As an argument, because this `docker` command has no input.
    let words = ["exec", "--user", "root", &container, "sh", "-c", &format!("printf '%s' \"$0\" | ({put})"), &text];
    docker(&words).expect("the script is put in its place");
}

fn backup(rig: &Rig, server: &Server) -> anyhow::Result<xtask::flow::backup::Taken> {
    rig.backup(&server.store, server.site(), &server.at)
}

#[test]
fn docker_f01_a_dump_that_ends_badly_is_no_backup_however_whole_it_looks() {
    let Some(rig) = rig("docker_f01", &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.fill();
    backup(&rig, &server).expect("a sound backup comes first");
    let bad: [(&str, &[&str]); 3] = [
        ("\"$real\" \"$@\"; echo 'the disk of the server is burning' >&2; exit 1", &["pg_dump", "is burning"]),
        (
            "case \"$*\" in *version*) exec \"$real\" \"$@\";; esac; \"$real\" \"$@\" | head -c 100000; exit 3",
            &["pg_dump"],
        ),
        (
            "case \"$*\" in *version*) exec \"$real\" \"$@\";; esac; \"$real\" \"$@\" | head -c 100000; kill -KILL $$",
            &["pg_dump", "killed"],
        ),
    ];
    for (script, says) in bad {
        replace(&server, script);
        refused(backup(&rig, &server), RefusalKind::Producer, says, "");
        holds_only(&rig.vault(), 1);
    }
    // Ones that write a part, or nothing, and say that all is well.
    replace(
        &server,
        "case \"$*\" in *version*) exec \"$real\" \"$@\";; esac; \"$real\" \"$@\" | head -c 100000; exit 0",
    );
    refused(backup(&rig, &server), RefusalKind::Producer, &["postgres", "is not whole", "ends in"], "run it again");
    holds_only(&rig.vault(), 1);
    replace(&server, "case \"$*\" in *version*) exec \"$real\" \"$@\";; esac; exit 0");
    refused(backup(&rig, &server), RefusalKind::Producer, &["wrote nothing"], "run it again");
    holds_only(&rig.vault(), 1);
    replace(&server, "exec \"$real\" \"$@\"");
    backup(&rig, &server).expect("it was the script that failed, not the rig");
    holds_only(&rig.vault(), 2);
}

#[test]
fn docker_f21_a_set_says_of_which_database_on_which_server_it_is_and_an_empty_one_is_refused() {
    let Some(rig) = rig("docker_f21", &[IMAGE]) else { return };
    let server = Server::start(&rig);
    server.sql("shop", "CREATE TABLE orders AS SELECT 1 AS id");
    server.sql("shop", "CREATE DATABASE blog");
    server.sql("blog", "CREATE TABLE posts AS SELECT 1 AS id");
    let ask = "SELECT system_identifier FROM pg_control_system()";
    let identifier = said(server.site(), &["psql", "-XAtq", "-U", &server.at.user, "-d", "shop", "-c", ask]);
    for name in ["shop", "blog"] {
        let (store, at): (_, Target) = server.database(name);
        let set = rig.backup(&store, server.site(), &at).unwrap().set;
        let facts = &set.manifest.components[0].facts;
        assert_eq!((facts["database"].as_str(), facts["system_identifier"].as_str()), (name, identifier.as_str()));
        let tables: Vec<&String> =
            set.manifest.components[0].census.objects.keys().filter(|o| o.starts_with("table ")).collect();
        assert_eq!(tables, [if name == "shop" { "table public.orders" } else { "table public.posts" }]);
    }
    // The databases that every server has are taken for what they are: empty.
    for name in ["postgres", "template1"] {
        let (store, at) = server.database(name);
        refused(rig.backup(&store, server.site(), &at), RefusalKind::EmptyStore, &[name, "has no table"], "allow it");
    }
    holds_only(&rig.vault(), 2);
}
