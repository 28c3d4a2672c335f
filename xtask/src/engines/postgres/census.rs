//! What a database holds: the scripts that hold a snapshot, count and digest everything, and diagnose damage.
//! It must not know how the answers are compared.

use super::client::{SESSION, psql};
use crate::domain::engine::{Act, Snapshot, Target};
use crate::domain::timeline::Phase;

const COUNTERS: &str = include_str!("sql/counters.sql");
const COUNTERS_PRINT: &str = include_str!("sql/counters_print.sql");
const DEFINITIONS: &str = include_str!("sql/definitions.sql");
/// Everything that has content, with the statement that counts and digests it.
pub const CONTENTS: &str = include_str!("sql/contents.sql");
const DIAGNOSE: &str = include_str!("sql/diagnose.sql");
/// A query of every foreign key.
pub const FOREIGN_KEYS: &str = include_str!("sql/foreign_keys.sql");
const HOLD: &str = include_str!("sql/hold.sql");
const LOCKABLE: &str = include_str!("sql/lockable.sql");
const HELD: &str = include_str!("sql/held.sql");
/// Each try waits for whoever changes tables right now, and sees what came of it.
const TRIES: usize = 8;
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n";

/// Everything within the snapshot: contents, definitions, and the counters that were read at its beginning.
fn contents_and_definitions() -> String {
    format!("SELECT statement FROM ({CONTENTS}) AS content \\gexec\n{DEFINITIONS}{COUNTERS_PRINT}")
}

/// A session whose snapshot `pg_dump` reads too. Tables are locked against being rewritten before the snapshot is taken: an
/// older snapshot finds a rewritten or truncated table empty. Sequences move outside of it: they are read before the dump may
/// begin and again, while nobody can have dropped them, after its end; the dump holds a value between these.
pub fn snapshot(at: &Target) -> Snapshot {
    let hold = HOLD.replace("{lockable}", LOCKABLE).replace("{counters}", COUNTERS).repeat(TRIES);
    Snapshot::Session {
        exec: psql(at, "snapshot"),
        open: format!("{SESSION}\\set held false\n{hold}{HELD}SELECT 'ready ' || pg_export_snapshot();\n"),
        census: format!("{}SELECT 'end';\n", contents_and_definitions()),
        close: format!("{COUNTERS}{COUNTERS_PRINT}COMMIT;\nSELECT 'end';\n\\q\n"),
    }
}

/// The same census, of now.
pub fn census(at: &Target) -> Act {
    let script = format!("{SESSION}{BEGIN}{COUNTERS}{}COMMIT;\n", contents_and_definitions());
    Act::text(Phase::Prove, "take the census", psql(at, "census"), script)
}

/// Reads everything and goes on when something cannot be read; counts rows whose parents are gone.
pub fn diagnose(at: &Target) -> Act {
    let contents = format!("SELECT pg_temp.xtask_read(object, statement) FROM ({CONTENTS}) AS content;\n");
    let script = format!("{SESSION}{COUNTERS}{DIAGNOSE}{contents}{DEFINITIONS}{COUNTERS_PRINT}{}", orphans());
    Act::text(Phase::Detect, "read everything", psql(at, "diagnose"), script)
}

/// A line for every foreign key: how many rows refer to rows that do not exist. A row with a NULL in its key refers to
/// nothing (MATCH SIMPLE). A key whose tables cannot be read has no line: its tables have theirs.
fn orphans() -> String {
    let question = "SELECT json_build_object(''object'', %L, ''kind'', ''orphans'', ''constraint'', %L, ''parent'', %L, \
                    ''rows'', count(*)) FROM %s child WHERE %s AND NOT EXISTS (SELECT FROM %s parent WHERE %s)";
    let words = "'table ' || child, name, 'table ' || parent, child_from, present, parent_from, same";
    format!(
        "SELECT answer FROM (SELECT pg_temp.xtask_read('', format('{question}', {words})) AS answer \
         FROM ({FOREIGN_KEYS}) AS key WHERE valid) AS line WHERE answer ->> 'kind' = 'orphans';\n"
    )
}
