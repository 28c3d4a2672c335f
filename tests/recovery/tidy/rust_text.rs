//! Rust source as the rules see it: comments, texts and characters blanked, and test code blanked where a rule is about
//! the product. A small scanner, not a parser: line and column of everything that stays are kept.

use super::Page;

const GATE: &str = "#[cfg(test)]";

/// The code alone: comments and the insides of literals become spaces.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// The product's code alone: [`code`] without what is compiled for tests only.
pub fn product(text: &str) -> String {
    let mut code = code(text);
    while let Some(start) = code.find(GATE) {
        let end = item_end(&code, start + GATE.len());
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blank);
    }
    code
}

/// The files (and folders, ending in `/`) that are compiled for tests only: what a file declares by `#[cfg(test)] mod x;`.
pub fn test_only(pages: &[Page]) -> Vec<String> {
    let mut found = Vec::new();
    for page in pages {
        let code = code(&page.text);
        let inside = page.path.trim_end_matches(".rs");
        let root = ["/lib", "/main"].iter().find_map(|name| inside.strip_suffix(name)).unwrap_or(inside);
        for (at, gate) in code.match_indices(GATE) {
            // Other attributes and a visibility may stand between; an inline module has a brace and no file.
            let item: String = code[at + gate.len()..].chars().take_while(|c| !";{".contains(*c)).collect();
            let ends = code[at + gate.len() + item.len()..].starts_with(';');
            let words: Vec<&str> = item.split_whitespace().collect();
            if let (true, [.., "mod", name]) = (ends, words.as_slice()) {
                found.extend([format!("{root}/{name}.rs"), format!("{root}/{name}/")]);
            }
        }
    }
    found
}

/// Whether one of these files and folders is or holds the path.
pub fn covers(list: &[String], path: &str) -> bool {
    list.iter().any(|entry| entry == path || entry.ends_with('/') && path.starts_with(entry.as_str()))
}

/// The lines (from 1) on which `word` stands in `code` as a whole word.
pub fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let found = code.match_indices(word).filter(|(at, _)| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let starts = word.starts_with(|c: char| c.is_alphanumeric());
        let ends = word.ends_with(|c: char| c.is_alphanumeric());
        !(starts && part(before) || ends && part(after))
    });
    found.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
}

/// Where the comment or literal that begins at `at` ends.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let next = |ahead: usize| chars.get(at + ahead).copied();
    let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next(1) == Some('/') => Some((at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())),
        '/' if next(1) == Some('*') => Some(block_comment_end(chars, at)),
        '"' => Some(quoted_end(chars, at, '"')),
        'r' if !word_before && matches!(next(1), Some('"' | '#')) => raw_end(chars, at + 1),
        'b' if !word_before && next(1) == Some('r') && matches!(next(2), Some('"' | '#')) => raw_end(chars, at + 2),
        // A character, not a lifetime: 'x' or an escape.
        '\'' if next(1) == Some('\\') || next(2) == Some('\'') => Some(quoted_end(chars, at, '\'')),
        _ => None,
    }
}

fn quoted_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn raw_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        return None; // a raw identifier
    }
    let closes =
        |i: &usize| chars[*i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    let quote = (at + hashes + 1..chars.len()).find(closes)?;
    Some((quote + 1 + hashes).min(chars.len()))
}

/// Where the item after an attribute ends: at its closing brace, or at a semicolon outside any bracket.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0usize;
    for (at, c) in code[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return from + at + 1;
                }
            }
            ';' if depth == 0 => return from + at + 1,
            _ => {}
        }
    }
    code.len()
}

mod tests {
    use super::{Page, code, covers, lines_with, product, test_only};

    #[test]
    fn comments_and_literals_are_blank() {
        let text =
            "a(\"b // c\", 'd', r#\"e\"f\"#, b\"g\"); // h\n/* i /* j */ k */ let l: &'static str = \"\\\"m\";\n";
        let code = code(text);
        for gone in ["b // c", "'d'", "e\"f", "g", "h", "i", "j", "m"] {
            assert!(lines_with(&code, gone).is_empty(), "{gone} in {code}");
        }
        assert_eq!(lines_with(&code, "static"), [2]);
        assert_eq!(code.len(), text.len());
    }

    #[test]
    fn test_code_is_not_the_products() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x[0]; }\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}\n";
        let product = product(text);
        for (word, lines) in [("a", vec![1]), ("b", vec![]), ("c", vec![6]), ("d", vec![]), ("e", vec![9])] {
            assert_eq!(lines_with(&product, word), lines, "{word}");
        }
    }

    #[test]
    fn files_of_tests_are_known_by_their_declaration() {
        let text = "#[cfg(test)]\nmod fixture;\n#[cfg(test)]\n#[path = \"x\"]\npub(crate) mod more;\n#[cfg(test)]\nmod inline { }\nmod real;\n";
        let page = Page { path: "xtask/src/a.rs".to_owned(), text: text.to_owned() };
        let list = test_only(&[page]);
        let known = ["a/fixture.rs", "a/fixture/b.rs", "a/more.rs", "a/inline.rs", "a/real.rs", "a.rs"];
        let covered = known.map(|path| covers(&list, &format!("xtask/src/{path}")));
        assert_eq!(covered, [true, true, true, false, false, false]);
    }
}
