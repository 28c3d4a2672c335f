//! A private apt root in the cache: this host's own mirrors, proxies and certificates, and nothing of its package state.
//! It must not know which packages are wanted. Nothing outside the cache folder is written.

use super::child::Children;
use super::trouble::Purpose;
use crate::adapters::processes::Environment;
use crate::domain::exec::Exec;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long refreshing the lists may take.
const UPDATE: Duration = Duration::from_secs(300);
/// How long asking apt or dpkg something without the network may take.
const ASK: Duration = Duration::from_secs(60);

/// apt's world for one Debian release: `<cache>/apt/<suite>`.
pub(super) struct AptRoot {
    pub(super) folder: PathBuf,
    /// An always empty archive folder: `--print-uris` leaves out what is downloaded already.
    pub(super) empty: PathBuf,
    /// dpkg's name of this machine's architecture.
    pub(super) architecture: String,
}

impl AptRoot {
    /// Makes the root and refreshes its lists, signatures checked by apt against `keyring`.
    ///
    /// # Errors
    /// A refusal by `purpose`: no apt here, no Debian mirrors, mirror unreachable, signature failure.
    pub(super) fn prepare(
        cache: &Path,
        suite: &str,
        keyring: &str,
        children: &Children,
        purpose: Purpose,
    ) -> Result<Self> {
        let apt = cache.join("apt");
        let folder = apt.join(suite);
        let quotable = |p: &Path| p.to_str().is_some_and(|p| !p.contains(['"', '\\', '\n']));
        if !quotable(&folder) {
            bail!(
                "the cache folder {} has a quote, a backslash or no text in its name, which apt cannot take",
                cache.display()
            );
        }
        for sub in ["probe/lists/partial", "empty/partial"] {
            make(&apt.join(sub))?;
        }
        for sub in ["lists/partial", "archives/partial"] {
            make(&folder.join(sub))?;
        }
        let architecture =
            children.ask(&Exec::site("dpkg").arg("--print-architecture").timeout(ASK), Environment::Inherited);
        let architecture = architecture.map_err(|e| purpose.explain(e))?.trim().to_owned();
        let bases = bases(&apt, children, purpose)?;
        if !Path::new(keyring).is_file() {
            return Err(purpose.refuse(format!("there is no {keyring}"), "install the package debian-archive-keyring"));
        }
        write(&folder.join("sources.list"), &bases.sources(suite, keyring))?;
        write(&folder.join("status"), "")?;
        write(&folder.join("apt.conf"), &configuration(&folder, &architecture))?;
        let root = Self { folder, empty: apt.join("empty"), architecture };
        // Without the error mode apt says 0 when a mirror is unreachable, and old or no lists are used.
        let update = root.command("status").args(["-o", "APT::Update::Error-Mode=any", "update"]).timeout(UPDATE);
        children
            .ask(&update, Environment::Inherited)
            .map_err(|e| purpose.explain(e))
            .context("refresh the package lists")?;
        Ok(root)
    }

    /// apt-get in this root, with this status file.
    pub(super) fn command(&self, status: &str) -> Exec {
        let text = |p: &Path| p.to_string_lossy().into_owned();
        let status = format!("Dir::State::status={}", text(&self.folder.join(status)));
        Exec::site("apt-get").args([
            "-c".to_owned(),
            text(&self.folder.join("apt.conf")),
            "-o".into(),
            status,
            "-qq".into(),
        ])
    }
}

pub(super) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

pub(super) fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// Where this host gets Debian from.
#[derive(Debug, PartialEq, Eq)]
struct Bases {
    main: String,
    security: Option<String>,
}

/// apt itself says which mirrors the host uses, whatever the syntax of their files; nothing is fetched.
fn bases(apt: &Path, children: &Children, purpose: Purpose) -> Result<Bases> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| os_release(&release, name).unwrap_or_default();
    if field("ID") != "debian" {
        let name = if field("PRETTY_NAME").is_empty() { "an unknown system".to_owned() } else { field("PRETTY_NAME") };
        return Err(purpose.refuse(format!("this is {name}: its package sources are not Debian's"), ""));
    }
    let lists = format!("Dir::State::lists={}/", apt.join("probe/lists").display());
    let ask = Exec::site("apt-get").args(["-o".to_owned(), lists, "update".into(), "--print-uris".into()]).timeout(ASK);
    let said = children.ask(&ask, Environment::Inherited).map_err(|e| purpose.explain(e))?;
    Bases::of(&said, &field("VERSION_CODENAME"))
        .ok_or_else(|| purpose.refuse("no Debian mirror is among this host's package sources", "add one to /etc/apt"))
}

fn os_release(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

impl Bases {
    /// From the lines `'<base>/dists/<suite>/InRelease' …` of `apt-get update --print-uris`.
    fn of(uris: &str, codename: &str) -> Option<Self> {
        let pairs: Vec<(&str, &str)> = uris
            .lines()
            .filter_map(|line| line.strip_prefix('\'')?.split_once("/InRelease'")?.0.rsplit_once("/dists/"))
            .filter(|(base, _)| !base.starts_with("cdrom:"))
            .collect();
        let with = |suite: String| pairs.iter().filter(move |(_, s)| *s == suite).map(|(base, _)| (*base).to_owned());
        let names = [codename, "stable", "oldstable", "testing"].into_iter().filter(|n| !n.is_empty());
        names.into_iter().find_map(|name| {
            let updates: Vec<String> = with(format!("{name}-updates")).collect();
            // A vendor's repository may use Debian's suite names; only Debian itself has the updates next to them.
            let main = with(name.to_owned()).find(|b| updates.contains(b)).or_else(|| with(name.to_owned()).next())?;
            Some(Self { main, security: with(format!("{name}-security")).next() })
        })
    }

    fn sources(&self, suite: &str, keyring: &str) -> String {
        let options = format!("[signed-by={keyring} target=Packages lang=none pdiffs=no]");
        let mut lines = format!("deb {options} {0} {suite} main\ndeb {options} {0} {suite}-updates main\n", self.main);
        if let Some(security) = &self.security {
            lines.push_str(&format!("deb {options} {security} {suite}-security main\n"));
        }
        lines
    }
}

/// Given with `-c` it is read after the host's own files: their proxies stay, their hooks go.
pub(super) fn configuration(root: &Path, architecture: &str) -> String {
    let hooks = [
        "APT::Update::Pre-Invoke",
        "APT::Update::Post-Invoke",
        "APT::Update::Post-Invoke-Success",
        "DPkg::Pre-Invoke",
        "DPkg::Post-Invoke",
        "DPkg::Pre-Install-Pkgs",
    ];
    let cleared: String = hooks.iter().map(|h| format!("#clear {h};\n")).collect();
    let root = root.display();
    format!(
        r#"{cleared}Dir::State "{root}";
Dir::State::lists "lists/";
Dir::State::status "{root}/status";
Dir::State::extended_states "{root}/extended_states";
Dir::Cache "{root}";
Dir::Cache::archives "archives/";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "{root}";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::Assume-Yes "true";
APT::Architectures {{ "{architecture}"; }};
Acquire::Languages {{ "none"; }};
Acquire::Retries "2";
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_found_among_the_hosts_sources() {
        let uris = "'http://vendor.example/apt/dists/bookworm/InRelease' vendor 0 \n\
            'http://mirror.example/debian/dists/bookworm/InRelease' a 0 \n\
            'http://mirror.example/debian/dists/bookworm-updates/InRelease' b 0 \n\
            'http://sec.example/debian-security/dists/bookworm-security/InRelease' c 0 \n";
        let bases = Bases::of(uris, "bookworm").unwrap();
        assert_eq!(bases.main, "http://mirror.example/debian");
        assert_eq!(bases.security.as_deref(), Some("http://sec.example/debian-security"));
        let lines = bases.sources("trixie", "/k.gpg");
        let expected = "deb [signed-by=/k.gpg target=Packages lang=none pdiffs=no] http://sec.example/debian-security trixie-security main";
        assert_eq!(lines.lines().last(), Some(expected));
        assert_eq!(lines.lines().count(), 3);
    }

    #[test]
    fn suites_by_their_role_count_too_and_foreign_or_removable_sources_do_not() {
        let stable = "'https://m.example/debian/dists/stable/InRelease' a 0\n";
        assert_eq!(
            Bases::of(stable, "trixie"),
            Some(Bases { main: "https://m.example/debian".into(), security: None })
        );
        assert_eq!(Bases::of("'http://m.example/ubuntu/dists/noble/InRelease' a 0\n", "bookworm"), None);
        assert_eq!(Bases::of("'cdrom:[Debian]/dists/bookworm/InRelease' a 0\n", "bookworm"), None);
        assert_eq!(Bases::of("", "bookworm"), None);
    }

    #[test]
    fn os_release_values_lose_their_quotes() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\nID_LIKE=x\n";
        assert_eq!(os_release(text, "ID").as_deref(), Some("debian"));
        assert_eq!(os_release(text, "PRETTY_NAME").as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(os_release(text, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(os_release(text, "NOTHING"), None);
    }
}
