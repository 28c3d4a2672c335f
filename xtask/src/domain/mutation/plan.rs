//! Which mutants there are, given a seed and a set. The same for ever: a survivor is found again by its number.

use super::{Change, Class, Field, Mutant, Other, Part, Replay, Shape, Subject, Tail};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    /// Each mutant has dice of its own, so that none depends on those before it.
    fn of(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).unwrap_or(0))
    }
}

/// So many mutants of this set, the first of them one of each class, so that few are still of every kind. Classes that cannot be tried
/// on it have none. Once the budget is spent, files whose damage can only be
/// found by reading an artifact are left alone, and the other files get those mutants.
pub fn plan(subject: &Subject, seed: u64, count: u64) -> Vec<Mutant> {
    let mut spent = 0;
    let open: Vec<Class> = Class::ALL.into_iter().filter(|c| c.share() > 0 && c.hindered(subject).is_none()).collect();
    let remade = subject.remade.as_ref().map_or(0, |n| (*n).min(count.saturating_sub(open.len() as u64)));
    (1..=count)
        .filter_map(|number| {
            let mut dice = Dice::of(seed, number);
            if number > count - remade {
                // Each kind in turn, so that few of them are still of every kind.
                let at = usize::try_from((number - 1) % Class::REMADE.len() as u64).unwrap_or(0);
                let class = Class::REMADE[at];
                return Some(Mutant { number, class, change: Change::Remake(class, dice.roll()) });
            }
            let rich = spent < subject.budget;
            let dealt = usize::try_from(number - 1).ok().and_then(|at| open.get(at)).copied();
            let class = dealt.or_else(|| chosen(&open, &mut dice))?;
            let certain = dealt.and_then(|class| certain(class, subject, &mut dice, rich));
            let change = certain.or_else(|| change(class, subject, &mut dice, rich))?;
            spent += cost(&change, subject);
            Some(Mutant { number, class, change })
        })
        .collect()
}

/// For the one mutant of its class that there may be: what surely changes something, and the data where that can be afforded.
fn certain(class: Class, subject: &Subject, dice: &mut Dice, rich: bool) -> Option<Change> {
    let artifacts: Vec<&Shape> = subject.files.iter().filter(|f| f.part == Part::Artifact && f.bytes > 0).collect();
    match class {
        Class::Flipped if rich => {
            let file = *dice.pick(&artifacts)?;
            Some(Change::Flip(file.name.clone(), dice.below(file.bytes), u8::try_from(dice.below(8)).unwrap_or(0)))
        }
        Class::Redigested => Some(Change::Redigest(Field::Tool)),
        Class::Stranger => Some(Change::Resign(Field::Tool)),
        _ => None,
    }
}

/// How many of them turn, cut or lengthen an artifact's stored bytes.
pub fn in_artifacts(mutants: &[&Mutant], subject: &Subject) -> usize {
    let hits = |m: &&&Mutant| match &m.change {
        Change::Flip(name, ..) | Change::Truncate(name, _) | Change::Append(name, _) => is_artifact(subject, name),
        _ => false,
    };
    mutants.iter().filter(hits).count()
}

fn chosen(open: &[Class], dice: &mut Dice) -> Option<Class> {
    let mut at = dice.below(open.iter().map(|c| c.share()).sum());
    open.iter().copied().find(|class| {
        let here = at < class.share();
        at = at.saturating_sub(class.share());
        here
    })
}

/// Bytes that are copied for the change, and may have to be read to see it.
fn cost(change: &Change, subject: &Subject) -> u64 {
    let all: u64 = subject.files.iter().map(|f| f.bytes).sum();
    let length = |name: &String| subject.files.iter().find(|f| f.name == *name).map_or(0, |f| f.bytes);
    match change {
        Change::Flip(name, ..) if is_artifact(subject, name) => length(name) + all,
        Change::Truncate(name, _) | Change::Append(name, _) => length(name),
        Change::SwapArtifact(name)
        | Change::Redigest(Field::Artifact(name, _))
        | Change::Resign(Field::Artifact(name, _)) => length(name) + all,
        Change::WrongKey => all,
        _ => 0,
    }
}

fn is_artifact(subject: &Subject, name: &str) -> bool {
    subject.files.iter().any(|f| f.name == name && f.part == Part::Artifact)
}

fn change(class: Class, subject: &Subject, dice: &mut Dice, rich: bool) -> Option<Change> {
    let counts = |f: &&Shape| f.part != Part::Signature || subject.trusted;
    let affordable = |f: &&Shape| rich || f.part != Part::Artifact;
    let all: Vec<&Shape> = subject.files.iter().filter(counts).collect();
    let cheap: Vec<&Shape> = all.iter().copied().filter(affordable).filter(|f| f.bytes > 0).collect();
    let any = |dice: &mut Dice, of: &[&Shape]| dice.pick(of).map(|f| (*f).clone());
    Some(match class {
        Class::Truncated => {
            let file = any(dice, &cheap)?;
            let to = match dice.below(8) {
                0 => 0,
                1 => file.bytes - 1,
                _ => dice.below(file.bytes),
            };
            Change::Truncate(file.name, to)
        }
        Class::Flipped => {
            // Half of the bits are the data's own.
            let artifacts: Vec<&Shape> = cheap.iter().copied().filter(|f| f.part == Part::Artifact).collect();
            let file =
                if dice.below(2) == 0 && !artifacts.is_empty() { any(dice, &artifacts) } else { any(dice, &cheap) }?;
            Change::Flip(file.name, dice.below(file.bytes), u8::try_from(dice.below(8)).unwrap_or(0))
        }
        Class::Appended => {
            let tail = match dice.below(3) {
                0 => Tail::Byte(u8::try_from(dice.below(256)).unwrap_or(0)),
                1 => Tail::Nuls(1 + dice.below(4096)),
                _ => Tail::Member,
            };
            Change::Append(any(dice, &cheap)?.name, tail)
        }
        Class::Removed => Change::Remove(any(dice, &all)?.name),
        Class::Extra => {
            let name = any(dice, &all)?.name;
            Change::Extra(match dice.below(4) {
                0 => format!(".{name}"),
                1 => format!("{name}.bak"),
                2 => format!("key-{:064x}.age", dice.roll()),
                _ => format!("{:016x}", dice.roll()),
            })
        }
        Class::Replaced => {
            let other = [Other::Folder, Other::Link, Other::Pipe];
            Change::Replace(any(dice, &all)?.name, *dice.pick(&other)?)
        }
        Class::WrongKey => Change::WrongKey,
        Class::SwappedManifest => Change::SwapManifest,
        Class::SwappedArtifact => Change::SwapArtifact(dice.pick(subject.before.as_ref()?)?.clone()),
        Class::Replayed => Change::Replay(*dice.pick(&[Replay::NewName, Replay::OldContent])?),
        Class::CatalogRemoved => {
            Change::CatalogRemove(usize::try_from(dice.below(subject.lines.len() as u64 - 1)).ok()?)
        }
        Class::CatalogAltered => {
            let line = usize::try_from(dice.below(subject.lines.len() as u64)).ok()?;
            let at = dice.below(*subject.lines.get(line)?);
            Change::CatalogFlip(line, at, u8::try_from(dice.below(8)).unwrap_or(0))
        }
        Class::Redigested => Change::Redigest(field(subject, dice, rich)?),
        Class::Stranger => Change::Resign(field(subject, dice, rich)?),
        _ => return None,
    })
}

fn field(subject: &Subject, dice: &mut Dice, rich: bool) -> Option<Field> {
    let artifacts: Vec<&Shape> = subject.files.iter().filter(|f| f.part == Part::Artifact && f.bytes > 0).collect();
    Some(match dice.below(3) {
        0 => Field::Tool,
        1 if rich && !artifacts.is_empty() => {
            let file = dice.pick(&artifacts)?;
            Field::Artifact(file.name.clone(), dice.below(file.bytes))
        }
        _ => Field::AsOf,
    })
}
