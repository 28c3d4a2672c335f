//! The version of Docker Compose as its programs print it, and which versions will do. Pure.

/// A version, ordered: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComposeVersion(pub u32, pub u32, pub u32);

impl ComposeVersion {
    /// The first version in what `docker compose version [--short]` or `docker-compose version` prints: `2.26.1-4`,
    /// `Docker Compose version v2.20.0`, `docker-compose version 1.29.2, build unknown`.
    pub fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let word = word.strip_prefix('v').unwrap_or(word);
            let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
            let mut numbers = word[..end].trim_end_matches('.').split('.').map(str::parse);
            let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
            let patch = numbers.next().transpose().ok()?.unwrap_or(0);
            Some(Self(major, minor, patch))
        })
    }

    /// Whether it is a Compose that this tool works with. Version 1 reads another language and is not maintained.
    pub fn will_do(self) -> bool {
        self.0 >= 2
    }
}

impl std::fmt::Display for ComposeVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_programs_print() {
        for (text, version) in [
            ("2.26.1-4\n", Some(ComposeVersion(2, 26, 1))),
            ("Docker Compose version v2.20.0", Some(ComposeVersion(2, 20, 0))),
            ("Docker Compose version 2.26.1-4", Some(ComposeVersion(2, 26, 1))),
            ("v5.0.0-rc.1", Some(ComposeVersion(5, 0, 0))),
            ("docker-compose version 1.29.2, build unknown\ndocker-py version: 5.0.3", Some(ComposeVersion(1, 29, 2))),
            ("2.3", Some(ComposeVersion(2, 3, 0))),
            ("docker: 'compose' is not a docker command.", None),
            ("", None),
            ("dev", None),
        ] {
            assert_eq!(ComposeVersion::find(text), version, "{text}");
        }
    }

    #[test]
    fn version_one_will_not_do() {
        assert!(!ComposeVersion(1, 29, 2).will_do());
        assert!(ComposeVersion(2, 0, 0).will_do());
        assert!(ComposeVersion(5, 0, 0).will_do());
    }
}
