//! The environment of one service: its env files in order, then what is written at the service itself.
//! It must not know what the variables mean; their values are secret.

use super::fields::{flag, mapping, only, text, wrong};
use super::mounts::tidy;
use super::node::{Kind, Node, Style};
use super::source;
use crate::adapters::environment::{self, Lookup};
use crate::domain::compose::Variable;
use crate::domain::place::Place;
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;
use std::collections::BTreeMap;
use std::path::Path;

/// Env files in order, then `environment`; a name without a value takes it from outside, or is left out.
pub(super) fn environment_of(
    node: &Node,
    folder: &Path,
    lookup: Lookup<'_>,
) -> Result<BTreeMap<String, Variable>, Refusal> {
    let mut all = BTreeMap::new();
    for (path, required, at) in env_files(node)? {
        let path = tidy(&folder.join(path));
        let Some(bytes) = source::read_if_there(&path)? else {
            if !required {
                continue;
            }
            let cause = format!("env file {} is not there", path.display());
            return Err(at.refuse(cause, "create it from its example, or write `required: false`"));
        };
        for variable in environment::parse(&bytes, &path, lookup)? {
            let at = Place::new(&path, variable.line, 1);
            all.insert(variable.name, Variable { value: Secret::new(variable.value), at });
        }
    }
    if let Some(own) = node.get("environment") {
        for (key, value) in mapping(own, "`environment`")? {
            let at = value.at.place();
            match &value.kind {
                Kind::Null => match lookup(&key.text) {
                    Some(found) => drop(all.insert(key.text.to_string(), Variable { value: Secret::new(found), at })),
                    None => drop(all.remove(&*key.text)),
                },
                Kind::Text(text, style) => {
                    if *style == Style::Plain && rewritten(text) {
                        let cause = format!(
                            "the unquoted value of `{}` is a number to YAML, and Compose writes it differently",
                            key.text
                        );
                        return Err(at.refuse(cause, "put quotes around it"));
                    }
                    all.insert(key.text.to_string(), Variable { value: Secret::new(&**text), at });
                }
                _ => return Err(wrong(value, &format!("variable `{}`", key.text), "a single value")),
            }
        }
    }
    Ok(all)
}

/// Path, whether it must be there, and where it is named.
fn env_files(node: &Node) -> Result<Vec<(String, bool, Place)>, Refusal> {
    let Some(files) = node.get("env_file") else { return Ok(Vec::new()) };
    let items: Vec<Node> = match &files.kind {
        Kind::List(items) => (**items).clone(),
        Kind::Null => Vec::new(),
        _ => vec![files.clone()],
    };
    let mut found = Vec::new();
    for item in items {
        let at = item.at.place();
        if matches!(item.kind, Kind::Map(_)) {
            only(&item, "`env_file`", &["path", "required", "format"])?;
            if let Some(format) = item.get("format") {
                return Err(format
                    .at
                    .place()
                    .refuse("env files of another format are not read", "remove `format`: the usual grammar is read"));
            }
            let path = item.get("path").ok_or_else(|| at.refuse("`env_file` without `path`", "say which file"))?;
            let required = item.get("required").map(|n| flag(n, "`required`")).transpose()?.unwrap_or(true);
            found.push((text(path, "`path`")?, required, at));
        } else {
            found.push((text(&item, "`env_file`")?, true, at));
        }
    }
    Ok(found)
}

/// Whether YAML takes this plain text for a number or date whose text Compose does not keep (`010` becomes `8`).
fn rewritten(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole {
        return text.starts_with('+') || (digits.len() > 1 && digits.starts_with('0')) || digits.len() > 18;
    }
    let based = ["0x", "0o", "0b"].iter().any(|p| digits.starts_with(p));
    let date = digits.len() >= 8
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        && digits.matches('-').count() == 2;
    based || date || digits.replace('_', "").parse::<f64>().is_ok_and(|number| number.to_string() != text)
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    #[test]
    fn plain_values_that_compose_would_write_differently_are_known() {
        for text in ["010", "0x1F", "1.10", "1e3", "1_000", "2001-01-01", "0o17", "+5", "12345678901234567890", ".5"] {
            assert!(rewritten(text), "{text}");
        }
        for text in ["10", "0", "-5", "1.5", "22:22", "1.2.3", "10.0.0.1", "abc", "5432", "2024", "1GB", "8e", "yes"] {
            assert!(!rewritten(text), "{text}");
        }
    }
}
