//! What is cleared after a restore that died before, in and after its exchange: each state is planted as the exchange leaves it.

use super::*;
use crate::adapters::tree::exchange::{Places, clear};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::os::unix::fs::MetadataExt;

/// A folder that holds `old`, the restored one beside it that holds `new`, and the places of a restore.
struct Scene {
    place: tempfile::TempDir,
    data: PathBuf,
    places: Places,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let (data, places) = (at("data"), Places { fresh: at("data.fresh"), previous: at("data.previous") });
        for (folder, file) in [(&data, "old"), (&places.fresh, "new")] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join(file), file).unwrap();
        }
        Self { place, data, places }
    }

    /// Notes which of the two is the restored one, as before the exchange.
    fn note(&self) {
        let number = std::fs::metadata(&self.places.fresh).unwrap().ino();
        std::fs::write(self.place.path().join("data.fresh.exchange"), number.to_string()).unwrap();
    }

    /// The step of the kernel's.
    fn change_names(&self) {
        renameat_with(CWD, &self.places.fresh, CWD, &self.data, RenameFlags::EXCHANGE).unwrap();
    }

    /// What `clear` says, what is there then, and what the folder and the one of before hold.
    fn cleared(&self) -> (String, Vec<String>, Vec<String>, Vec<String>) {
        let said = Said::of(b"", &[], |_, streams| clear(&self.data, &self.places, streams)).unwrap();
        let held = |folder: &Path| if folder.exists() { names(folder) } else { Vec::new() };
        (said.text().to_owned(), names(self.place.path()), held(&self.data), held(&self.places.previous))
    }
}

#[test]
fn before_the_exchange_the_restored_folder_goes_and_nothing_else() {
    for noted in [false, true] {
        let scene = Scene::new();
        std::fs::create_dir(scene.place.path().join("data.fresh.xtask-restore-partial")).unwrap();
        if noted {
            scene.note();
        }
        let (said, there, data, _) = scene.cleared();
        assert_eq!((said.as_str(), there, data), ("", vec!["data".to_owned()], vec!["old".to_owned()]), "{noted}");
    }
}

#[test]
fn after_the_exchange_what_was_there_gets_its_own_name_and_is_never_removed() {
    let scene = Scene::new();
    scene.note();
    scene.change_names();
    let (said, there, data, previous) = scene.cleared();
    assert_eq!(said, format!("kept={}\n", scene.places.previous.display()));
    assert_eq!((there, data), (vec!["data".to_owned(), "data.previous".to_owned()], vec!["new".to_owned()]));
    assert_eq!(previous, ["old"]);
    let (said, there, ..) = scene.cleared();
    assert_eq!((said.as_str(), there.len()), ("", 2), "clearing twice changes nothing");
}

#[test]
fn an_exchange_that_had_come_to_its_end_loses_its_note_alone() {
    let scene = Scene::new();
    scene.note();
    scene.change_names();
    std::fs::rename(&scene.places.fresh, &scene.places.previous).unwrap();
    let (said, there, data, previous) = scene.cleared();
    assert_eq!((said.as_str(), there.len()), ("", 2), "{there:?}");
    assert_eq!((data, previous), (vec!["new".to_owned()], vec!["old".to_owned()]));
}
