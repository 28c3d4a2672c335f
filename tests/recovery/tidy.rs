//! The house rules as tests: they read the tree and nothing else. Each rule is a function over a path and a text, and
//! each has a test that plants a violation and sees it reported, so that no rule can go quiet.

mod documents;
mod layers;
mod lists;
mod policy;
mod reliability;
mod rooms;
mod rust_text;
mod scripts;
mod tools;
mod words;
mod workflow_audit;
mod workflows;

use std::path::{Path, PathBuf};

/// One file of the repository.
pub struct Page {
    /// Its path from the repository's root, with `/`.
    pub path: String,
    /// Its text; empty for what is not text.
    pub text: String,
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_path_buf()
}

/// Every file that belongs to the repository, in order.
pub fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    walk(&root(), "", &mut pages);
    assert!(pages.len() > 50, "only {} files found: is this the repository?", pages.len());
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    pages
}

/// The files whose path starts and ends like this.
pub fn pages_in(folder: &str, ending: &str) -> Vec<Page> {
    let found: Vec<Page> =
        pages().into_iter().filter(|p| p.path.starts_with(folder) && p.path.ends_with(ending)).collect();
    assert!(!found.is_empty(), "no file {folder}*{ending}: a rule with nothing to look at is not green");
    found
}

/// One file's text.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// Fails with every finding.
pub fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n{}", findings.len(), findings.join("\n"));
}

fn walk(folder: &Path, prefix: &str, pages: &mut Vec<Page>) {
    for entry in std::fs::read_dir(folder).expect("read a folder of the repository") {
        let entry = entry.expect("read a folder of the repository");
        let name = entry.file_name().to_string_lossy().into_owned();
        // What Git ignores, and Git itself.
        if prefix.is_empty() && [".git", "target", ".cache", "backups"].contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("read a folder of the repository");
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), pages);
        } else if kind.is_file() {
            let text = String::from_utf8(std::fs::read(entry.path()).unwrap_or_default()).unwrap_or_default();
            pages.push(Page { path, text });
        }
    }
}
