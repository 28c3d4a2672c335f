//! What an audit log says of one set: the failure that still stands, and how far the set is known since. A lower level disproves no
//! failure of a higher one. It must not know why a verification failed, nor what follows from it.

use super::deed::{Deed, Ending, What};
use super::level::Level;
use super::refusal::RefusalKind;

/// How a set stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing<'d> {
    /// The last verification that did not pass and that no later one has disproved.
    pub failure: Option<&'d Deed>,
    /// The last such one that found bytes or contents that are not those that were written, and the level at which it did.
    pub damage: Option<(&'d Deed, Level)>,
    /// The highest level that was reached since the last failure.
    pub reached: Option<Level>,
}

impl<'d> Standing<'d> {
    /// By the deeds of one set, oldest first. Only those that `count` prove anything; a failure always does.
    pub fn of(deeds: impl Iterator<Item = &'d Deed>, counts: impl Fn(&Deed) -> bool) -> Self {
        let mut standing = Self::default();
        let mut needed = Level::L2;
        for deed in deeds {
            match deed.ending {
                Ending::Failed | Ending::Broken if deed.what == What::Verify => {
                    let at = after(deed.level);
                    // What could not be known is known once everything was read.
                    needed = if deed.ending == Ending::Failed { needed.max(at) } else { needed };
                    standing.failure = Some(deed);
                    if deed.exit_code == Some(RefusalKind::Integrity.exit_code()) {
                        standing.damage = Some((deed, standing.damage.map_or(at, |(_, before)| before.max(at))));
                    }
                    standing.reached = None;
                }
                Ending::Passed if counts(deed) => {
                    let level = proven(deed);
                    standing.reached = standing.reached.max(level);
                    if deed.what == What::Verify && level >= Some(needed) {
                        (standing.failure, standing.damage, needed) = (None, None, Level::L2);
                    }
                }
                _ => {}
            }
        }
        standing
    }
}

/// What a deed proves of the whole set. Every commit reads back what it wrote, to L2.
fn proven(deed: &Deed) -> Option<Level> {
    match deed.what {
        What::Backup | What::Adopt => Some(Level::L2),
        What::Verify => deed.level,
        _ => None,
    }
}

/// The level that was not reached.
fn after(reached: Option<Level>) -> Level {
    Level::ALL.into_iter().find(|level| Some(*level) > reached).unwrap_or(Level::L4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(reached: Option<Level>) -> Deed {
        Deed { level: reached, ..Deed::new(What::Verify, "shop").of("x") }
    }

    fn failed(reached: Option<Level>, code: Option<u8>) -> Deed {
        Deed { ending: Ending::Failed, exit_code: code, ..verified(reached) }
    }

    #[test]
    fn a_failure_stands_until_the_level_that_failed_was_reached_and_at_least_l2() {
        let stands = |deeds: &[Deed]| Standing::of(deeds.iter(), |_| true).failure.is_some();
        let (l1, l2, l4) = (Some(Level::L1), Some(Level::L2), Some(Level::L4));
        assert!(stands(&[verified(l2), failed(l1, Some(13)), verified(l1)]));
        assert!(!stands(&[failed(l1, Some(13)), verified(l2)]));
        assert!(stands(&[failed(Some(Level::L3), None), verified(l2)]), "what failed at L4 is not disproved by L2");
        assert!(stands(&[failed(Some(Level::L3), None), failed(l1, None), verified(l2)]));
        assert!(!stands(&[failed(Some(Level::L3), None), verified(l4)]));
        let unknown = Deed { ending: Ending::Broken, ..verified(Some(Level::L3)) };
        assert!(!stands(&[unknown.clone(), verified(l2)]) && stands(&[unknown]));
        let uncounted = [failed(l1, None), verified(l4)];
        assert!(Standing::of(uncounted.iter(), |_| false).failure.is_some());
    }

    #[test]
    fn only_an_integrity_refusal_is_damage_and_a_level_counts_from_the_failure_on() {
        let deeds = [verified(Some(Level::L4)), failed(Some(Level::L1), Some(12)), verified(Some(Level::L0))];
        let standing = Standing::of(deeds.iter(), |_| true);
        assert_eq!((standing.damage, standing.reached), (None, Some(Level::L0)));
        let deeds = [failed(Some(Level::L1), Some(13)), failed(Some(Level::L0), Some(12))];
        let standing = Standing::of(deeds.iter(), |_| true);
        assert_eq!(
            standing.damage.map(|(_, level)| level),
            Some(Level::L2),
            "a later one of another kind hides it not"
        );
    }
}
