//! The table of contents of a custom-format archive, as `pg_restore --list` prints it, and which of its entries belong to
//! a table. It must not know why somebody asks.

use crate::domain::census::{Census, Entry};
use std::collections::BTreeSet;

/// A name of the census, `schema.name` as SQL writes it, taken apart: the words as they are, without quotes.
pub fn words(name: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                word.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => all.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    all.push(word);
    all
}

/// What hangs on a table and falls with it, by the backup's census: `(what, name)`, transitively; the kinds wanted are
/// `view`, `materialized view`, `foreign key`, `table`.
pub fn uses<'a>(census: &'a Census, of: &BTreeSet<String>, kinds: &[&'a str]) -> BTreeSet<(&'a str, String)> {
    let mut found = BTreeSet::new();
    let mut ask: Vec<String> = of.iter().cloned().collect();
    while let Some(used) = ask.pop() {
        let start = format!("use of {used} by ");
        for object in census.objects.keys().filter(|o| o.starts_with(&start)) {
            let by = &object[start.len()..];
            for kind in kinds {
                let Some(name) = by.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')) else { continue };
                if found.insert((*kind, name.to_owned())) {
                    ask.push(name.to_owned());
                }
            }
        }
    }
    found
}

/// The entries of a table (or view) in the words of the table of contents, without its foreign keys: those are made when
/// their rows are known to agree.
pub fn entries(census: &Census, name: &str) -> Vec<String> {
    let parts = words(name);
    let [schema, table] = parts.as_slice() else { return Vec::new() };
    let quoted = name.get(quoted_start(name)..).unwrap_or_default();
    let mut all = Vec::new();
    for kind in
        ["TABLE", "TABLE DATA", "TABLE ATTACH", "ROW SECURITY", "VIEW", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA"]
    {
        all.push(format!("{kind} {schema} {table}"));
    }
    all.push(format!("RULE {schema} {table} _RETURN"));
    for said in ["TABLE", "VIEW", "MATERIALIZED VIEW"] {
        all.extend(["ACL", "COMMENT"].map(|kind| format!("{kind} {schema} {said} {quoted}")));
    }
    for (object, entry) in &census.objects {
        if matches!(entry, Entry::Definition { table: Some(of), .. } if of == name) {
            all.extend(entries_of_part(object, name, (schema, table, quoted)));
        }
    }
    all
}

/// The entries of one part of a table: a column, a constraint, an index, a sequence.
fn entries_of_part(object: &str, name: &str, (schema, table, quoted): (&str, &str, &str)) -> Vec<String> {
    let inside = |kind: &str| {
        let rest = object.strip_prefix(kind)?.strip_prefix(name)?.strip_prefix('.')?;
        Some((words(rest).concat(), rest.to_owned()))
    };
    if let Some((part, sql)) = inside("column ") {
        return vec![
            format!("DEFAULT {schema} {table} {part}"),
            format!("ACL {schema} COLUMN {quoted}.{sql}"),
            format!("COMMENT {schema} COLUMN {quoted}.{sql}"),
        ];
    }
    for (kind, upper) in
        [("constraint ", "CONSTRAINT"), ("trigger ", "TRIGGER"), ("rule ", "RULE"), ("policy ", "POLICY")]
    {
        if let Some((part, sql)) = inside(kind) {
            let mut all =
                vec![format!("{upper} {schema} {table} {part}"), format!("COMMENT {schema} {upper} {sql} ON {quoted}")];
            if upper == "CONSTRAINT" {
                all.push(format!("CHECK CONSTRAINT {schema} {table} {part}"));
            }
            return all;
        }
    }
    let free = |kind: &str| {
        let rest = object.strip_prefix(kind)?;
        let parts = words(rest);
        let [schema, part] = parts.as_slice() else { return None };
        Some((schema.clone(), part.clone(), rest.get(quoted_start(rest)..).unwrap_or_default().to_owned()))
    };
    if let Some((schema, part, sql)) = free("options of sequence ") {
        return ["SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET"]
            .map(|kind| format!("{kind} {schema} {part}"))
            .into_iter()
            .chain(["ACL", "COMMENT"].map(|kind| format!("{kind} {schema} SEQUENCE {sql}")))
            .collect();
    }
    for (kind, upper) in [("index ", "INDEX"), ("statistics ", "STATISTICS")] {
        if let Some((schema, part, sql)) = free(kind) {
            return vec![
                format!("{upper} {schema} {part}"),
                format!("{upper} ATTACH {schema} {part}"),
                format!("COMMENT {schema} {upper} {sql}"),
            ];
        }
    }
    Vec::new()
}

/// Where the second word of `schema.name` begins.
fn quoted_start(name: &str) -> usize {
    let mut quoted = false;
    name.bytes()
        .position(|byte| {
            quoted ^= byte == b'"';
            byte == b'.' && !quoted
        })
        .map_or(0, |dot| dot + 1)
}

/// The lines of the table of contents that are these entries, in its own order: what `pg_restore --use-list` reads. Each
/// line ends with the owner's name; where a name with a space makes two lines fit, the shorter one is meant.
pub fn select(contents: &str, wanted: &[String]) -> String {
    let wanted: BTreeSet<String> = wanted.iter().map(|w| w.replace(['\n', '\r'], " ")).collect();
    let lines: Vec<(&str, &str)> = contents.lines().filter_map(|line| Some((line, tag(line)?))).collect();
    let mut chosen = BTreeSet::new();
    for entry in &wanted {
        let fits =
            |tag: &str| tag == entry || tag.strip_prefix(entry.as_str()).is_some_and(|rest| rest.starts_with(' '));
        let fitting = lines.iter().enumerate().filter(|(_, (_, tag))| fits(tag));
        chosen.extend(fitting.min_by_key(|(_, (_, tag))| tag.len()).map(|(at, _)| at));
    }
    chosen.into_iter().map(|at| format!("{}\n", lines[at].0)).collect()
}

/// What a line is about: all behind `id; oid oid `.
fn tag(line: &str) -> Option<&str> {
    let (id, rest) = line.split_once("; ")?;
    id.parse::<u32>().ok()?;
    rest.splitn(3, ' ').nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENTS: &str = r#"; Archive created
;     dbname: shop
244; 1259 17400 TABLE shop order_lines shop_owner
264; 1259 17552 TABLE shop order_lines old shop_owner
265; 1259 17553 TABLE shop Odd "Name", é the owner
3918; 0 0 COMMENT shop COLUMN order_lines.pieces shop_owner
3919; 0 0 ACL shop TABLE order_lines shop_owner
243; 1259 17399 SEQUENCE shop order_lines_id_seq shop_owner
3950; 0 0 SEQUENCE OWNED BY shop order_lines_id_seq shop_owner
3587; 2604 17403 DEFAULT shop order_lines id shop_owner
3872; 0 17400 TABLE DATA shop order_lines shop_owner
3983; 0 0 SEQUENCE SET shop order_lines_id_seq shop_owner
3640; 2606 17408 CONSTRAINT shop order_lines order_lines_pkey shop_owner
3641; 1259 17421 INDEX shop order_lines_product shop_owner
3689; 2606 17411 FK CONSTRAINT shop order_lines order_lines_order_fkey shop_owner
3690; 2606 17412 FK CONSTRAINT shop returns returns_line_fkey shop_owner
"#;

    fn census() -> Census {
        let line = |object: &str, table: &str| {
            format!(r#"{{"object":"{object}","kind":"definition","table":"{table}","digest":""}}"#)
        };
        let lines = [
            line("column shop.order_lines.id", "shop.order_lines"),
            line("column shop.order_lines.pieces", "shop.order_lines"),
            line("constraint shop.order_lines.order_lines_pkey", "shop.order_lines"),
            line("constraint shop.order_lines.order_lines_order_fkey", "shop.order_lines"),
            line("index shop.order_lines_product", "shop.order_lines"),
            line("options of sequence shop.order_lines_id_seq", "shop.order_lines"),
            line("use of shop.order_lines by view shop.open", "shop.order_lines"),
            line("use of shop.order_lines by foreign key shop.returns.returns_line_fkey", "shop.order_lines"),
            line("use of shop.open by materialized view shop.open_sum", "shop.open"),
        ];
        Census::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn a_table_brings_all_its_parts_but_no_foreign_key_and_no_namesake() {
        let list = select(CONTENTS, &entries(&census(), "shop.order_lines"));
        let ids: Vec<&str> = list.lines().map(|line| line.split(';').next().unwrap()).collect();
        assert_eq!(ids, ["244", "3918", "3919", "243", "3950", "3587", "3872", "3983", "3640", "3641"]);
    }

    #[test]
    fn odd_names_are_found_as_they_are() {
        assert_eq!(words(r#"shop."Odd ""Name"", é""#), ["shop", r#"Odd "Name", é"#]);
        assert_eq!(words(r#""a.b".c"#), ["a.b", "c"]);
        let list = select(CONTENTS, &entries(&census(), r#"shop."Odd ""Name"", é""#));
        assert_eq!(list, "265; 1259 17553 TABLE shop Odd \"Name\", é the owner\n");
        assert_eq!(select(CONTENTS, &entries(&census(), r#"shop."order_lines old""#)).lines().count(), 1);
        assert_eq!(select(CONTENTS, &entries(&census(), "shop.nowhere")), "");
    }

    #[test]
    fn views_fall_with_what_they_use() {
        let of = BTreeSet::from(["shop.order_lines".to_owned()]);
        let census = census();
        let found = uses(&census, &of, &["view", "materialized view"]);
        assert_eq!(
            found,
            BTreeSet::from([("view", "shop.open".into()), ("materialized view", "shop.open_sum".into())])
        );
    }
}
