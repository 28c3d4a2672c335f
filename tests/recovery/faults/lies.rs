//! Producers that say that all is well after a part of their output, met without an engine for containers: nothing but the archive's
//! own end tells.

use super::files::{attached, database};
use super::rig::{Rig, holds_only, refused};
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use xtask::domain::engine::Target;
use xtask::domain::exec::{Exec, Exit};
use xtask::domain::refusal::RefusalKind;
use xtask::domain::site::{Attachment, SiteIdentity};
use xtask::domain::store::{Location, Root, Store};
use xtask::engines;
use xtask::flow::visit;
use xtask::ports::{Control, Running, Site};

/// A site whose producer leaves out the end of what it has to write, and declares what it wrote.
struct Lying<'a> {
    site: &'a dyn Site,
    verb: &'static str,
    /// How much of so many bytes it writes.
    keeps: fn(usize) -> usize,
    fired: AtomicUsize,
}

struct Well(u64);

impl Control for Well {
    fn wait(&mut self) -> anyhow::Result<Exit> {
        Ok(Exit { declared_bytes: Some(self.0), ..Exit::default() })
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl Site for Lying<'_> {
    fn identity(&self) -> SiteIdentity {
        self.site.identity()
    }

    fn start(&self, exec: &Exec) -> anyhow::Result<Running> {
        let mut running = self.site.start(exec)?;
        if exec.args.get(1).map(String::as_str) != Some(self.verb) {
            return Ok(running);
        }
        let mut said = Vec::new();
        running.stdout.read_to_end(&mut said)?;
        assert!(running.control.wait()?.ok(), "the honest half of it");
        let whole = said.len();
        said.truncate((self.keeps)(whole));
        if said.len() < whole {
            self.fired.fetch_add(1, Ordering::SeqCst);
        }
        let control = Box::new(Well(said.len() as u64));
        Ok(Running { stdin: None, stdout: Box::new(Cursor::new(said)), control })
    }

    fn logs(&self, lines: usize) -> anyhow::Result<String> {
        self.site.logs(lines)
    }

    fn scratch(&self) -> String {
        self.site.scratch()
    }
}

/// The folder as a store of files.
fn uploads(rig: &Rig, folder: &Path) -> (Store, Box<dyn Site>, Target) {
    let engine = engines::find("files").unwrap();
    let location = Location::Folder { root: Root::Host(folder.to_owned()), path: "uploads".into() };
    let store = Store { name: "app".to_owned(), location, ..engine.rehearsal_store(None) };
    let site = rig.world.sites.attach(&Attachment::Folder(folder.to_owned())).unwrap();
    let target = visit::target(engine, &store, site.as_ref());
    (store, site, target)
}

#[test]
fn f02_a_producer_that_ends_well_after_a_part_of_its_output_makes_no_backup() {
    let rig = Rig::folders();
    let folder = rig.path("data");
    std::fs::create_dir_all(folder.join("uploads")).unwrap();
    database(&folder.join("app.db"), 20);
    std::fs::write(folder.join("uploads/photo.jpg"), [7; 20_000]).unwrap();
    std::fs::write(folder.join("uploads/empty.txt"), "").unwrap();
    let parts: [fn(usize) -> usize; 6] =
        [|_| 1, |whole| whole / 10, |whole| whole / 2, |whole| whole - 1024, |whole| whole - 512, |whole| whole - 1];
    for (vault, verb, (store, site, at)) in
        [("of-sqlite", "read", attached(&rig, &folder, "app.db")), ("of-files", "dump", uploads(&rig, &folder))]
    {
        let lying = |keeps| Lying { site: site.as_ref(), verb, keeps, fired: AtomicUsize::new(0) };
        let vault = rig.path(vault);
        let honest = lying(|whole| whole);
        rig.backup_into(&vault, &store, &honest, &at).expect("a sound backup comes first");
        for keeps in parts {
            let site = lying(keeps);
            let result = rig.backup_into(&vault, &store, &site, &at);
            assert_eq!(site.fired.into_inner(), 1, "{verb} was never cut");
            refused(result, RefusalKind::Producer, &["app", "ended well", "is not whole"], "run it again");
            holds_only(&vault, 1);
        }
        rig.backup_into(&vault, &store, &honest, &at).expect("it was the lie that was refused");
        holds_only(&vault, 2);
    }
}
