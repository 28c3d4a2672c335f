//! What is refused, where the message points, and what it advises. No message shows a value.

use super::*;

/// Refused in `recovery.yaml`, beside a sound Compose file.
fn recovery(text: &str) -> (String, String) {
    refused(&[
        ("recovery.yaml", text),
        ("compose.yaml", "services: {db: {image: postgres, environment: {POSTGRES_PASSWORD: x}}}"),
    ])
}

#[test]
fn recovery_yaml_is_read_strictly() {
    for (text, message, hint) in [
        ("stack: {}", "recovery.yaml:1:1: unknown key `stack` in recovery.yaml", "did you mean `stacks`?"),
        ("", "recovery.yaml:1:1: no `stacks` in this file", "cargo xtask init"),
        ("services: {db: {}}", "recovery.yaml:1:11: this is a Compose file", "init --compose"),
        ("stacks: {}", "recovery.yaml:1:9: `stacks` names no stack", "init"),
        ("stacks: [a]", "recovery.yaml:1:9: `stacks` is a list", "write a mapping"),
        (
            "stacks:\n  a:\n    compsoe: x",
            "recovery.yaml:3:5: unknown key `compsoe` in stack `a`",
            "did you mean `compose`?",
        ),
        (
            "stacks:\n  a: {project: x}\n  a: {project: y}",
            "recovery.yaml:3:3: key `a` is written twice, first on line 2",
            "remove",
        ),
        (
            "stacks:\n  a:\n    backups: {schedule: sometimes}",
            "recovery.yaml:3:25: `sometimes` is not a schedule",
            "every 30m",
        ),
        ("stacks:\n  a:\n    backups: {schedule: [daily]}", "recovery.yaml:3:25: `schedule` is a list", "single value"),
        (
            "stacks:\n  a:\n    backups: {compression: zip}",
            "recovery.yaml:3:28: no compression is called `zip`",
            "did you mean `gzip`?",
        ),
        (
            "stacks:\n  a:\n    objectives: {total-lost: {rto: 1h}}",
            "recovery.yaml:3:18: no scenario is called `total-lost`",
            "did you mean `total-loss`?",
        ),
        (
            "stacks:\n  a:\n    objectives: {total-loss: {rto: soon}}",
            "recovery.yaml:3:36: `soon` is not a duration",
            "30m",
        ),
        (
            "stacks:\n  a:\n    objectives: {total-loss: {rto: 0m}}",
            "recovery.yaml:3:36: an objective of no time",
            "30m",
        ),
        ("stacks:\n  a:\n    project: ${NOPE}", "recovery.yaml:3:14: variable `NOPE` is set nowhere", "set `NOPE`"),
        (
            "stacks:\n  a:\n    stores: {db: {password: hunter2}}",
            "recovery.yaml:3:29: a password of store `db` in the file itself",
            "password_from",
        ),
        ("stacks:\n  a:\n    stores: {db: {port: 70000}}", "recovery.yaml:3:25: `port` is not a port", "65535"),
        (
            "stacks:\n  a:\n    stores: {db: {engine: postgresql}}",
            "recovery.yaml:3:27: no engine is called `postgresql`",
            "did you mean `postgres`?",
        ),
        (
            "stacks:\n  a:\n    stores: {db: {path: x}}",
            "recovery.yaml:3:14: store `db`: `path` means nothing to the postgres engine",
            "remove",
        ),
        (
            "stacks:\n  a:\n    stores: {x: {service: dbb}}",
            "recovery.yaml:3:14: store `x` names service `dbb`, which is not there",
            "did you mean `db`?",
        ),
        (
            "stacks:\n  a:\n    stores: {x: {}}",
            "recovery.yaml:3:14: store `x`: nothing in the Compose files says what it is",
            "engine",
        ),
        (
            "stacks:\n  a:\n    stores: {db: {allow_empty: 'true'}}",
            "recovery.yaml:3:32: `allow_empty` is a single value",
            "`true` or `false`",
        ),
        (
            "stacks:\n  a:\n    stores: {db: {password_from: NOPE}}",
            "recovery.yaml:3:34: variable `NOPE` is set nowhere, or empty",
            "set `NOPE`",
        ),
        ("stacks:\n  A b: {}", "recovery.yaml:2:3: `A b` cannot name a stack", "lower-case"),
        ("stacks:\n  a: {folder: x, compose: y}", "recovery.yaml:2:15: `folder` and `compose` together", "remove"),
        ("stacks:\n\ta: 1", "recovery.yaml:2:", "indentation"),
        ("stacks: {a: {}}\n---\nstacks: {b: {}}", "recovery.yaml:2:1: a second document", "---"),
        ("stacks: {a: !!python/object:os.system {}}", "recovery.yaml:1:", ""),
    ] {
        let (found, advice) = recovery(text);
        assert!(found.starts_with(message), "{text}\n  wanted: {message}\n  found:  {found}");
        assert!(advice.contains(hint), "{text}\n  wanted: {hint}\n  found:  {advice}");
        assert!(!found.contains("hunter2") && !advice.contains("hunter2"));
    }
}

#[test]
fn compose_files_are_read_strictly() {
    for (text, message, hint) in [
        (
            "services:\n  db:\n    image: postgres\n    enviroment: {}",
            "compose.yaml:4:5: unknown key `enviroment` in service `db`",
            "did you mean `environment`?",
        ),
        ("sevices: {}", "compose.yaml:1:1: unknown key `sevices`", "did you mean `services`?"),
        (
            "services:\n  db:\n    environment:\n      A: 1\n      A: 2",
            "compose.yaml:5:7: key `A` is written twice, first on line 4",
            "remove",
        ),
        ("services:\n  db:\n    image: ${IMAGE}", "compose.yaml:3:12: variable `IMAGE` is set nowhere", "IMAGE:-"),
        (
            "services:\n  db: {image: postgres, environment: {POSTGRES_PASSWORD: ''}}",
            "compose.yaml:2:58: `POSTGRES_PASSWORD` of service `db` is empty",
            "set",
        ),
        (
            "services:\n  db: {image: postgres, environment: {POSTGRES_PASSWORD: 0123}}",
            "compose.yaml:2:58: the unquoted value of `POSTGRES_PASSWORD` is a number",
            "quotes",
        ),
        (
            "services:\n  db: {image: i, volumes: ['data:/d']}",
            "compose.yaml:2:28: volume `data` is not declared",
            "./data",
        ),
        ("services:\n  db: {image: i, env_file: nope.env}", "compose.yaml:2:28: env file", "required: false"),
        (
            "services:\n  a: {image: i, depends_on: [postgres]}",
            "compose.yaml:2:3: service `a` depends on `postgres`",
            "define",
        ),
        ("services: [a]", "compose.yaml:1:11: `services` is a list", "mapping"),
        ("services:\n  a: {image: !vault x}", "compose.yaml:2:", "!override"),
        ("a: &a [*a]", "compose.yaml:1:8: an alias inside the value that it stands for", "itself"),
        ("a: &a {<<: *a}", "compose.yaml:1:12: an alias inside the value that it stands for", "itself"),
        ("services:\n  a: {<<: [x], image: i}", "compose.yaml:2:12: `<<` needs a mapping", "*name"),
        ("x: &x {}\nservices:\n  a: {<<: *x, <<: *x}", "compose.yaml:3:15: key `<<` is written twice", "*two"),
        ("services:\n  a: {image: *nope}", "compose.yaml:2:14: broken YAML", ""),
    ] {
        let (found, advice) = refused(&[("compose.yaml", text)]);
        assert!(found.starts_with(message), "{text}\n  wanted: {message}\n  found:  {found}");
        assert!(advice.contains(hint), "{text}\n  wanted: {hint}\n  found:  {advice}");
    }
}

#[test]
fn a_folder_without_anything_says_what_to_write() {
    let (message, hint) = refused(&[("docker-compose.prod.yml", "services: {}")]);
    assert!(message.contains("neither recovery.yaml nor a Compose file"), "{message}");
    assert!(hint.contains("docker-compose.prod.yml"), "{hint}");
}

#[test]
fn an_error_in_an_env_file_points_into_the_env_file() {
    let (message, _) = refused(&[("compose.yaml", "services: {db: {image: i}}"), (".env", "A=1\nB='hunter2")]);
    assert_eq!(message, ".env:2:3: the quote ' is never closed");
}

#[test]
fn a_configuration_refusal_keeps_its_exit_code_through_the_chain() {
    let dir = folder(&[("recovery.yaml", "stacks: 1")]);
    let error = load_in(dir.path()).unwrap_err();
    let why = crate::domain::outcome::Why::from_error(&error);
    assert_eq!(why.exit_code, Some(2));
    assert!(why.message.starts_with("load the configuration: /"), "{}", why.message);
}
