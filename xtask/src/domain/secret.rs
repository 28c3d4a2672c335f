//! A value that must never be seen: passwords and keys on their way to a child's environment.
//! It must not learn to print itself: no `Display`, no `Serialize`, and `Debug` says `[REDACTED]`.

/// What stands wherever a secret would have been printed.
pub const REDACTED: &str = "[REDACTED]";

/// A secret text. Only [`Secret::expose`] gives it out, so every use is easy to find.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that hands it to a child.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_value() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), REDACTED);
    }
}
