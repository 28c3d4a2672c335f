//! `$NAME`, `${NAME}`, `${NAME:-default}` and their kin, as Compose 2 reads them.

use super::{Fault, Lookup};

/// Defaults may hold further variables, so deep.
const DEEPEST: usize = 16;

/// The text with every variable filled in.
pub(super) fn fill(text: &str, lookup: Lookup<'_>) -> Result<String, Fault> {
    filled(text, 0, 0, lookup)
}

fn filled(text: &str, base: usize, depth: usize, lookup: Lookup<'_>) -> Result<String, Fault> {
    if depth > DEEPEST {
        return Err(Fault::new(base, "variables nested too deep", format!("at most {DEEPEST} levels are read")));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let at = base + (text.len() - rest.len()) + dollar;
        let after = &rest[dollar + 1..];
        if let Some(more) = after.strip_prefix('$') {
            out.push('$');
            rest = more;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing(inside).ok_or_else(|| broken(at, "`${` is never closed"))?;
            out.push_str(&braced(&inside[..end], at, depth, lookup)?);
            rest = &inside[end + 1..];
        } else {
            let name = name_of(after);
            if name.is_empty() {
                out.push('$');
            } else {
                out.push_str(&lookup(name).ok_or_else(|| unset(at, name))?);
            }
            rest = &after[name.len()..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands between the braces, filled in.
fn braced(inside: &str, at: usize, depth: usize, lookup: Lookup<'_>) -> Result<String, Fault> {
    let name = name_of(inside);
    if name.is_empty() {
        return Err(broken(at, "`${` without the name of a variable"));
    }
    let rule = &inside[name.len()..];
    let value = lookup(name);
    let (present, rule) = match rule.strip_prefix(':') {
        Some(rule) => (value.as_ref().is_some_and(|v| !v.is_empty()), rule),
        None => (value.is_some(), rule),
    };
    let start = at + 2 + (inside.len() - rule.len()) + 1;
    let alternative = |text: &str| filled(text, start, depth + 1, lookup);
    match (rule.chars().next(), rule.get(1..).unwrap_or("")) {
        (None, _) if !inside.ends_with(':') => value.ok_or_else(|| unset(at, name)),
        (Some('-'), default) if !present => alternative(default),
        (Some('+'), instead) if present => alternative(instead),
        (Some('+'), _) => Ok(String::new()),
        (Some('?'), message) if !present => {
            // As written, not filled in: it may name a secret.
            let colon = if message.is_empty() { "" } else { ": " };
            Err(Fault::new(at, format!("`{name}` is required and has no value{colon}{message}"), set_it(name)))
        }
        (Some('-' | '?'), _) => Ok(value.unwrap_or_default()),
        _ => Err(broken(at, "`${…}` is not in a known form")),
    }
}

/// Where the brace that is open already is closed; only `${` opens another.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'}' if open == 1 => return Some(i),
            b'}' => open -= 1,
            b'$' if bytes.get(i + 1) == Some(&b'{') => {
                open += 1;
                i += 1;
            }
            _ => {}
        }
        i += 1;
    }
    None
}

/// The variable's name that the text starts with; empty when there is none.
fn name_of(text: &str) -> &str {
    let sound = |(i, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit());
    let end = text.char_indices().find(|&c| !sound(c)).map_or(text.len(), |(i, _)| i);
    &text[..end]
}

fn unset(at: usize, name: &str) -> Fault {
    Fault::new(at, format!("variable `{name}` is set nowhere and has no default"), set_it(name))
}

fn set_it(name: &str) -> String {
    format!("set `{name}` in the env file or the environment, or write a default: ${{{name}:-…}}")
}

fn broken(at: usize, cause: &str) -> Fault {
    Fault::new(
        at,
        cause,
        "write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+instead}; $$ is a plain dollar sign",
    )
}
