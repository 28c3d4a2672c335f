//! A router's rule, read far enough to tell two rules apart and to ask what it matches
//! (<https://doc.traefik.io/traefik/routing/routers/#rule>). Traefik itself judges whether a rule is valid.

/// One word of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// ``Host(`a.example`)``, and whether a `!` stands before it.
    Matcher { name: String, arguments: Vec<String>, negated: bool },
    /// `&&`, `||`, a bracket, or anything else.
    Other(String),
}

/// A request that a rule should match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The host; `None` when every host will do.
    pub host: Option<String>,
    /// The path.
    pub path: String,
}

/// The hosts that a rule names, in lower case.
pub fn hosts(rule: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words(rule) {
        if let Word::Matcher { name, arguments, negated: false } = word
            && name == "Host"
        {
            found.extend(arguments);
        }
    }
    found
}

/// A plain GET request that matches the rule, or what hinders making one up.
pub fn asked(rule: &str) -> Result<Asked, String> {
    let words = words(rule);
    let mut alternatives = vec![Vec::new()];
    let mut depth = 0_i32;
    for word in words {
        match &word {
            Word::Other(other) if other == "(" => depth += 1,
            Word::Other(other) if other == ")" => depth -= 1,
            Word::Other(other) if other == "||" && depth == 0 => alternatives.push(Vec::new()),
            _ => {}
        }
        if let Some(last) = alternatives.last_mut() {
            last.push(word);
        }
    }
    let mut hindrance = "it has no matcher".to_owned();
    for alternative in alternatives {
        match made_up(&alternative) {
            Ok(asked) => return Ok(asked),
            Err(why) => hindrance = why,
        }
    }
    Err(hindrance)
}

fn made_up(words: &[Word]) -> Result<Asked, String> {
    let (mut host, mut path, mut matchers) = (None, None, 0);
    let mut before = "";
    for word in words {
        match word {
            Word::Other(other) if before == "!" && other == "(" => return Err("it negates a group".to_owned()),
            Word::Other(other) => before = other,
            Word::Matcher { negated: true, .. } => before = "",
            Word::Matcher { name, arguments, .. } => {
                before = "";
                matchers += 1;
                let first = arguments.first().cloned();
                match name.as_str() {
                    "Host" => host = host.or(first),
                    "Path" | "PathPrefix" => path = path.or(first),
                    "Method" if arguments.iter().any(|m| m == "GET") => {}
                    other => return Err(format!("it asks for {other} too")),
                }
            }
        }
    }
    if matchers == 0 {
        return Err("it has no matcher".to_owned());
    }
    Ok(Asked { host, path: path.filter(|p| p.starts_with('/')).unwrap_or_else(|| "/".to_owned()) })
}

/// The rule in a form that does not depend on spaces, quotes, the case of hosts, or the order of what is joined by `&&`.
pub fn canonical(rule: &str) -> String {
    let words = words(rule);
    let shown = |word: &Word| match word {
        Word::Other(other) => other.clone(),
        Word::Matcher { name, arguments, negated } => {
            let mut arguments = arguments.clone();
            arguments.sort();
            format!("{}{name}({arguments:?})", if *negated { "!" } else { "" })
        }
    };
    let mut texts: Vec<String> = words.iter().map(shown).collect();
    if words.iter().all(|w| matches!(w, Word::Matcher { .. }) || matches!(w, Word::Other(o) if o == "&&")) {
        texts.retain(|text| text != "&&");
        texts.sort();
        return texts.join(" && ");
    }
    texts.join(" ")
}

fn words(rule: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = rest_of(rule);
    while let Some(first) = rest.chars().next() {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !name.is_empty() {
            let after = rest_of(&rest[name.len()..]);
            match after.strip_prefix('(').and_then(arguments) {
                Some((arguments, left)) => {
                    let negated = words.last() == Some(&Word::Other("!".to_owned()));
                    if negated {
                        words.pop();
                    }
                    let lower = |text: String| if name == "Host" { text.to_lowercase() } else { text };
                    let arguments = arguments.into_iter().map(lower).collect();
                    words.push(Word::Matcher { name, arguments, negated });
                    rest = rest_of(left);
                }
                None => {
                    words.push(Word::Other(name));
                    rest = after;
                }
            }
            continue;
        }
        let length = if rest.starts_with("&&") || rest.starts_with("||") { 2 } else { first.len_utf8() };
        words.push(Word::Other(rest[..length].to_owned()));
        rest = rest_of(&rest[length..]);
    }
    words
}

fn rest_of(text: &str) -> &str {
    text.trim_start()
}

/// Quoted arguments up to the closing bracket, and what follows it.
fn arguments(mut rest: &str) -> Option<(Vec<String>, &str)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(left) = rest.strip_prefix(')') {
            return Some((found, left));
        }
        let quote = rest.chars().next().filter(|c| matches!(c, '`' | '"' | '\''))?;
        let (argument, left) = rest[1..].split_once(quote)?;
        found.push(argument.to_owned());
        rest = left.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(host: Option<&str>, path: &str) -> Result<Asked, String> {
        Ok(Asked { host: host.map(str::to_owned), path: path.to_owned() })
    }

    #[test]
    fn a_request_is_made_up_that_the_rule_matches() {
        assert_eq!(asked("Host(`a.example`)"), plain(Some("a.example"), "/"));
        assert_eq!(asked("Host(`A.example`) && PathPrefix(`/api`)"), plain(Some("a.example"), "/api"));
        assert_eq!(asked("PathPrefix(\"/x\")"), plain(None, "/x"));
        let either = "Host(`a.example`) && (PathPrefix(`/api`) || PathPrefix(`/v2`)) && !Path(`/api/x`)";
        assert_eq!(asked(either), plain(Some("a.example"), "/api"));
        assert_eq!(asked("HostRegexp(`.+`) || Host(`b.example`)"), plain(Some("b.example"), "/"));
        assert_eq!(asked("Host(`a`) && ClientIP(`10.0.0.0/8`)").unwrap_err(), "it asks for ClientIP too");
        assert_eq!(asked("Host(`a`) && !(Path(`/`))").unwrap_err(), "it negates a group");
        assert!(asked("").is_err());
        assert!(asked("Host(a.example").is_err(), "an unquoted argument is nothing that can be asked");
    }

    #[test]
    fn rules_that_mean_the_same_are_the_same() {
        let rule = "Host(`a.example`) && PathPrefix(`/api`)";
        assert_eq!(canonical(rule), canonical("PathPrefix(\"/api\")&&Host(`A.EXAMPLE`)"));
        assert_eq!(canonical("Host(`a`, `b`)"), canonical("Host(`b`,`a`)"));
        assert_ne!(canonical(rule), canonical("Host(`a.example`) || PathPrefix(`/api`)"));
        assert_ne!(canonical(rule), canonical("Host(`a.example`) && PathPrefix(`/API`)"));
        assert_ne!(canonical("Host(`a`)"), canonical("!Host(`a`)"));
    }

    #[test]
    fn hosts_are_those_that_are_wanted() {
        assert_eq!(hosts("Host(`A.example`, `b.example`) && !Host(`c.example`)"), ["a.example", "b.example"]);
    }
}
