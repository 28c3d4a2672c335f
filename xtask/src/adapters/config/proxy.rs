//! What `recovery.yaml` says of the Traefik in front of a stack: `traefik:`. Its login is named there, never written.
//! It must not know what Traefik is asked.

use super::fields::{mapping, only, text};
use super::node::Node;
use crate::adapters::environment::Lookup;
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;
use crate::domain::traefik::{Api, Proxy};
use std::collections::BTreeMap;

/// As it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct ProxyText {
    api: Option<Api>,
    entrypoints: BTreeMap<String, String>,
}

/// `traefik:` of a stack.
pub(super) fn written(node: &Node, of: &str) -> Result<ProxyText, Refusal> {
    let what = format!("`traefik` of {of}");
    only(node, &what, &["api", "login_from", "entrypoints"])?;
    let mut api = node.get("api").map(api).transpose()?;
    if let Some(name) = node.get("login_from") {
        let Some(api) = api.as_mut() else {
            return Err(name
                .at
                .place()
                .refuse("`login_from` without `api`", "write `api:`, the address that it is for"));
        };
        api.login_from = Some(text(name, "`login_from`")?);
        if !api.tls && !api.local() {
            let hint = "write an https:// address for `api`: everybody on the way could read the password";
            return Err(name.at.place().refuse("`login_from` for an address without encryption", hint));
        }
    }
    let mut entrypoints = BTreeMap::new();
    if let Some(doors) = node.get("entrypoints") {
        for (key, node) in mapping(doors, &format!("`entrypoints` of {what}"))? {
            let written = text(node, &format!("entry point `{}`", key.text))?;
            if address(&written).is_none() {
                let cause = format!("entry point `{}` is no address", key.text);
                return Err(node.at.place().refuse(cause, "write `host:port`, for example 127.0.0.1:80"));
            }
            entrypoints.insert(key.text.to_string(), written);
        }
    }
    Ok(ProxyText { api, entrypoints })
}

fn api(node: &Node) -> Result<Api, Refusal> {
    let written = text(node, "`api`")?;
    let wrong = |cause: &str| node.at.place().refuse(cause, "write `http://host:port` or `https://host:port`");
    let (tls, rest, default) = match (written.strip_prefix("http://"), written.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest, 80),
        (_, Some(rest)) => (true, rest, 443),
        _ => return Err(wrong("`api` is no http address")),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        let hint = "write `login_from: NAME_OF_A_VARIABLE`; the variable holds user:password";
        return Err(node.at.place().refuse("a login in `api` itself", hint));
    }
    let (host, port) = match address(rest) {
        Some((host, port)) => (host, port),
        None if !rest.is_empty() && !rest.contains([':', '/', '?', '#']) => (rest.to_owned(), default),
        None => return Err(wrong("`api` is no http address, or has a path")),
    };
    Ok(Api { tls, host, port, login_from: None, login: None })
}

/// `host:port`, `[v6]:port`.
fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let valid = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    valid.then(|| (bare.unwrap_or(host).to_owned(), port))
}

/// With the login that it names. A variable that is not set concerns only the task that needs it.
pub(super) fn resolve(written: &ProxyText, lookup: Lookup<'_>) -> Proxy {
    let api = written.api.clone().map(|api| {
        let value = api.login_from.as_deref().and_then(lookup).filter(|value| !value.is_empty());
        Api { login: value.map(Secret::new), ..api }
    });
    Proxy { api, entrypoints: written.entrypoints.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Result<Proxy, Refusal> {
        let node = yaml::compose(text, Path::new("recovery.yaml"))?;
        let lookup = |name: &str| (name == "TRAEFIK_LOGIN").then(|| "ops:canary".to_owned());
        Ok(resolve(&written(&node, "stack `shop`")?, &lookup))
    }

    #[test]
    fn addresses_and_the_login_are_read() {
        let proxy =
            read("api: https://proxy.example\nlogin_from: TRAEFIK_LOGIN\nentrypoints: { web: '[::1]:80' }").unwrap();
        let api = proxy.api.unwrap();
        assert_eq!((api.shown().as_str(), api.local()), ("https://proxy.example:443", false));
        assert_eq!(api.login.as_ref().map(Secret::expose), Some("ops:canary"));
        assert!(!format!("{api:?}").contains("canary"));
        assert_eq!(proxy.entrypoints["web"], "[::1]:80");
        assert!(read("api: http://127.0.0.1:8080/").unwrap().api.unwrap().local());
    }

    #[test]
    fn what_is_no_address_is_refused_where_it_stands() {
        for (text, said) in [
            ("api: proxy:8080", "recovery.yaml:1:6: `api` is no http address"),
            ("api: http://h:1/dashboard", "`api` is no http address, or has a path"),
            ("api: https://u:p@h", "a login in `api` itself"),
            ("entrypoints: { web: '80' }", "entry point `web` is no address"),
            ("entrypoints: { web: 'h:0' }", "entry point `web` is no address"),
            ("login_from: X", "`login_from` without `api`"),
            ("api: http://h:80\nlogin_from: X", "without encryption"),
            ("apo: x", "unknown key `apo`"),
        ] {
            let refused = read(text).unwrap_err().message;
            assert!(refused.contains(said), "{text}: {refused}");
            assert!(!refused.contains("u:p"));
        }
    }
}
