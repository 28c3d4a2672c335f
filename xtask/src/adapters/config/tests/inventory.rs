//! What of a Compose project holds data and is covered by no store: nothing that was looked away from is left out.

use super::{Project, loaded};

/// The gaps that are not waived, in words.
fn gaps(compose: &str, stores: &str) -> Vec<String> {
    let recovery = format!("stacks:\n  shop:\n    compose: compose.yaml\n    stores:\n{stores}");
    let (_dir, project) = loaded(&[("compose.yaml", compose), ("recovery.yaml", &recovery)]);
    open(&project)
}

fn open(project: &Project) -> Vec<String> {
    let coverage = &project.findings[0].coverage;
    coverage.gaps.iter().filter(|gap| coverage.waiver(gap).is_none()).map(|gap| gap.what.clone()).collect()
}

const DB: &str = "services:\n  db:\n    image: postgres:17\n    environment: { POSTGRES_DB: shop, POSTGRES_PASSWORD: x }\n    volumes: [\"pg:/var/lib/postgresql/data\"]\n";
const STORE: &str = "      db: { service: db }\n";

#[test]
fn another_database_that_an_address_names_is_a_gap_until_a_store_covers_it() {
    let app = "  api:\n    image: shop:1\n    environment:\n      A: postgres://u:p@db:5432/shop\n      B: postgresql://u:p@db/crm?x=1\n";
    let compose = format!("{DB}{app}volumes: {{ pg: {{}} }}\n");
    let said = gaps(&compose, STORE);
    assert!(said.len() == 1 && said[0].contains("database crm of service `db`"), "{said:?}");
    assert!(!said[0].contains("u:p"), "{said:?}");
    let both = format!("{STORE}      crm: {{ engine: postgres, service: db, database: crm }}\n");
    assert_eq!(gaps(&compose, &both), Vec::<String>::new());
}

#[test]
fn what_is_included_or_inherited_was_not_seen() {
    for more in [
        "include: [other.yaml]\n",
        "  api:\n    image: a\n    extends: { service: db }\n",
        "  api:\n    image: a\n    volumes_from: [db]\n",
    ] {
        let (_dir, project) = loaded(&[
            ("compose.yaml", &format!("{DB}{more}volumes: {{ pg: {{}} }}\n")),
            ("recovery.yaml", &format!("stacks:\n  shop:\n    compose: compose.yaml\n    stores:\n{STORE}")),
        ]);
        let unseen = &project.findings[0].coverage.unseen;
        assert!(unseen.len() == 1 && unseen[0].contains("is not followed"), "{more}: {unseen:?}");
    }
}

#[test]
fn a_service_that_only_a_profile_starts_holds_data_all_the_same() {
    let asleep = "  reports:\n    image: reports:1\n    profiles: [nightly]\n    volumes: [\"out:/out\"]\n";
    let said = gaps(&format!("{DB}{asleep}volumes: {{ pg: {{}}, out: {{}}, old: {{}} }}\n"), STORE);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("(service `reports`, /out)") && said[1].contains("`old` is declared"), "{said:?}");
}

#[test]
fn a_waived_service_does_not_waive_what_another_writes_to() {
    let compose = "services:\n  proxy:\n    image: nginx:1\n    volumes: [\"files:/f\"]\n  app:\n    image: app:1\n    volumes: [\"files:/f\", \"own:/o\"]\nvolumes: { files: {}, own: {} }\n";
    let recovery = |waivers: &str| {
        format!(
            "stacks:\n  shop:\n    compose: compose.yaml\n    stores:\n      own: {{ engine: files, volume: own }}\n    waivers:\n{waivers}"
        )
    };
    let said = |waivers: &str| {
        let (_dir, project) = loaded(&[("compose.yaml", compose), ("recovery.yaml", &recovery(waivers))]);
        open(&project).len()
    };
    assert_eq!(said("      proxy: keeps nothing\n"), 1);
    assert_eq!(said("      proxy: keeps nothing\n      app: its files are made anew\n"), 0);
}

#[test]
fn data_below_etc_and_run_and_folders_beside_the_server_s_own_are_looked_at() {
    let mounts = "      - /etc/shop/data:/a\n      - /run/keep:/b\n      - ./beside:/var/lib/postgresql/uploads\n      - /etc/localtime:/etc/localtime\n      - /var/run/docker.sock:/s.sock\n      - /etc/ssl/certs:/c\n";
    let compose = format!(
        "{}    volumes:\n      - pg:/var/lib/postgresql/data\n{mounts}volumes: {{ pg: {{}} }}\n",
        DB.rsplit_once("    volumes").unwrap().0
    );
    let said = gaps(&compose, STORE);
    assert_eq!(said.len(), 3, "{said:?}");
    for path in ["/etc/shop/data", "/run/keep", "/beside"] {
        assert!(said.iter().any(|s| s.contains(path)), "{path}: {said:?}");
    }
}

#[test]
fn a_service_that_mounts_nothing_is_named_unless_its_image_keeps_nothing() {
    let more = "  web:\n    image: nginx:1\n  api:\n    image: shop:1\n";
    let (_dir, project) = loaded(&[("compose.yaml", &format!("{DB}{more}volumes: {{ pg: {{}} }}\n"))]);
    assert_eq!(project.findings[0].coverage.bare, ["api"]);
}
