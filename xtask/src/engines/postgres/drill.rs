//! What a drill does to a database of its own: fill it, go on using it, write marks, and strike.
//! It must not know how the damage is found or repaired.

use super::client::{SESSION, ident, maintenance, psql, psql_on};
use crate::domain::engine::{Act, Blow, MarkSession, MarkTable, Target};
use crate::domain::exec::Exec;
use crate::domain::scenario::Strike;
use crate::domain::timeline::Phase;

const SCHEMA: &str = include_str!("sql/seed_schema.sql");
const ROWS: &str = include_str!("sql/seed_rows.sql");
const CHURN: &str = include_str!("sql/churn.sql");
const CORRUPT: &str = include_str!("sql/corrupt.sql");

/// A shop of about this many bytes.
pub fn seed(at: &Target, bytes: u64) -> Vec<Act> {
    let quiet = "SET client_min_messages = warning;\n";
    vec![
        Act::text(Phase::Load, "create a shop", psql(at, "seed"), format!("{quiet}{SCHEMA}")),
        Act::text(Phase::Load, "fill the shop", psql(at, "seed"), format!("{quiet}\\set bytes {bytes}\n{ROWS}")),
    ]
}

/// What a backup cannot hold because it happened later.
pub fn churn(at: &Target) -> Vec<Act> {
    vec![Act::text(Phase::Load, "go on selling", psql(at, "churn"), CHURN)]
}

/// Both tables in one statement, which is one transaction; the acknowledgement follows the commit.
pub fn mark_session(at: &Target) -> MarkSession {
    let line = "WITH kept AS (INSERT INTO xtask_drill.mark_kept (seq) VALUES ({seq}) RETURNING seq) \
                INSERT INTO xtask_drill.mark_struck (seq) SELECT seq FROM kept; SELECT 'ack {seq}';\n";
    MarkSession { exec: psql(at, "marks").env("PGOPTIONS", "-c synchronous_commit=on"), line: line.into() }
}

/// The numbers that are there.
pub fn marks(at: &Target, of: MarkTable) -> Act {
    let table = match of {
        MarkTable::Kept => "mark_kept",
        MarkTable::Struck => "mark_struck",
    };
    let script = format!("SELECT seq FROM xtask_drill.{table} ORDER BY seq;\n");
    Act::text(Phase::Prove, format!("read {table}"), psql(at, "marks"), script)
}

/// The blows of each strike.
pub fn strike(at: &Target, strike: Strike) -> Vec<Blow> {
    match strike {
        Strike::DestroySite => vec![Blow::DestroySite],
        Strike::DeleteData => vec![Blow::Run(Act::text(
            Phase::Detect,
            "drop the database under its users",
            psql_on(at, maintenance(&at.name), "strike"),
            format!("DROP DATABASE {} WITH (FORCE);\n", ident(&at.name)),
        ))],
        Strike::Corrupt => vec![
            Blow::Run(Act::text(
                Phase::Detect,
                "drop a table, delete rows that others refer to",
                psql(at, "strike"),
                format!("{SESSION}{CORRUPT}"),
            )),
            Blow::Lookup(lookup(at, "find a table's file", "SELECT pg_relation_filepath('shop.events');")),
            Blow::Run(Act::run(Phase::Detect, "damage a page of that file", damage_page(at))),
            // Otherwise the server would go on serving the page from memory, or write the sound page back.
            Blow::Restart,
        ],
    }
}

fn lookup(at: &Target, title: &str, question: &str) -> Act {
    Act::text(Phase::Detect, title, psql(at, "strike"), format!("{question}\n"))
}

/// Overwrites the second half of the file's page 3, in place: any seed has more pages than that. The page's header
/// stays, so that nothing but the checksum can tell.
fn damage_page(at: &Target) -> Exec {
    let file = format!("of={}/{{lookup}}", at.root);
    Exec::site("dd").args(["if=/dev/urandom", &file]).args([
        "bs=4096",
        "seek=7",
        "count=1",
        "conv=notrunc,fsync",
        "status=none",
    ])
}

/// Whether a census object is one of the mark tables.
pub fn is_mark(object: &str) -> bool {
    matches!(object, "table xtask_drill.mark_kept" | "table xtask_drill.mark_struck")
}

/// What [`Strike::Corrupt`] damages: a dropped table each, the damaged page's table, and the table whose rows lost
/// their parents.
pub const CORRUPTED: [&str; 4] =
    ["table shop.order_lines", "table xtask_drill.mark_struck", "table shop.events", "table shop.orders"];
