//! The contract of every kind of site, held against containers. One test: the checks share an engine, and each opens a site.

use crate::contracts::{CHECKS, Rig};
use crate::docker_rig;
use std::panic::{AssertUnwindSafe, catch_unwind};
use xtask::adapters::docker::{DockerSites, NoRecipes, RunIdentity};
use xtask::domain::site::SiteSpec;

#[test]
fn container_sites_keep_the_contract_of_every_site() {
    let Some(rig) = docker_rig::Rig::new("container_sites_keep_the_contract_of_every_site") else { return };
    let broken: Vec<&str> = CHECKS
        .iter()
        .filter(|(name, check)| {
            // A run of its own for each: one check abandons its run.
            let run = RunIdentity::of_this_process(format!("{}-{name}", rig.run.run)).unwrap();
            let sites = DockerSites::connect(&run, std::sync::Arc::new(NoRecipes)).unwrap();
            let rig = Rig { sites: Box::new(sites), spec: SiteSpec::Container(rig.spec()), _keep: Box::new(()) };
            let kept = catch_unwind(AssertUnwindSafe(|| check(&rig)));
            rig.sites.abandon().unwrap();
            let left = docker_rig::labelled(&run.run);
            assert!(left.is_empty(), "{name} left {left:?}");
            kept.is_err()
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(broken.is_empty(), "{} of {} checks are broken: {}", broken.len(), CHECKS.len(), broken.join(", "));
}
