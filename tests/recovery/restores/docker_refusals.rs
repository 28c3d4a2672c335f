//! What a restore into a running PostgreSQL server refuses before it touches anything.

use super::docker_shop::Shop;

const LIVE: [&str; 7] = ["restore", "shop", "latest", "--to", "live", "--confirm", "shop"];

#[test]
fn docker_a_restore_that_may_not_be_is_refused_by_name_and_touches_nothing() {
    let Some(shop) = Shop::open("docker_a_restore_that_may_not_be_is_refused_by_name_and_touches_nothing", 17) else {
        return;
    };
    let set = shop.backup();
    shop.script("DELETE FROM sales.orders WHERE id = 1");
    shop.refused(&["restore", "shop", "latest", "--to", "live"], 26, &["\"shop\" holds", "--confirm shop"]);
    shop.refused(&["restore", "shop", "latest", "--to", "live", "--confirm", "prod"], 2, &["the stack is shop"]);
    shop.refused(&["restore", "shop", "latest", "--to", "postgres"], 26, &["a database postgres already"]);
    shop.ask("postgres", "CREATE DATABASE empty");
    let ended = shop.run(&["restore", "shop", "latest", "--to", "empty"]);
    assert_eq!(ended.code, Some(26), "{}", ended.err);
    assert!(!ended.err.contains("restoring beside"), "refused before anything is loaded: {}", ended.err);
    shop.script("ALTER ROLE reader LOGIN PASSWORD 'canary-4711'; GRANT pg_read_all_data TO reader");
    let recovery = shop.project.path().join("recovery.yaml");
    let described = std::fs::read_to_string(&recovery).unwrap();
    let stores =
        |store: &str| format!("{described}    stores:\n      db: {{ engine: postgres, service: db{store} }}\n");
    std::fs::write(&recovery, stores(", user: reader")).unwrap();
    shop.refused(&LIVE, 24, &["reader is no superuser"]);
    std::fs::write(&recovery, stores(", database: postgres")).unwrap();
    shop.refused(&LIVE, 14, &["the set holds database \"shop\"", "\"postgres\" now"]);
    std::fs::write(&recovery, &described).unwrap();
    // Somebody is connected.
    let words = ["exec", "--detach", &shop.container, "psql", "-U", "shop", "-d", "shop", "-c", "SELECT pg_sleep(600)"];
    crate::docker_rig::docker(&words).expect("a session begins");
    let seen = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
    super::docker_shop::poll("a session is seen", || shop.ask("postgres", seen) == "1");
    shop.refused(&LIVE, 14, &["is in use", "psql as shop from inside", "--disconnect"]);
    assert_eq!(shop.ask("postgres", seen), "1", "nobody was thrown out");
    shop.done(&["verify", "shop", &set]);
}

#[test]
fn docker_an_older_server_is_refused_with_both_versions() {
    let test = "docker_an_older_server_is_refused_with_both_versions";
    let Some(shop) = Shop::open(test, 17) else { return };
    let set = shop.backup();
    if crate::docker_rig::docker(&["image", "inspect", "localhost/xtask-postgres:15"]).is_none() {
        crate::docker_rig::skip::<()>(test, "no image of PostgreSQL 15");
        return;
    }
    shop.start(15);
    let databases = shop.databases();
    for target in ["live", "monday"] {
        let ended = shop.run(&["restore", "shop", &set, "--to", target, "--with-roles"]);
        assert_eq!(ended.code, Some(27), "{}", ended.err);
        assert!(ended.err.contains("from PostgreSQL 17") && ended.err.contains("the server is 15"), "{}", ended.err);
    }
    assert_eq!(shop.databases(), databases);
}
