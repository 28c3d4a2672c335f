//! Extensions that own tables, made for the test: what a dump holds of them, what it does not, and what must not be compared.

use super::rig::{Kept, Rig, engine};
use xtask::domain::census::Entry;
use xtask::domain::engine::Target;

/// Owns a schema, an indexed table, a sequence and a composite type; registers two tables, one of them by a filter.
const KEEPER: &str = "
CREATE SCHEMA keeper;
CREATE TYPE keeper.pair AS (a int, b int);
CREATE TABLE keeper.codes (id int PRIMARY KEY, word text, builtin bool NOT NULL DEFAULT false);
INSERT INTO keeper.codes VALUES (1, 'ours', true);
SELECT pg_catalog.pg_extension_config_dump('keeper.codes', 'WHERE NOT codes.builtin');
CREATE TABLE keeper.jobs (id bigserial PRIMARY KEY, what text);
SELECT pg_catalog.pg_extension_config_dump('keeper.jobs', '');
SELECT pg_catalog.pg_extension_config_dump('keeper.jobs_id_seq', '');
CREATE TABLE keeper.runs (id bigserial PRIMARY KEY, job bigint);
CREATE TABLE keeper.unused (id int PRIMARY KEY);
";

const ROWS: &str = "
INSERT INTO keeper.codes SELECT n, 'theirs' FROM generate_series(2, 11) n;
INSERT INTO keeper.jobs (what) SELECT 'job' FROM generate_series(1, 20);
INSERT INTO keeper.runs (job) SELECT n FROM generate_series(1, 300) n;
";

/// A server whose extension belongs to a role that no restore would choose.
fn kept_by_another_role(major: u32) -> Option<Rig> {
    let rig = Rig::start(major)?;
    rig.extension("keeper", KEEPER);
    rig.sql("CREATE ROLE first_of_the_source SUPERUSER; CREATE TABLE mine AS SELECT 1 AS id;");
    rig.sql(&format!("SET ROLE first_of_the_source; CREATE EXTENSION keeper; RESET ROLE; {ROWS}"));
    Some(rig)
}

fn restored(rig: &Rig, kept: &Kept) -> Target {
    let copy = rig.beside("copy");
    rig.acts(&engine().restore(&copy, &kept.component), Some(kept));
    copy
}

fn extensions_with_tables_restore_equal(major: u32) {
    let Some(rig) = kept_by_another_role(major) else { return };
    let kept = rig.backup();
    let copy = restored(&rig, &kept);
    assert_eq!(rig.differences_at(&copy, &kept), [""; 0]);
}

#[test]
fn postgres_15_compares_no_owner_of_what_an_extension_made() {
    extensions_with_tables_restore_equal(15);
}

#[test]
fn postgres_17_compares_no_owner_of_what_an_extension_made() {
    extensions_with_tables_restore_equal(17);
}

#[test]
fn rows_that_an_extension_registered_are_counted_and_compared() {
    let Some(rig) = kept_by_another_role(17) else { return };
    let kept = rig.backup();
    let rows = |object: &str| match kept.component.census.objects.get(object) {
        Some(Entry::Content { rows, .. }) => *rows,
        other => panic!("{object}: {other:?}"),
    };
    assert_eq!((rows("extension table keeper.codes"), rows("extension table keeper.jobs")), (10, 20));
    let copy = restored(&rig, &kept);
    let change = |script: &str| {
        rig.sql(&format!("\\connect copy\n{script}"));
        rig.differences_at(&copy, &kept).join("\n")
    };
    assert_eq!(change("UPDATE keeper.codes SET word = 'new' WHERE builtin;"), "");
    let gone = "DELETE FROM keeper.codes WHERE id = 5;";
    assert_eq!(change(gone), "extension table keeper.codes: 9 rows instead of 10");
    let moved = change("UPDATE keeper.jobs SET what = 'other' WHERE id = 7; SELECT nextval('keeper.jobs_id_seq');");
    assert!(moved.contains("extension table keeper.jobs: content differs in 20 rows"), "{moved}");
    assert!(moved.contains("sequence keeper.jobs_id_seq: stands at 21, outside 20..=20"), "{moved}");
}

#[test]
fn rows_of_an_extension_that_no_dump_holds_are_told() {
    let Some(rig) = kept_by_another_role(17) else { return };
    let kept = rig.backup();
    let told = engine().lacks(&kept.component);
    assert!(matches!(told.as_slice(), [one] if one.contains(" keeper.runs belong")), "{told:?}");
    let copy = restored(&rig, &kept);
    assert_eq!(rig.sql(&format!("\\connect {}\nSELECT count(*) FROM keeper.runs;", copy.name)), "0");
    rig.sql("DROP DATABASE copy;");
    rig.sql("TRUNCATE keeper.runs;");
    assert_eq!(engine().lacks(&rig.backup().component), [""; 0]);
}
