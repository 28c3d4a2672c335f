//! Faults around pruning real vaults: damage, future dates, failing backups, readers, links, and a kill at every step.
//! Each must be seen to have happened; what is left afterwards is whole to its last byte.

use super::cli::{ends, xtask};
use super::files::{attached, database};
use super::rig::{Rig, holds_only};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xshell::{Shell, cmd};
use xtask::adapters::clock::SystemClock;
use xtask::archive::vault::Vault;
use xtask::domain::mark::Moment;
use xtask::domain::retention::Policy;
use xtask::flow::prune::{Order, Pruned, apply};
use xtask::ports::Clock;

/// A clock that shows whatever date it is told; durations are real.
struct Dated(SystemClock, Mutex<jiff::Timestamp>);

impl Clock for Dated {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> jiff::Timestamp {
        *self.1.lock().unwrap()
    }

    fn sleep(&self, time: Duration) {
        self.0.sleep(time);
    }
}

/// A stack with one small database, and a vault that is filled at chosen dates.
struct Shop {
    rig: Rig,
    clock: Arc<Dated>,
    today: jiff::Timestamp,
}

const POLICY: &str = "{ daily: 3, weekly: 0, monthly: 0, floor: 2 }";

impl Shop {
    fn new() -> Self {
        let mut rig = Rig::folders();
        let today = rig.world.clock.wall();
        let clock = Arc::new(Dated(SystemClock::start(), Mutex::new(today)));
        rig.world.clock = clock.clone();
        std::fs::create_dir(rig.path("data")).unwrap();
        database(&rig.path("data/app.db"), 1);
        let text = format!(
            "stacks:\n  shop:\n    folder: .\n    stores: {{ app: {{ engine: sqlite, path: data/app.db }} }}\n    \
             backups: {{ vault: vault, retention: {POLICY} }}\n"
        );
        std::fs::write(rig.path("recovery.yaml"), text).unwrap();
        Self { rig, clock, today }
    }

    /// One set a day, the last one yesterday.
    fn with_days(days: i64) -> Self {
        let shop = Self::new();
        (1..=days).rev().for_each(|ago| drop(shop.backup(-ago).unwrap()));
        shop
    }

    /// A backup so many days from now; the id of its set.
    fn backup(&self, days: i64) -> anyhow::Result<String> {
        *self.clock.1.lock().unwrap() = self.today + jiff::SignedDuration::from_hours(24 * days);
        let (store, site, at) = attached(&self.rig, &self.rig.path("data"), "app.db");
        Ok(self.rig.backup(&store, site.as_ref(), &at)?.set.manifest.id)
    }

    fn ids(&self) -> Vec<String> {
        Vault::at(&self.rig.vault()).list().unwrap().into_iter().map(|listed| listed.id).collect()
    }

    fn folder(&self) -> PathBuf {
        self.rig.path("")
    }

    fn prune(&self, words: &[&str]) -> (i32, String) {
        xtask(&self.folder(), &[&["prune", "shop"], words].concat())
    }
}

/// The words of the line of this set.
#[track_caller]
fn line<'s>(said: &'s str, id: &str) -> &'s str {
    said.lines().find(|l| l.contains(id)).unwrap_or_else(|| panic!("no line of {id}: {said}"))
}

/// The ids on lines that begin with this word.
fn with_word(said: &str, word: &str) -> Vec<String> {
    let words = |l: &str| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut ids: Vec<String> =
        said.lines().map(words).filter(|l| l.first().is_some_and(|w| w == word)).map(|l| l[1].clone()).collect();
    ids.reverse();
    ids
}

#[test]
fn f39_without_apply_nothing_is_removed_and_with_it_exactly_what_was_shown() {
    let shop = Shop::with_days(6);
    let before = shop.ids();
    for words in [&[] as &[&str], &["--plan"], &["--plan", "--apply"], &["--json"]] {
        let (code, said) = shop.prune(words);
        assert_eq!((code, shop.ids()), (0, before.clone()), "{words:?}: {said}");
    }
    let (_, shown) = shop.prune(&[]);
    assert_eq!(with_word(&shown, "REMOVE"), before[..3], "{shown}");
    assert!(
        shown.contains("Nothing was removed. To remove 3 sets") && shown.contains("cargo xtask prune shop --apply")
    );
    assert!(
        line(&shown, &before[5]).contains("good, read") && line(&shown, &before[5]).ends_with("newest, floor, daily")
    );
    assert!(line(&shown, &before[3]).contains("good by record"), "{shown}");
    let (code, done) = shop.prune(&["--apply", "--json"]);
    // What is told on standard error comes behind it.
    let json: serde_json::Value =
        serde_json::Deserializer::from_str(&done).into_iter().next().unwrap().unwrap_or_else(|e| panic!("{e}: {done}"));
    assert_eq!((code, json["applied"].as_bool(), json["good"].as_u64()), (0, Some(true), Some(6)), "{done}");
    let removed = json["sets"].as_array().unwrap().iter().filter(|s| s["decision"] == "removed").count();
    assert_eq!((removed, shop.ids()), (3, before[3..].to_vec()));
    holds_only(&shop.rig.vault(), 3);
    let (code, again) = shop.prune(&["--apply"]);
    assert_eq!((code, shop.ids()), (0, before[3..].to_vec()), "{again}");
    assert!(again.contains("0 sets removed"), "{again}");
}

/// Flips one bit in the middle of a set's artifact, so that only reading it tells.
fn flip(shop: &Shop, id: &str) {
    let path = shop.rig.vault().join(id).join("app.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    assert!(Vault::at(&shop.rig.vault()).find(id).unwrap().verify().is_err(), "the damage is real");
}

#[test]
fn f40_a_set_is_removed_only_when_the_one_that_keeps_its_place_was_read_and_is_good() {
    let shop = Shop::new();
    let twin = shop.backup(-4).unwrap();
    let keeper = shop.backup(-4).unwrap();
    for ago in [3, 2, 1] {
        shop.backup(-ago).unwrap();
    }
    let policy = |daily| {
        let text = std::fs::read_to_string(shop.rig.path("recovery.yaml")).unwrap();
        std::fs::write(shop.rig.path("recovery.yaml"), text.replace("daily: 3", daily)).unwrap();
    };
    policy("daily: 4");
    flip(&shop, &keeper);
    let (code, said) = shop.prune(&["--apply"]);
    assert!(shop.ids().contains(&twin), "{said}");
    assert!(code == 13 && line(&said, &keeper).contains("damaged"), "{said}");
    assert!(line(&said, &twin).contains("daily"), "{said}");
}

#[test]
fn f40_a_corrupt_newest_set_is_not_counted_and_older_ones_stay() {
    let shop = Shop::with_days(6);
    let ids = shop.ids();
    flip(&shop, &ids[5]);
    let (code, said) = shop.prune(&["--apply"]);
    assert_eq!(code, 13, "{said}");
    assert_eq!(shop.ids(), ids[2..], "three good ones and the damaged: {said}");
    let damaged = line(&said, &ids[5]);
    assert!(
        damaged.starts_with("FLAG") && damaged.contains("damaged") && damaged.contains("not yet replaced"),
        "{damaged}"
    );
    assert!(line(&said, &ids[4]).contains("newest, floor, daily"), "{said}");
    // Two newer good ones replace it.
    shop.backup(0).unwrap();
    let (_, said) = shop.prune(&["--apply"]);
    assert!(line(&said, &ids[5]).starts_with("FLAG"), "{said}");
    // By now the floor is filled without it, so that nobody reads it again: what was found is remembered.
    shop.backup(0).unwrap();
    let (code, said) = shop.prune(&["--apply"]);
    assert!(code == 13 && line(&said, &ids[5]).starts_with("REMOVED"), "{said}");
    let (code, said) = shop.prune(&[]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn f40_a_vault_with_fewer_good_sets_than_the_floor_loses_nothing() {
    let shop = Shop::with_days(5);
    let ids = shop.ids();
    ids[1..].iter().for_each(|id| flip(&shop, id));
    let (code, said) = shop.prune(&["--apply"]);
    assert_eq!((code, shop.ids()), (13, ids), "{said}");
    assert!(said.contains("Nothing is removed: 1 set good, and the floor is 2"), "{said}");
    assert!(said.contains("cargo xtask backup shop"), "{said}");
}

#[test]
fn f41_a_set_dated_in_the_future_is_flagged_and_makes_nothing_old() {
    let shop = Shop::with_days(6);
    let before = shop.ids();
    let ahead = shop.backup(400).unwrap();
    let (code, said) = shop.prune(&["--apply"]);
    assert_eq!(code, 1, "{said}");
    assert!(line(&said, &ahead).starts_with("FLAG") && line(&said, &ahead).ends_with("dated in the future"), "{said}");
    assert_eq!(shop.ids(), [&before[3..], &[ahead]].concat(), "the same three as without it");
}

#[test]
fn f38_flaw_14_after_a_week_of_failing_backups_with_a_prune_after_each_the_good_sets_are_there() {
    let shop = Shop::new();
    let folder = shop.rig.vault();
    let vault = Vault::at(&folder);
    let policy = Policy { daily: 3, weekly: 2, monthly: 2, floor: 2 };
    let order = Order { stack: "shop", vault: &vault, policy };
    let prune = || -> Pruned { apply(&shop.rig.world, &order).unwrap() };
    for night in -16..-8 {
        shop.backup(night).unwrap();
        assert!(prune().failure.is_none());
    }
    let good = shop.ids();
    let sound = std::fs::read(shop.rig.path("data/app.db")).unwrap();
    for night in -8..0 {
        std::fs::write(shop.rig.path("data/app.db"), b"").unwrap();
        let error = shop.backup(night).expect_err("the backup must fail");
        assert!(format!("{error:#}").contains("0 bytes"), "{error:#}");
        assert_eq!(prune().good, good.len());
        assert_eq!(shop.ids(), good, "night {night}");
    }
    assert!(good.len() >= 4, "{good:?}");
    holds_only(&folder, good.len());
    std::fs::write(shop.rig.path("data/app.db"), sound).unwrap();
    shop.backup(0).unwrap();
}

#[test]
fn what_is_read_or_on_hold_stays_and_links_are_not_followed() {
    let shop = Shop::with_days(7);
    let ids = shop.ids();
    let reader = Vault::at(&shop.rig.vault()).find(&ids[0]).unwrap();
    let (code, said) = shop.prune(&["--hold", &ids[1]]);
    assert_eq!(code, 0, "{said}");
    let real = shop.rig.path("elsewhere");
    std::fs::rename(shop.rig.vault().join(&ids[2]), &real).unwrap();
    std::os::unix::fs::symlink(&real, shop.rig.vault().join(&ids[2])).unwrap();
    std::fs::create_dir(shop.rig.vault().join("lost+found")).unwrap();

    let (code, said) = shop.prune(&["--apply"]);
    assert_eq!(code, 3, "nobody can tell what the link is: {said}");
    assert_eq!(with_word(&said, "REMOVED"), [ids[3].clone()]);
    for (id, why) in
        [(&ids[0], "being read"), (&ids[1], "on hold"), (&ids[2], "is a link"), (&"lost+found".into(), "never touched")]
    {
        assert!(line(&said, id).contains(why), "{why}: {said}");
    }
    assert!(real.join("manifest.json").exists() && shop.rig.vault().join("lost+found").exists());
    reader.verify().unwrap();

    drop(reader);
    std::fs::remove_file(shop.rig.vault().join(&ids[2])).unwrap();
    assert_eq!(shop.prune(&["--release", &ids[1]]).0, 0);
    let (code, said) = shop.prune(&["--apply"]);
    assert_eq!((code, shop.ids()), (0, [&["lost+found".to_owned()], &ids[4..]].concat()), "{said}");
}

#[test]
fn a_set_of_one_store_only_takes_no_place_from_one_of_all() {
    let shop = Shop::with_days(3);
    let text = std::fs::read_to_string(shop.rig.path("recovery.yaml")).unwrap();
    let two = text.replace("app: {", "app: { engine: sqlite, path: data/app.db }, other: {");
    std::fs::write(shop.rig.path("recovery.yaml"), two).unwrap();
    let full: Vec<String> = (0..2).map(|_| taken(&shop.folder(), &["backup", "shop"])).collect();
    (0..4).for_each(|_| drop(taken(&shop.folder(), &["backup", "shop", "--store", "app"])));
    let (code, said) = shop.prune(&["--apply"]);
    assert_eq!(code, 0, "{said}");
    full.iter().for_each(|id| assert!(line(&said, id).starts_with("KEEP"), "{said}"));
    assert_eq!(with_word(&said, "REMOVED").len(), 3, "a day of old, and two of the sets of one store: {said}");
}

/// The id of the set that this backup makes.
fn taken(folder: &Path, words: &[&str]) -> String {
    let (code, said) = xtask(folder, words);
    assert_eq!(code, 0, "{said}");
    said.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_vault_without_a_set_and_one_in_use_are_refused() {
    let shop = Shop::new();
    ends(&shop.folder(), &["prune", "shop"], 10, &["holds no backup set"], "cargo xtask backup shop");
    ends(&shop.folder(), &["prune", "shop", "--apply"], 10, &["holds no backup set"], "cargo xtask backup shop");
    shop.backup(-1).unwrap();
    let held = Vault::at(&shop.rig.vault()).begin("shop", "the-other-run", shop.today).unwrap();
    ends(&shop.folder(), &["prune", "shop", "--apply"], 11, &["in use by run the-other-run"], "wait");
    let (code, said) = shop.prune(&[]);
    assert_eq!(code, 0, "looking waits for nobody: {said}");
    drop(held);
    ends(
        &shop.folder(),
        &["prune", "shop", "--hold", "20200101T000000Z-000001-aaaa"],
        10,
        &["no backup set"],
        "there are",
    );
}

/// Runs `prune --apply` under `strace` with this fault, for calls on this path only if there is one; its exit status, or `None` after saying that there is no `strace`.
fn struck(test: &str, shop: &Shop, inject: &str, path: Option<&Path>) -> Option<i32> {
    let shell = Shell::new().unwrap();
    shell.change_dir(shop.folder());
    if cmd!(shell, "strace -V").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        println!("SKIPPED {test}: strace is not here");
        return None;
    }
    let own = env!("CARGO_BIN_EXE_xtask");
    let log = shop.rig.path("strace.log");
    let call = inject.split(':').next().unwrap();
    let path = path.iter().flat_map(|path| ["-P".to_owned(), path.display().to_string()]);
    let done = cmd!(shell, "strace -f -o {log} {path...} -e trace={call} -e inject={inject} {own} prune shop --apply");
    let done = done.quiet().ignore_status().ignore_stdout().ignore_stderr().output().unwrap();
    // A process that is killed takes its tracer with it.
    Some(done.status.code().unwrap_or(137))
}

#[test]
fn f39_a_kill_at_every_unlink_leaves_every_listed_set_whole() {
    let mut kills = 0;
    for call in ["unlinkat", "fsync", "renameat2"] {
        for when in 1.. {
            let shop = Shop::with_days(5);
            let before = shop.ids();
            let inject = format!("{call}:signal=SIGKILL:when={when}");
            let Some(code) = struck("a kill at every unlink", &shop, &inject, None) else { return };
            if code == 0 {
                assert!(when > 1, "no {call} was ever made");
                break;
            }
            assert_eq!(code, 137, "{inject}");
            kills += 1;
            let listed = shop.ids();
            assert!(before.ends_with(&listed) && listed.len() >= 3, "{inject}: {listed:?}");
            let vault = Vault::at(&shop.rig.vault());
            listed.iter().for_each(|id| assert!(vault.find(id).unwrap().verify().unwrap() > 0));
            let (code, said) = shop.prune(&["--apply"]);
            assert_eq!((code, shop.ids()), (0, before[2..].to_vec()), "{inject}: {said}");
            holds_only(&shop.rig.vault(), 3);
        }
    }
    assert!(kills >= 12, "{kills} kills: two sets, each with three files, a folder, a rename and a sync");
}

#[test]
fn a_rename_that_is_not_durable_removes_nothing() {
    let shop = Shop::with_days(4);
    let before = shop.ids();
    let Some(code) = struck("a rename that is not durable", &shop, "fsync:error=EIO:when=1+", None) else { return };
    assert_eq!((code, shop.ids()), (21, before));
    holds_only(&shop.rig.vault(), 4);
}

#[test]
fn a_set_that_the_disk_does_not_give_back_is_not_taken_for_damaged() {
    // The oldest, which no rule keeps, and the newest, which is read to its last byte.
    for (call, which) in [("openat", 0), ("openat", 5), ("read", 5)] {
        let shop = Shop::with_days(6);
        let before = shop.ids();
        let path = shop.rig.vault().join(&before[which]).join("app.db");
        let inject = format!("{call}:error=EIO:when=1+");
        let Some(code) = struck("a disk that does not answer", &shop, &inject, Some(&path)) else { return };
        assert!(std::fs::read_to_string(shop.rig.path("strace.log")).unwrap().contains("(INJECTED)"), "{call}");
        let left = if which == 0 { [&before[..1], &before[3..]].concat() } else { before[2..].to_vec() };
        assert_eq!((code, shop.ids()), (3, left), "{call} of set {which}");
    }
}
