//! What was found out about a stack before anybody judges it: each part is known, or it is said why not.
//! Data only: whoever gathers it is in `flow`, whoever judges it in `checks`.

use super::check::Judged;

/// Something that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<T> {
    /// The answer.
    Known(T),
    /// Why there is none.
    Unknown(String),
}

impl<T> Fact<T> {
    /// The answer; without one the judgement notes that it could not be known.
    pub fn or_unknown(&self, judged: &mut Judged) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown(why) => {
                judged.unknown(why.clone(), "mend that and ask again");
                None
            }
        }
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Fact<T> {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Unknown(format!("{error:#}")), Self::Known)
    }
}
