//! SIGKILL at random moments of a restore of PostgreSQL: the database is the old one or the restored one, sets are whole, no lock and no
//! session stays, and what is left is cleared. XTASK_KILLS says how often.
#![expect(clippy::disallowed_methods, reason = "the program is killed at moments of its own time")]

use super::docker_shop::{Shop, poll};
use super::killed::{kill_after, kills};
use std::process::Stdio;
use std::time::Instant;

/// How often, when nobody says.
const KILLS: u32 = 2;

/// What a restore says on its way; killed after each of these, and after nothing.
const SAYS: [Option<&str>; 4] = [None, Some("restoring beside"), Some("proven equal"), Some("let the two databases")];

fn restore(set: &str) -> [&str; 9] {
    ["restore", "shop", set, "--to", "live", "--confirm", "shop", "--disconnect", "--drop-previous"]
}

#[test]
fn docker_killed_at_any_moment_a_restore_leaves_old_or_new_and_nothing_that_stays() {
    let test = "docker_killed_at_any_moment_a_restore_leaves_old_or_new_and_nothing_that_stays";
    let Some(shop) = Shop::open(test, 17) else { return };
    let (one, first) = (shop.digest(), shop.backup());
    shop.script(
        "DELETE FROM sales.orders WHERE id % 3 = 0; UPDATE sales.customer SET name = 'somebody else' WHERE id = 7",
    );
    let (two, second) = (shop.digest(), shop.backup());
    let begun = Instant::now();
    shop.done(&restore(&first));
    let whole = begun.elapsed();
    let (all, mut at_work, mut left) = (kills(KILLS), 0, 0);
    for number in 0..all {
        let after = SAYS[number as usize % SAYS.len()];
        let moment = whole.mul_f64(fastrand::f64() * if after.is_some() { 0.25 } else { 0.6 });
        let mut words = restore([&first, &second][fastrand::usize(..2)]).to_vec();
        if fastrand::u8(..4) > 0 {
            words.push("--without-safety-backup");
        }
        let mut child = shop.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        at_work += u32::from(kill_after(&mut child, after, moment));
        let at = format!("killed {moment:?} after {after:?}");
        let now = shop.digest();
        assert!(now == one || now == two, "{at}: the database is a mixture: {now}, neither {one} nor {two}");
        left += usize::from(shop.databases().iter().any(|d| d.contains("_restore_")));
        // With a sweep, or with the next restore; else the one after the next kill has two of them to clear.
        match number % 4 {
            1 => drop(shop.done(&["sweep"])),
            3 => {
                shop.done(&restore(&second));
                assert_eq!(shop.digest(), two, "{at}: the next restore");
            }
            _ => continue,
        }
        let now = shop.digest();
        assert!(now == one || now == two, "{at}: after the clearing: {now}");
        let stays: Vec<String> = shop.databases().into_iter().filter(|d| d.contains("_restore_")).collect();
        assert_eq!(stays, Vec::<String>::new(), "{at}: after the clearing");
        poll("no session of ours stays", || {
            shop.ask("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'xtask%'") == "0"
        });
    }
    shop.done(&["sweep"]);
    assert!(shop.databases().iter().all(|d| !d.contains("_restore_")), "{:?}", shop.databases());
    shop.done(&["verify", "shop", "all"]);
    println!("{all} kills, {at_work} while it was at work, {left} left a database to clear");
    assert!(at_work > 0, "of {all} kills none hit a restore");
    // Of a few kills it may be that none falls into the moments that leave something.
    assert!(all < 40 || left > 0, "no kill left anything: the clearing was not tried");
}
