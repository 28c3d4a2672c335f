//! Restoring into a folder where a database really is: where the copy is proven, how it takes the other's place, and single tables.
//! It must not know what is in the copy.

use super::{database, judge_target, staged, verb};
use crate::domain::artifact::Component;
use crate::domain::engine::{Act, Preflight, Target};
use crate::domain::exchange::{Exchange, Wish};
use crate::domain::exec::quote;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::timeline::Phase;

/// Where it is restored first, and what the one that is there is called afterwards.
fn companions(at: &Target, tag: &str) -> (Target, Target) {
    let named = |word: &str| Target { name: format!("{}_{word}_{tag}", at.name), ..at.clone() };
    (named("restore"), named("before"))
}

/// See [`crate::domain::engine::Engine::exchange`].
pub fn exchange(at: &Target, from: &Component, wish: &Wish) -> Exchange {
    let (beside, previous) = companions(at, &wish.tag);
    // The copy that is proven, the copy of what is there, and the journal through which the one goes into the other.
    let needs = from.data().map_or(0, |d| d.plain.bytes).saturating_mul(3);
    let look = verb("vacant", &beside).args(["--needs", &needs.to_string()]);
    let title = "see whether there is room for three copies";
    let obstacle = Preflight { title, act: Act::run(Phase::Provision, "look for room", look), judge: judge_target };
    let mut exec = verb("exchange", at).arg(database(&beside)).arg(database(&previous));
    for (wanted, word) in [(wish.keep, "--keep"), (wish.replace, "--replace")] {
        if wanted {
            exec = exec.arg(word);
        }
    }
    Exchange {
        questions: Vec::new(),
        obstacles: vec![obstacle],
        room: None,
        swap: Act::run(Phase::Index, "put the proven database in its place", exec),
        landed: None,
        after: None,
        removal: format!("rm {}", quote(&database(&previous))),
        previous: wish.keep.then(|| database(&previous)),
        beside,
        notes: Vec::new(),
    }
}

/// See [`crate::domain::engine::Engine::clear`].
pub fn clear(at: &Target, tag: &str) -> Vec<Act> {
    let (beside, previous) = companions(at, tag);
    let exec = verb("clear", at).arg(database(&beside)).arg(database(&previous));
    vec![Act::run(Phase::Provision, "remove what an unfinished restore left", exec)]
}

/// See [`crate::domain::engine::Engine::restore_tables`].
pub fn tables(at: &Target, wanted: &[String], contents: &str) -> Result<Vec<Act>, Refusal> {
    if let Some(unknown) = wanted.iter().find(|object| !contents.lines().any(|l| l == *object)) {
        let message = format!("the backup does not hold {unknown}");
        return Err(Refusal::new(RefusalKind::BadArtifact, message, "restore from a set that holds it"));
    }
    let exec = verb("tables", at).arg(staged(at));
    Ok(vec![Act::text(Phase::Load, "replace the tables, all of them or none", exec, wanted.join("\n"))])
}
