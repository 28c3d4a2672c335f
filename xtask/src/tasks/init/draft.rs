//! The text of a `recovery.yaml` for a project that was inferred. Pure: reading it back gives the same stacks.

use crate::domain::compose::Volume;
use crate::domain::display::one_line;
use crate::domain::project::{Evidence, Findings, Project};
use crate::domain::retention::Policy;
use crate::domain::stack::{Compression, Stack};
use crate::domain::store::{Location, Root, Store};
use crate::scenarios::SCENARIOS;
use std::path::{Path, PathBuf};
use std::time::Duration;

const HEAD: &str = "\
# Written by `cargo xtask init`. Every value was inferred, and the comment behind it says from where.
# What you delete is inferred anew at every run; what you keep stays as it is written here.
# Secrets are read where they are and never written here. Every key is explained in docs/configuration.md.
";

/// The column at which comments begin, where there is room.
const COMMENTS: usize = 48;

/// The text of the file; its paths are relative to `folder`, where it is to stand.
pub fn draft(project: &Project, folder: &Path) -> String {
    let mut page = Page { text: format!("{HEAD}\nstacks:\n"), folder };
    for (i, stack) in project.stacks.iter().enumerate() {
        let none = Findings::default();
        page.stack(stack, project.findings.get(i).unwrap_or(&none));
    }
    page.text
}

struct Page<'a> {
    text: String,
    folder: &'a Path,
}

impl Page<'_> {
    fn stack(&mut self, stack: &Stack, findings: &Findings) {
        self.line(2, &format!("{}:", scalar(&stack.name)), "");
        match stack.compose_files.as_slice() {
            [] => self.line(4, &format!("folder: {}", self.path(&stack.folder)), ""),
            [one] => self.line(4, &format!("compose: {}", self.path(one)), ""),
            many => {
                let files: Vec<String> = many.iter().map(|f| self.path(f)).collect();
                self.line(4, &format!("compose: [{}]", files.join(", ")), "merged in this order");
            }
        }
        if let Some(file) = &stack.env_file {
            self.line(4, &format!("env_file: {}", self.path(file)), "fills in ${…} of the Compose files");
        }
        self.line(4, &format!("project: {}", scalar(&stack.project)), "the Compose project's name");
        self.stores(stack, findings);
        self.notes(stack);
        self.objectives();
        self.backups(stack);
    }

    fn stores(&mut self, stack: &Stack, findings: &Findings) {
        if stack.stores.is_empty() {
            self.line(4, "# stores: none was found", "");
            return;
        }
        self.line(4, "stores:", "");
        for store in &stack.stores {
            let evidence: Vec<&Evidence> = findings.evidence.iter().filter(|e| e.store == store.name).collect();
            self.store(store, &evidence, findings);
        }
    }

    fn store(&mut self, store: &Store, evidence: &[&Evidence], findings: &Findings) {
        let why = |key: &str| self.because(evidence, key);
        let mut lines = vec![format!("engine: {}", scalar(&store.engine))];
        let mut comments = vec![String::new()];
        let mut add = |line: String, comment: String| {
            lines.push(line);
            comments.push(comment);
        };
        if let Some(service) = &store.service {
            add(format!("service: {}", scalar(service)), why("service"));
        }
        if let Some(image) = &store.image {
            add(format!("image: {}", scalar(image)), why("image"));
        }
        match &store.location {
            Location::Database { database, user, password, port } => {
                add(format!("database: {}", scalar(database)), why("database"));
                add(format!("user: {}", scalar(user)), why("user"));
                if *port != 5432 {
                    add(format!("port: {port}"), why("port"));
                }
                if password.is_some() {
                    add(format!("# password: read from {}", why("password")), String::new());
                }
            }
            Location::File { root, path } => match root {
                Root::Host(folder) => add(format!("path: {}", self.path(&folder.join(path))), why("path")),
                Root::Volume(name) => {
                    add(format!("volume: {}", volume(name, findings)), String::new());
                    add(format!("path: {}", scalar(&path.to_string_lossy())), why("path"));
                }
            },
            Location::Folder { root: Root::Host(folder), path } => {
                add(format!("path: {}", self.path(&folder.join(path))), why("path"))
            }
            Location::Folder { root: Root::Volume(name), .. } => {
                add(format!("volume: {}", volume(name, findings)), why("path"))
            }
        }
        self.line(6, &format!("{}:", scalar(&store.name)), "");
        for (line, comment) in lines.iter().zip(&comments) {
            self.line(8, line, comment);
        }
    }

    /// What is not covered stands where it will be read.
    fn notes(&mut self, stack: &Stack) {
        if stack.notes.is_empty() {
            return;
        }
        self.line(4, "# To know:", "");
        for note in &stack.notes {
            let note = one_line(&note.replace(&format!("{}/", self.folder.display()), ""));
            self.line(4, &format!("# - {note}"), "");
        }
    }

    fn objectives(&mut self) {
        self.line(
            4,
            "# objectives:",
            "these are the defaults; rto = time until it works again, rpo = data lost at most",
        );
        for scenario in SCENARIOS.iter().filter(|s| s.unsupported.is_none()) {
            let (rto, rpo) = (span(scenario.objective.rto), span(scenario.objective.rpo));
            self.line(4, &format!("#   {}: {{ rto: {rto}, rpo: {rpo} }}", scenario.name), "");
        }
    }

    fn backups(&mut self, stack: &Stack) {
        self.line(4, "backups:", "");
        match &stack.backups.schedule {
            Some(schedule) => self.line(6, &format!("schedule: {}", scalar(&schedule.to_string())), ""),
            None => self.line(
                6,
                "# schedule: every 30m",
                "say when backups run: without it no loss of data can be promised",
            ),
        }
        self.line(6, &format!("vault: {}", self.path(&stack.backups.vault)), "where backup sets are kept");
        let compression = match stack.backups.compression {
            Compression::Zstd => "zstd",
            Compression::Gzip => "gzip",
            Compression::None => "none",
        };
        self.line(6, &format!("compression: {compression}"), "zstd, gzip or none");
        let Policy { daily, weekly, monthly, floor } = stack.backups.retention;
        let rules = format!("daily: {daily}, weekly: {weekly}, monthly: {monthly}, floor: {floor}");
        self.line(6, &format!("retention: {{ {rules} }}"), "good sets that `cargo xtask prune` keeps");
    }

    /// Where a value came from: `POSTGRES_DB, compose.yaml:7`.
    fn because(&self, evidence: &[&Evidence], key: &str) -> String {
        let Some(found) = evidence.iter().find(|e| e.key == key) else { return String::new() };
        match &found.at {
            Some(at) => format!("{}, {}:{}", found.because, self.relative(&at.file).display(), at.line),
            None => found.because.clone(),
        }
    }

    fn line(&mut self, indent: usize, text: &str, comment: &str) {
        let mut line = format!("{}{text}", " ".repeat(indent));
        if !comment.is_empty() {
            let gap = COMMENTS.saturating_sub(line.chars().count()).max(1);
            line.push_str(&" ".repeat(gap));
            line.push_str("# ");
            line.push_str(&one_line(comment));
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn relative(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(self.folder) {
            Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
            Ok(inside) => inside.to_owned(),
            Err(_) => path.to_owned(),
        }
    }

    fn path(&self, path: &Path) -> String {
        scalar(&self.relative(path).to_string_lossy())
    }
}

/// A volume by its key in the Compose file, else by its real name.
fn volume(name: &str, findings: &Findings) -> String {
    let of_name = |v: &Volume| v.name == name;
    let key = findings.compose.as_ref().and_then(|c| c.volumes.iter().find(|(_, v)| of_name(v)));
    scalar(key.map_or(name, |(key, _)| key))
}

/// A text as YAML reads it back: plain when it is harmless, else in double quotes, dollar signs doubled.
fn scalar(text: &str) -> String {
    let first = text.chars().next().unwrap_or(' ');
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-./@:+".contains(c);
    let harmless = (first.is_ascii_alphabetic() || matches!(first, '.' | '/' | '_'))
        && text.chars().all(inside)
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str())
        && text.parse::<f64>().is_err();
    if harmless { text.to_owned() } else { serde_json::Value::from(text.replace('$', "$$")).to_string() }
}

/// `90m` as people write it: the largest unit that divides it.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
