//! Carrying out a strike: blow after blow, on an owned site only.

use crate::domain::census::Census;
use crate::domain::engine::{Act, Blow, Engine, Feed};
use crate::flow::backup::parse_census;
use crate::flow::child::plain_act;
use crate::flow::world::World;
use crate::ports::OwnedSite;
use anyhow::{Context, Result, ensure};

/// What a strike left, and what it took for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// What became of the site.
    pub after: After,
    /// Rows that no backup holds, as its commands said: they may stay lost.
    pub taken: Census,
}

/// What became of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It stands.
    Standing,
    /// Its server was restarted and must be waited for.
    Restarted,
    /// It is gone.
    Gone,
}

/// Strikes. There is no way to call this with a site that the run did not make.
pub fn strike(world: &World, site: &dyn OwnedSite, engine: &dyn Engine, blows: &[Blow]) -> Result<Struck> {
    ensure!(!blows.is_empty(), "a strike without blows strikes nothing");
    let mut after = After::Standing;
    let mut lookup = String::new();
    let mut taken = String::new();
    for blow in blows {
        match blow {
            Blow::Run(act) => {
                taken.push_str(&plain_act(world, site.as_site(), engine, &filled(act, &lookup))?);
            }
            Blow::Lookup(act) => {
                lookup = plain_act(world, site.as_site(), engine, &filled(act, &lookup))?.trim().to_owned();
                ensure!(!lookup.is_empty(), "{}: found nothing", act.title);
            }
            Blow::Restart => {
                site.restart().context("restart the server")?;
                after = After::Restarted;
            }
            Blow::DestroySite => {
                site.destroy().context("destroy the site")?;
                after = After::Gone;
            }
        }
    }
    Ok(Struck { after, taken: parse_census(&taken).context("read what the strike took")? })
}

fn filled(act: &Act, lookup: &str) -> Act {
    let mut act = act.clone();
    for arg in &mut act.exec.args {
        *arg = arg.replace("{lookup}", lookup);
    }
    if let Feed::Text(text) = &mut act.feed {
        *text = text.replace("{lookup}", lookup);
    }
    act
}
