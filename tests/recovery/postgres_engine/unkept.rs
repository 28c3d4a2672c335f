//! What people expect in a backup and no dump of the database holds: told, or brought along.

use super::rig::{Kept, Rig, engine};
use super::seeded;
use xtask::domain::engine::Target;

fn told(kept: &Kept) -> String {
    engine().lacks(&kept.component).join("\n")
}

const MAPPINGS: &str = "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR shop_app SERVER far OPTIONS (user 'u', password 'canary-of-a-mapping');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'everybody');";

#[test]
fn user_mappings_are_compared_and_their_options_told_where_they_may_not_be_read() {
    let Some(rig) = seeded(17) else { return };
    rig.sql(MAPPINGS);
    let kept = rig.backup();
    assert!(!told(&kept).contains("user mapping"), "{}", told(&kept));
    assert!(!format!("{:?}", kept.component).contains("canary-of-a-mapping"));
    let copy = rig.beside("copy");
    rig.acts(&engine().restore(&copy, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&copy, &kept), [""; 0]);
    rig.sql("\\connect copy\nALTER USER MAPPING FOR shop_app SERVER far OPTIONS (SET password 'other');");
    let differ = "user mapping for shop_app at server far: definition differs";
    assert_eq!(rig.differences_at(&copy, &kept), [differ]);
    rig.sql("\\connect copy\nDROP USER MAPPING FOR PUBLIC SERVER far;");
    assert!(rig.differences_at(&copy, &kept).contains(&"user mapping for public at server far: missing".to_owned()));

    rig.sql("CREATE ROLE reader LOGIN BYPASSRLS; GRANT pg_read_all_data TO reader; SELECT lo_unlink(oid) FROM pg_largeobject_metadata;");
    let reader = Target { user: "reader".into(), ..rig.at.clone() };
    let kept = rig.backup_at(&reader);
    assert!(told(&kept).contains("user mappings for public at server far, shop_app at server far"), "{}", told(&kept));
    let copy = rig.beside("other");
    rig.acts(&engine().restore(&copy, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&Target { user: "reader".into(), ..copy }, &kept), [""; 0]);
}

#[test]
fn other_databases_subscriptions_and_functions_of_the_catalog_are_told() {
    let Some(rig) = seeded(17) else { return };
    rig.sql("CREATE DATABASE hollow;");
    assert_eq!(told(&rig.backup()), "");
    rig.sql("CREATE DATABASE \"the Books\";");
    rig.sql("\\connect \"the Books\"\nCREATE TABLE book AS SELECT 1 AS id;");
    rig.sql("\\connect postgres\nCREATE TABLE forgotten AS SELECT 1 AS id;");
    rig.sql("CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false);");
    rig.sql("SET allow_system_table_mods = on; CREATE FUNCTION pg_catalog.ours(int) RETURNS int LANGUAGE sql AS 'SELECT $1';");
    let kept = rig.backup();
    let all = told(&kept);
    assert!(all.contains("not in this backup: databases postgres, \"the Books\":"), "{all}");
    assert!(all.contains("subscriptions feed are not restored"), "{all}");
    assert!(all.contains("functions ours(integer),"), "{all}");
    // Who may not look at files is told rather too much.
    rig.sql("CREATE ROLE reader LOGIN BYPASSRLS; GRANT pg_read_all_data TO reader; SELECT lo_unlink(oid) FROM pg_largeobject_metadata;");
    let kept = rig.backup_at(&Target { user: "reader".into(), ..rig.at.clone() });
    assert!(told(&kept).contains("databases hollow, \"the Books\":"), "{}", told(&kept));
}

fn settings_of_all_roles_come_back(major: u32) {
    let (Some(rig), Some(fresh)) = (seeded(major), Rig::start(major)) else { return };
    rig.sql("ALTER ROLE ALL SET work_mem = '5MB'; ALTER ROLE ALL SET default_transaction_read_only = on;");
    let kept = rig.backup();
    fresh.restore(&kept);
    assert_eq!(fresh.differences(&kept), [""; 0]);
    assert_eq!(fresh.sql("SHOW work_mem;"), "5MB");
    fresh.sql("SET default_transaction_read_only = off; ALTER ROLE ALL SET work_mem = '6MB';");
    assert_eq!(fresh.differences(&kept), ["setting work_mem of all roles: definition differs"]);
}

#[test]
fn postgres_15_brings_back_the_settings_of_all_roles() {
    settings_of_all_roles_come_back(15);
}

#[test]
fn postgres_17_brings_back_the_settings_of_all_roles() {
    settings_of_all_roles_come_back(17);
}

#[test]
fn the_rules_of_an_icu_database_come_back() {
    let Some(rig) = Rig::start(17) else { return };
    let rules = r"E'&a < g\n# ours\\\\ and \'theirs\'\n'";
    rig.sql(&format!(
        "CREATE DATABASE ruled TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' ICU_RULES {rules};"
    ));
    let from = rig.beside("ruled");
    rig.sql("\\connect ruled\nCREATE TABLE words AS SELECT unnest(ARRAY['b', 'g', 'a']) AS word;");
    let kept = rig.backup_at(&from);
    let copy = rig.beside("copy");
    rig.acts(&engine().restore(&copy, &kept.component), Some(&kept));
    assert_eq!(rig.differences_at(&copy, &kept), [""; 0]);
    let sorted = "\\connect copy\nSELECT string_agg(word, '' ORDER BY word) FROM words;";
    assert_eq!(rig.sql(sorted), "agb");
    assert_eq!(rig.sql(&format!("SELECT daticurules = {rules} FROM pg_database WHERE datname = 'copy';")), "t");
}
