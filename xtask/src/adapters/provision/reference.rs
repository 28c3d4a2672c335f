//! Image references as stacks write them, and which major of the public PostgreSQL image one stands for. Pure.
//! It must not know which majors can be built here.

/// An image reference taken apart: `host/path/name:tag@digest`.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    /// Everything before tag and digest.
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

fn split(reference: &str) -> Reference<'_> {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash belongs to the host's port.
    let name_starts = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[name_starts..].split_once(':') {
        Some((name, tag)) => Reference { name: &rest[..name_starts + name.len()], tag: Some(tag), digest },
        None => Reference { name: rest, tag: None, digest },
    }
}

/// The major of the public `postgres` image that this reference means; `newest` for references that name none.
///
/// # Errors
/// Why no image of ours could stand in for it, as the second half of a sentence.
pub(super) fn postgres_major(reference: &str, newest: &str, own: &str) -> Result<String, String> {
    let parts = split(reference.trim());
    if !is_public_postgres(parts.name) && parts.name != own {
        return Err(format!(
            "`{}` is not the public postgres image: a stand-in would lack what its makers put into it",
            parts.name
        ));
    }
    match parts.tag {
        None if parts.digest.is_some() => {
            Err(format!("`{reference}` has a digest and no tag, so its version is not known: add the tag"))
        }
        None => Ok(newest.to_owned()),
        Some(tag) => major_of_tag(tag, newest),
    }
}

/// The public image's own names: `postgres`, `library/postgres`, either after the public registry's host, and the second also after
/// a mirror's host. A bare `host/postgres` may be anything.
fn is_public_postgres(name: &str) -> bool {
    let (host, path) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, name),
    };
    match host {
        None | Some("docker.io" | "index.docker.io") => path == "postgres" || path == "library/postgres",
        Some(_) => path == "library/postgres" || path.ends_with("/library/postgres"),
    }
}

/// `15`, `15.6`, `15-alpine3.19`, `15.6-bookworm`, `alpine`, `latest`: the public image's tags. Any other suffix may mean more software.
fn major_of_tag(tag: &str, newest: &str) -> Result<String, String> {
    let (version, flavour) = match tag.split_once('-') {
        Some((version, flavour)) => (version, Some(flavour)),
        None if is_flavour(tag) => ("latest", Some(tag)),
        None => (tag, None),
    };
    if let Some(flavour) = flavour.filter(|f| !is_flavour(f)) {
        return Err(format!("tag `{tag}`: `{flavour}` is no flavour of the public postgres image"));
    }
    if version == "latest" {
        return Ok(newest.to_owned());
    }
    let numbers: Vec<&str> = version.split('.').collect();
    let plain = numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if plain && numbers.len() <= 2 && !numbers[0].starts_with('0') {
        Ok(numbers[0].to_owned())
    } else {
        Err(format!("tag `{tag}` names no released major version"))
    }
}

fn is_flavour(word: &str) -> bool {
    const SUITES: [&str; 7] = ["stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "sid"];
    let after_alpine = word.strip_prefix("alpine");
    SUITES.contains(&word) || after_alpine.is_some_and(|v| v.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "localhost/xtask-postgres";

    #[test]
    fn the_major_is_read_from_every_usual_way_to_name_the_public_image() {
        let digest = format!("postgres:15@sha256:{}", "a".repeat(64));
        for (reference, major) in [
            ("postgres", "17"),
            ("postgres:latest", "17"),
            ("postgres:alpine", "17"),
            ("postgres:trixie", "17"),
            ("postgres:15", "15"),
            (" postgres:15 ", "15"),
            ("postgres:15.6", "15"),
            ("postgres:15-alpine", "15"),
            ("postgres:15.6-alpine3.19", "15"),
            ("postgres:16-bookworm", "16"),
            ("library/postgres:17", "17"),
            ("docker.io/postgres:17", "17"),
            ("docker.io/library/postgres:17.2", "17"),
            ("mirror.example.com:5000/library/postgres:15", "15"),
            ("mirror.example.com/hub/library/postgres:15", "15"),
            ("localhost/xtask-postgres:15", "15"),
            (digest.as_str(), "15"),
        ] {
            assert_eq!(postgres_major(reference, "17", OWN).as_deref(), Ok(major), "{reference}");
        }
    }

    #[test]
    fn what_may_hold_more_than_the_public_image_or_no_known_version_is_refused() {
        let pinned = format!("postgres@sha256:{}", "a".repeat(64));
        for reference in [
            "postgis/postgis:15-3.4",
            "timescale/timescaledb:latest-pg15",
            "pgvector/pgvector:pg15",
            "bitnami/postgresql:15",
            "registry.example.com:5000/postgres:15",
            "localhost/postgres:15",
            "mycompany/postgres:15",
            "postgres:15-postgis",
            "postgres:15-alpine-wal2json",
            "postgres:17beta1",
            "postgres:17rc1-alpine",
            "postgres:",
            "postgres:15.",
            "postgres:015",
            "postgres:9.6.24",
            "",
            pinned.as_str(),
        ] {
            let refused = postgres_major(reference, "17", OWN);
            assert!(refused.is_err(), "{reference}: {refused:?}");
        }
    }
}
