//! Names, texts and orders that are allowed and that nobody expects.

use super::rig::{Rig, engine};
use super::seeded;
use xtask::domain::engine::Target;

/// Every way in which a line can end, and what COPY or psql would take for its own.
const ODD: &str = r"E'one\rtwo\r\nthree\n\\.\n\x01\x02;\n-- four'';\r'";

fn odd_texts_come_back(major: u32) {
    let (Some(rig), Some(fresh)) = (seeded(major), Rig::start(major)) else { return };
    rig.sql(&format!("COMMENT ON DATABASE shop IS {ODD}; COMMENT ON ROLE shop_app IS {ODD};"));
    rig.sql(&format!("ALTER DATABASE shop SET xtask.odd = {ODD}; ALTER ROLE shop_app SET xtask.odd = {ODD};"));
    let kept = rig.backup();
    fresh.restore(&kept);
    assert_eq!(fresh.differences(&kept), [""; 0]);
    for said in [
        "shobj_description('shop_app'::regrole, 'pg_authid')",
        "current_setting('xtask.odd')",
        "(SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop')",
    ] {
        assert_eq!(fresh.sql(&format!("SELECT {said} = {ODD};")), "t", "{said}");
    }
    assert_eq!(fresh.sql("\\connect postgres\nSELECT count(*) FROM pg_largeobject_metadata;"), "0");
}

#[test]
fn postgres_15_brings_back_comments_and_settings_with_any_byte() {
    odd_texts_come_back(15);
}

#[test]
fn postgres_17_brings_back_comments_and_settings_with_any_byte() {
    odd_texts_come_back(17);
}

#[test]
fn options_of_foreign_things_may_stand_in_any_order() {
    let Some(rig) = seeded(17) else { return };
    rig.sql(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (port '1', host 'nowhere', dbname 'd');
         CREATE USER MAPPING FOR shop_app SERVER far OPTIONS (user 'u', password 'p');
         CREATE FOREIGN TABLE shop.afar (id int OPTIONS (column_name 'i')) SERVER far OPTIONS (table_name 't', schema_name 's');
         CREATE FOREIGN DATA WRAPPER plain; CREATE SERVER odd FOREIGN DATA WRAPPER plain;
         CREATE FOREIGN TABLE shop.odd (id int OPTIONS (zeta '1', alpha '2')) SERVER odd;",
    );
    let kept = rig.backup();
    let copy = rig.beside("copy");
    rig.acts(&engine().restore(&copy, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&copy, &kept), [""; 0]);
    rig.sql("\\connect copy\nALTER SERVER far OPTIONS (SET host 'elsewhere');");
    assert_eq!(rig.differences_at(&copy, &kept), ["foreign server far: definition differs"]);
}

fn any_name_will_do(major: u32) {
    let Some(rig) = Rig::start(major) else { return };
    for name in ["a=b", "postgres://x?y=z", "it's \"odd\" = \\", "dbname=postgres"] {
        let at = rig.beside(name);
        rig.sql(&format!("CREATE DATABASE \"{}\";", name.replace('"', "\"\"")));
        rig.act(
            &engine()
                .churn(&Target { name: "postgres".into(), ..at.clone() })
                .pop()
                .map(|mut act| {
                    act.exec = engine().census(&at).exec;
                    act.feed = xtask::domain::engine::Feed::Text("CREATE TABLE t AS SELECT 1 AS id;".into());
                    act
                })
                .unwrap(),
            None,
        );
        let kept = rig.backup_at(&at);
        let asked = |word: &str| {
            let questions = engine().before_restore(&at, &kept.component);
            let target = questions.last().unwrap();
            let free = (target.judge)(&rig.act(&target.act, None), &rig.store);
            assert_eq!(free.is_ok(), word == "free", "{name}: {free:?}");
        };
        asked("holds a table");
        let drop = format!("DROP DATABASE \"{}\" WITH (FORCE);", name.replace('"', "\"\""));
        rig.sql(&drop);
        asked("free");
        rig.acts(&engine().restore(&at, &kept.component), Some(&kept));
        assert_eq!(rig.differences_at(&at, &kept), [""; 0], "{name}");
        rig.sql(&drop);
    }
}

#[test]
fn postgres_15_backs_up_and_restores_a_database_of_any_name() {
    any_name_will_do(15);
}

#[test]
fn postgres_17_backs_up_and_restores_a_database_of_any_name() {
    any_name_will_do(17);
}

#[test]
fn a_database_that_holds_anything_at_all_is_not_free() {
    let Some(rig) = Rig::start(17) else { return };
    let kept = {
        rig.sql("CREATE DATABASE source;");
        rig.sql("\\connect source\nCREATE TABLE t AS SELECT 1 AS id;");
        rig.backup_at(&rig.beside("source"))
    };
    let things = [
        ("SELECT lo_from_bytea(0, 'kept');", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata;"),
        ("CREATE SEQUENCE s;", "DROP SEQUENCE s;"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';", "DROP FUNCTION f;"),
        ("CREATE TYPE e AS ENUM ('a');", "DROP TYPE e;"),
        ("CREATE VIEW v AS SELECT 1 AS one;", "DROP VIEW v;"),
    ];
    let free = |target: &Target| {
        let question = engine().before_restore(target, &kept.component).pop().unwrap();
        (question.judge)(&rig.act(&question.act, None), &rig.store).is_ok()
    };
    // What comes with an extension is nobody's.
    rig.sql("CREATE EXTENSION citext; CREATE EXTENSION pg_trgm;");
    assert!(free(&rig.at));
    for (make, remove) in things {
        rig.sql(make);
        assert!(!free(&rig.at), "{make}");
        // Even when nobody asked before.
        let mut acts = engine().restore(&rig.at, &kept.component);
        let last = acts.pop().unwrap();
        rig.acts(&acts, Some(&kept));
        assert!(!rig.attempt(&last, None).exit.ok(), "{make}");
        rig.sql(remove);
    }
    assert!(free(&rig.at));
}
