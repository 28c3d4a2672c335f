//! Old dumps of PostgreSQL become backup sets: what was dumped is what the set holds, and what does not restore makes none.

use super::docker_stage::{Stage, around, dumped, lost, output};
use super::rig::{Rig, bytes, fixture};
use crate::docker_rig::labelled;
use xtask::domain::engine::Target;
use xtask::domain::refusal::{Refusal, RefusalKind};
use xtask::domain::timeline::{Phase, Stopwatch};
use xtask::engines;
use xtask::flow::prove::{self, Place};
use xtask::flow::restore::{Into, whole};
use xtask::ports::Site;

/// What an old script would have done with the shop, by name of the file.
type Script<'a> = &'a dyn Fn(&Rig, &dyn Site, &Target) -> (&'static str, Vec<u8>);

/// Each of these archives of a shop of this version holds, once adopted, what the shop held.
fn adopted(test: &str, version: u32, programs: &[&str], scripts: &[Script<'_>]) {
    let Some(stage) = Stage::open(test, version, programs) else { return };
    let (census, old) = stage
        .original(|site, target| scripts.iter().map(|script| script(&stage.rig, site, target)).collect::<Vec<_>>());
    assert!(census.rows() > 120, "the shop is not filled");
    for (name, bytes) in old {
        let path = stage.rig.file(name, &bytes);
        let said = stage.adopt(&Stage::args(&path)).unwrap_or_else(|e| panic!("{name} of {version}: {e:?}"));
        assert!(said.contains("whole") && said.contains("cannot be known: who made it"), "{said}");
        assert_eq!(lost(&stage, &census), Vec::<String>::new(), "{name} of {version}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}: the archive itself was changed");
        let sets = stage.vault().list().unwrap();
        let facts = &sets.last().unwrap().public.as_ref().unwrap().whole.as_ref().unwrap().components[0].facts;
        assert_eq!(facts["adopted_from"], name);
        assert_eq!(facts["adopted_sha256"], super::contents::fingerprint(&bytes).sha256);
        assert!(facts["adopted_unknown"].contains("author") && facts["adopted_unknown"].contains("roles"), "{facts:?}");
        for of_the_site in ["system_identifier", "asked_as", "lsn", "role_passwords"] {
            assert!(!facts.contains_key(of_the_site), "{of_the_site} is the site's");
        }
    }
    assert_eq!(labelled(&stage.world.run), Vec::<String>::new());
    let latest = stage.vault().find("latest").unwrap_err();
    assert_eq!(Refusal::within(&latest).unwrap().kind, RefusalKind::NoBackup, "an adopted set is never the latest");
}

#[test]
fn docker_flaws_16_17_and_18_a_script_and_a_custom_archive_are_adopted_with_all_that_they_hold() {
    let test = "docker_flaws_16_17_and_18_a_script_and_a_custom_archive_are_adopted_with_all_that_they_hold";
    adopted(
        test,
        15,
        &["openssl", "gzip"],
        &[
            &|rig, site, _| {
                (
                    "recyclic_prod_1.sql.gz.enc",
                    rig.openssl(&["-md", "md5"], &rig.pipe("gzip", &["-c"], &dumped(site, &[]))),
                )
            },
            &|rig, site, _| ("backup.dump.enc", rig.openssl(&["-pbkdf2"], &dumped(site, &["--format=custom"]))),
        ],
    );
}

#[test]
fn docker_a_directory_and_a_tar_archive_are_adopted_with_all_that_they_hold() {
    let test = "docker_a_directory_and_a_tar_archive_are_adopted_with_all_that_they_hold";
    adopted(
        test,
        17,
        &["gpg", "gzip", "zstd"],
        &[
            &|rig, site, target| {
                let folder = format!("{}/dump", target.scratch);
                dumped(site, &["--format=directory", "--file", &folder]);
                let packed = output(site, "tar", &["-c", "-f", "-", "-C", &target.scratch, "dump"]);
                ("backup.tar.gz.gpg", rig.gpg(&[], &rig.pipe("gzip", &["-c"], &packed)))
            },
            &|rig, site, _| ("backup.tar.zst", rig.pipe("zstd", &["-q", "-c"], &dumped(site, &["--format=tar"]))),
        ],
    );
}

#[test]
fn docker_an_adopted_set_restores_with_roles_that_bring_no_rights() {
    let test = "docker_an_adopted_set_restores_with_roles_that_bring_no_rights";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    stage.adopt(&Stage::args(&fixture("shop-17.dump"))).unwrap();
    let id = stage.vault().list().unwrap()[0].id.clone();
    let set = stage.vault().find(&id).unwrap();
    let (engine, store) = (engines::find("postgres").unwrap(), stage.store());
    let site = stage.world.sites.open(&engine.site(&store), "fresh").unwrap();
    let target = Target { scratch: site.scratch(), ..engine.owned_target(&store) };
    let place = Place { site: site.as_site(), engine, target: &target };
    prove::ready(&stage.world, place, std::time::Duration::from_secs(120)).unwrap();
    // A server that knows one of the roles already, with rights of its own.
    let ask = |sql: &str| {
        String::from_utf8(output(site.as_site(), "psql", &["-XAtU", "xtask_owner", "-d", "postgres", "-c", sql]))
            .unwrap()
    };
    ask("CREATE ROLE recyclic LOGIN CREATEDB PASSWORD 'kept'");
    let component = set.manifest.component("db").unwrap();
    let into = Into { store: &store, engine, site: site.as_site(), target: &target, set: &set, component };
    whole(&stage.world, into, &mut Stopwatch::start(Phase::Provision, stage.world.clock.now())).unwrap();
    let kept =
        ask("SELECT rolcanlogin, rolcreatedb, rolpassword IS NOT NULL FROM pg_authid WHERE rolname = 'recyclic'");
    assert_eq!(kept.trim(), "t|t|t", "the restore changed a role that was there");
    let reader = ask("SELECT rolcanlogin, rolsuper, rolpassword IS NULL FROM pg_authid WHERE rolname = 'reader'");
    assert_eq!(reader.trim(), "f|f|t");
    assert_eq!(ask("SELECT count(*) FROM pg_roles WHERE rolname IN ('xtask_adopting', 'adopted')").trim(), "0");
    let found = prove::census(&stage.world, place).unwrap();
    let differences = component.census.differences(&found);
    assert!(differences.iter().all(|d| d.object == "role recyclic"), "{differences:?}");
}

#[test]
fn docker_flaw_23_and_24_a_script_whose_statements_fail_makes_no_set() {
    let test = "docker_flaw_23_and_24_a_script_whose_statements_fail_makes_no_set";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    for (name, statement) in [
        ("a table that is there", "CREATE TABLE public.t (b text);"),
        ("rows that do not fit", "COPY public.t (a) FROM stdin;\nno number: canary-31\n\\.\n"),
        ("nothing to insert into", "INSERT INTO public.gone VALUES (1);"),
    ] {
        let refusal = stage.refused("recyclic.sql", &around(statement));
        assert_eq!(refusal.kind, RefusalKind::BadArtifact, "{name}: {refusal:?}");
        assert!(
            !refusal.message.contains("canary-31") || refusal.message.contains("invalid input syntax"),
            "{refusal:?}"
        );
    }
    let empty = "--\n-- PostgreSQL database dump\n--\n\n--\n-- PostgreSQL database dump complete\n--\n\n";
    assert_eq!(stage.refused("empty.sql", empty).kind, RefusalKind::EmptyStore, "whole, and nothing in it");
}

#[test]
fn docker_what_only_a_superuser_may_make_is_made_for_the_archive_beforehand() {
    let test = "docker_what_only_a_superuser_may_make_is_made_for_the_archive_beforehand";
    let Some(stage) = Stage::open(test, 17, &[]) else { return };
    let old = "CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;\nCOMMENT ON EXTENSION plpgsql IS 'PL/pgSQL procedural language';\n\
               CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public;\n\
               COMMENT ON EXTENSION pg_stat_statements IS 'track planning and execution statistics';\n\
               CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;\n\
               CREATE TABLE public.\"o'dd \"\"t\" (a public.citext);\nALTER TABLE public.\"o'dd \"\"t\" OWNER TO \"o'dd \"\"one\";\n\
               GRANT SELECT ON TABLE public.t TO pg_monitor, reader;\n";
    stage.adopt(&Stage::args(&stage.rig.file("a.sql", around(old).as_bytes()))).unwrap();
    let sets = stage.vault().list().unwrap();
    let component = &sets[0].public.as_ref().unwrap().whole.as_ref().unwrap().components[0];
    assert!(
        component.facts["extensions"].contains("pg_stat_statements")
            && component.facts["extensions"].contains("citext")
    );
    assert!(
        component.census.objects.contains_key("role \"o'dd \"\"one\"")
            || component.census.objects.keys().any(|o| o.contains("o'dd")),
        "{:?}",
        component.census.objects.keys()
    );
    let refusal = {
        let missing = around("CREATE EXTENSION IF NOT EXISTS no_such_thing WITH SCHEMA public;\n");
        let error = stage.adopt(&Stage::args(&stage.rig.file("b.sql", missing.as_bytes()))).unwrap_err();
        Refusal::within(&error).unwrap().clone()
    };
    assert_eq!(refusal.kind, RefusalKind::MissingCapability, "{refusal:?}");
}

#[test]
fn docker_a_dump_of_a_newer_server_is_refused_before_anything_runs() {
    let test = "docker_a_dump_of_a_newer_server_is_refused_before_anything_runs";
    let Some(stage) = Stage::open(test, 15, &[]) else { return };
    for name in ["shop-17.sql", "shop-17.dump", "shop-17.folder"] {
        let error = stage.adopt(&Stage::args(&fixture(name))).unwrap_err();
        let refusal = Refusal::within(&error).unwrap();
        assert_eq!(refusal.kind, RefusalKind::VersionMismatch, "{name}: {error:?}");
        assert!(refusal.message.contains("the backup is from PostgreSQL 17.12, the server is 15.20"), "{refusal:?}");
    }
    assert!(stage.vault().list().unwrap().is_empty());
}

#[test]
fn docker_a_spoiled_archive_makes_no_set_whatever_lets_it_pass() {
    let test = "docker_a_spoiled_archive_makes_no_set_whatever_lets_it_pass";
    let Some(stage) = Stage::open(test, 15, &[]) else { return };
    // A flip in the rows of a packed table passes the reading, which follows the blocks, and not pg_restore, which unpacks them.
    let whole = bytes("shop-15.dump");
    let packed = whole.windows(2).rposition(|w| w == [0x78, 0x9c] || w == [0x78, 0xda] || w == [0x78, 0x5e]).unwrap();
    let mut changed = whole.clone();
    changed[packed + 12] ^= 0x40;
    let path = stage.rig.file("flipped.dump", &changed);
    stage.rig.read(&path).expect("the reading lets it pass");
    let error = stage.adopt(&Stage::args(&path)).unwrap_err();
    assert_eq!(Refusal::within(&error).map(|r| r.kind), Some(RefusalKind::BadArtifact), "{error:?}");
    assert!(stage.vault().list().unwrap().is_empty());
}
