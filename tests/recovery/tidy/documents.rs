//! Documents that a program can check are checked: commands, versions, exit codes, links.

use super::{assert_none, pages, pages_in, root, text};
use xtask::domain::refusal::RefusalKind;

/// Exit codes that are not a refusal's.
const GENERAL: [(&str, &str); 6] = [
    ("0", "passed"),
    ("1", "failed"),
    ("3", "broken"),
    ("129", "hung-up"),
    ("130", "interrupted"),
    ("143", "terminated"),
];

/// The table that the code demands: code and word, in numerical order.
fn wanted_codes() -> Vec<(String, String)> {
    let mut wanted: Vec<(String, String)> = GENERAL.iter().map(|(c, w)| ((*c).to_owned(), (*w).to_owned())).collect();
    for kind in RefusalKind::ALL {
        let word = serde_json::to_value(kind).expect("a kind has a word");
        wanted.push((kind.exit_code().to_string(), word.as_str().expect("its word is a text").to_owned()));
    }
    wanted.sort_by_key(|(code, _)| code.parse::<u8>().expect("codes are numbers"));
    wanted
}

/// Code and word of every row `| 12 | \`word\` | … |` of a document.
fn written_codes(document: &str) -> Vec<(String, String)> {
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let code = cells.first().filter(|c| c.parse::<u8>().is_ok())?;
        Some(((*code).to_owned(), cells.get(1)?.trim_matches('`').to_owned()))
    });
    rows.collect()
}

/// Links to files of this repository that are not there.
fn broken_links(path: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            let target: String = line[at + 2..].chars().take_while(|c| *c != ')').collect();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
            for part in file.split('/').filter(|p| *p != ".") {
                if part == ".." {
                    parts.pop();
                } else {
                    parts.push(part);
                }
            }
            if !exists(&parts.join("/")) {
                found.push(format!("{path}:{}: {target} is not there", number + 1));
            }
        }
    }
    found
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let words = ["TODO", "TBD", "FIXME", "XXX", "lorem ipsum", "coming soon"];
    let lines = text.lines().enumerate().filter(|(_, line)| words.iter().any(|w| line.contains(w)));
    lines.map(|(number, line)| format!("{path}:{}: unfinished: {line}", number + 1)).collect()
}

#[test]
fn the_exit_codes_are_those_of_the_code() {
    assert_eq!(written_codes(&text("docs/exit-codes.md")), wanted_codes());
}

#[test]
fn the_readme_names_both_commands_and_the_changelog_this_version() {
    let readme = text("README.md");
    for command in ["cargo xtask test-recovery", "cargo xtask ci"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
    let heading = format!("## {}", env!("CARGO_PKG_VERSION"));
    let changes = text("CHANGELOG.md");
    assert!(changes.lines().any(|l| l == heading || l.starts_with(&format!("{heading} "))), "no `{heading}`");
}

#[test]
fn every_layer_and_module_list_is_in_the_map() {
    let map = text("docs/architecture.md");
    for layer in pages_in("xtask/src/", ".rs").iter().filter(|p| p.path.matches('/').count() == 2) {
        let name = layer.path.trim_start_matches("xtask/src/").trim_end_matches(".rs");
        assert!(map.contains(&format!("`{name}")), "docs/architecture.md does not name `{name}`");
    }
}

#[test]
fn every_link_leads_to_a_file_and_nothing_is_unfinished() {
    let exists = |path: &str| root().join(path).exists();
    let documents = pages().into_iter().filter(|p| p.path.ends_with(".md"));
    let findings: Vec<String> = documents
        .flat_map(|p| [broken_links(&p.path, &p.text, &exists), unfinished(&p.path, &p.text)].concat())
        .collect();
    assert_none(&findings);
}

#[test]
fn every_decision_has_its_number_once() {
    let mut numbers: Vec<String> = Vec::new();
    for page in pages_in("docs/decisions/", ".md") {
        let name = page.path.trim_start_matches("docs/decisions/");
        let number: String = name.chars().take(4).collect();
        assert!(number.parse::<u16>().is_ok() && name.get(4..5) == Some("-"), "{name}: must begin with its number");
        assert!(!numbers.contains(&number), "{number} twice");
        assert!(page.text.starts_with("# "), "{name}: must begin with its title");
        numbers.push(number);
    }
}

#[test]
fn a_planted_untruth_is_reported() {
    let mut rows = wanted_codes();
    rows.remove(3);
    let table: String = rows.iter().map(|(code, word)| format!("| {code} | `{word}` | what |\n")).collect();
    assert_eq!(written_codes(&table), rows);
    assert_ne!(written_codes(&table), wanted_codes());

    let exists = |path: &str| path == "docs/there.md";
    let link = |to: &str| broken_links("docs/a.md", &format!("see [b]({to})"), &exists).len();
    assert_eq!([link("there.md"), link("../docs/there.md#x"), link("not.md"), link("../there.md")], [0, 0, 1, 1]);
    assert_eq!(unfinished("a.md", concat!("a\nTO", "DO: b")).len(), 1);
}
