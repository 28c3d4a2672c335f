//! What must hold on the disk after every run, whatever happened to it: every promised set is there, whole and the same, what is
//! listed as sound is sound, leftovers are hidden, no lock stays, nothing contradicts itself. It must not know which fault it was.

use super::history::{Content, History, Known, VAULT};
use super::machine::Inode;
use super::runs::Broken;
use super::world::CANARY;
use std::io::Read;
use std::path::Path;
use xtask::archive::vault::{Listed, Vault};
use xtask::archive::{audit, catalog, manifest};

/// Whether a vault may hold something of this name.
fn may_be_there(name: &str) -> bool {
    let files = [".lock", catalog::NAME, audit::NAME];
    let notes = [".hold-", ".damaged-"].iter().any(|note| name.strip_prefix(note).is_some_and(manifest::is_id));
    files.contains(&name) || notes || manifest::is_id(name) || is_left(name)
}

fn is_left(name: &str) -> bool {
    name.starts_with(".partial-run-") || name.starts_with(".partial-the-other-run") || name.starts_with(".trash-")
}

impl History {
    /// Looks at everything, without any fault.
    pub fn look(&mut self) -> Result<(), Broken> {
        let locked = self.machine.state().locked();
        if locked > 0 {
            return Err(format!("{locked} locks are held, and nobody runs"));
        }
        if let Some(name) = self.names().into_iter().find(|name| !may_be_there(name)) {
            return Err(format!("{name} lies in the vault"));
        }
        if self.heard.0.lock().unwrap().iter().any(|said| said.contains(CANARY)) {
            return Err("an event tells the data".to_owned());
        }
        let (process, vault) = self.process(None);
        let found = self.sets(&vault).and_then(|()| self.order(&vault));
        drop(vault);
        self.machine.end(process, &mut self.rng);
        self.machine.state().looked();
        found
    }

    /// The names in the vault.
    pub fn names(&self) -> Vec<String> {
        let state = self.machine.state();
        let Ok(number) = state.find(Path::new(VAULT)) else { return Vec::new() };
        match state.inode(number) {
            Ok(Inode::Folder(folder)) => folder.seen.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn sets(&mut self, vault: &Vault) -> Result<(), Broken> {
        let listed = vault.list().map_err(|error| format!("the vault cannot be listed: {error:#}"))?;
        for one in &listed {
            self.set(vault, one)?;
        }
        let there = |id: &String| listed.iter().any(|one| one.id == *id);
        if let Some((id, _)) = self.known.iter().find(|(id, known)| !known.unsure && !there(id)) {
            return Err(format!("{id} was promised and is lost"));
        }
        self.known.retain(|id, _| there(id));
        Ok(())
    }

    fn set(&mut self, vault: &Vault, listed: &Listed) -> Result<(), Broken> {
        let id = &listed.id;
        if self.removed.contains(id) {
            return Err(format!("{id} was removed and is back"));
        }
        let known = self.known.get(id).or_else(|| self.limbo.get(id));
        if known.is_some() && !self.machine.state().changed(&Path::new(VAULT).join(id)) {
            return Ok(());
        }
        let read = match &listed.public {
            Ok(_) => read(vault, id),
            Err(why) => Err(why.clone()),
        };
        match (known, read) {
            (Some(Known { rotten: true, .. }), Ok(_)) => Err(format!("{id} is rotten and was read as sound")),
            (Some(Known { rotten: true, .. }), Err(_)) => Ok(()),
            (_, Err(why)) => Err(format!("{id} is listed and damaged: {why}")),
            (Some(known), Ok((content, _))) if content != known.content => Err(format!("{id} holds other data")),
            (Some(_), Ok(_)) => Ok(()),
            (None, Ok((content, sequence))) if self.unheard.contains(&content) => {
                self.tell(format!("{id} was committed by a run that died"));
                self.known.insert(id.clone(), Known { content, sequence, rotten: false, unsure: true });
                Ok(())
            }
            (None, Ok(_)) => Err(format!("{id} is listed, and no run that could have made it died")),
        }
    }

    /// What the sets say of each other, and the logs.
    fn order(&mut self, vault: &Vault) -> Result<(), Broken> {
        let against = vault.contradictions().map_err(|error| format!("nothing can be compared: {error:#}"))?;
        if let Some(what) = against.first() {
            return Err(format!("a false alarm: {what}"));
        }
        let (deeds, _) = vault.deeds().map_err(|error| format!("the audit log cannot be read: {error:#}"))?;
        let mut written = deeds.iter().map(|deed| &deed.run);
        match self.deeds.iter().find(|run| !written.any(|there| there == *run)) {
            Some(run) => Err(format!("the audit log lost the line of {run}")),
            None => Ok(()),
        }
    }

    /// What must hold when a backup has just gone well: nothing is left of any run before it.
    pub fn look_at_the_end(&mut self) -> Result<(), Broken> {
        if let Some(name) = self.names().into_iter().find(|name| is_left(name)) {
            return Err(format!("{name} was left by a dead run, and nobody removed it"));
        }
        if self.protection.encryption.is_on() {
            let state = self.machine.state();
            let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            if let Some((path, _)) = state.all_files().into_iter().find(|(_, bytes)| holds(bytes)) {
                return Err(format!("{path} holds data that is not encrypted"));
            }
        }
        Ok(())
    }
}

/// Every byte of a set, compared on the way: what it holds, and its number.
fn read(vault: &Vault, id: &str) -> Result<(Content, u64), String> {
    let set = vault.open(id).map_err(|error| format!("{error:#}"))?;
    set.verify().map_err(|error| format!("{error:#}"))?;
    let mut content = Content::new();
    for component in &set.manifest.components {
        for file in &component.files {
            let mut bytes = Vec::new();
            let read = set.plain(file).map(|mut plain| plain.read_to_end(&mut bytes));
            read.map_err(|error| format!("{error:#}"))?.map_err(|error| error.to_string())?;
            content.insert(component.store.clone(), bytes);
        }
    }
    Ok((content, set.manifest.sequence))
}
