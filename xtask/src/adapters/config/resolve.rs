//! Makes a stack of what `recovery.yaml` says and what its Compose files say. What is written wins over what is inferred.

use super::compose::{self, Loaded, Request};
use super::infer::{self, Inferred, coverage, uncovered};
use super::mounts::tidy;
use super::protection;
use super::recovery::{StackText, StoreText};
use super::{old_variables, proxy, retention, secrets};
use crate::adapters::environment::Lookup;
use crate::domain::artifact::hex;
use crate::domain::binding::Binding;
use crate::domain::compose::ComposeProject;
use crate::domain::coverage::Coverage;
use crate::domain::project::Findings;
use crate::domain::refusal::Refusal;
use crate::domain::secret::Secret;
use crate::domain::stack::{Backups, MAX_SKEW, Stack};
use crate::domain::store::{Location, Root, Store};
use crate::domain::suggest;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A stack, and what stands behind it.
pub(super) fn resolve(text: StackText, base: &Path, environment: Lookup<'_>) -> Result<(Stack, Findings), Refusal> {
    let files = if text.folder.is_none() && text.compose.is_empty() {
        super::default_files(base)?
    } else {
        text.compose.clone()
    };
    let loaded = if files.is_empty() {
        None
    } else {
        let (env_file, project, profiles) = (text.env_file.clone(), text.project.clone(), text.profiles.clone());
        Some(compose::load(&Request { files: files.clone(), env_file, project, profiles, environment })?)
    };
    if loaded.is_none() && text.folder.is_none() {
        let cause = format!("stack `{}` has no Compose file", text.name);
        return Err(text.at.refuse(cause, "name it with `compose:`, or write `folder:` for a stack without Compose"));
    }
    let folder = text.folder.clone().or_else(|| loaded.as_ref().map(|l| l.project.folder.clone()));
    // With no recovery.yaml the Compose project's own name is all there is.
    let name = match (text.name.as_str(), &loaded) {
        ("", Some(loaded)) => loaded.project.name.clone(),
        _ => text.name.clone(),
    };
    let ground = Ground { base, loaded: loaded.as_ref(), environment };
    let (stores, mut inferred) = ground.stores(&text)?;
    let mut notes = Vec::new();
    let mut covered = Coverage::default();
    if let Some(loaded) = &loaded {
        notes.extend(loaded.project.notes.iter().cloned());
        notes.append(&mut inferred.notes);
        notes.extend(uncovered(&loaded.project, &stores));
        covered = coverage(&loaded.project, &stores, &inferred.without_engine);
    }
    covered.waivers = text.waivers;
    if stores.is_empty() {
        notes.push("no store was found: there is nothing to recover here".into());
    }
    // As for everything else that Compose fills in: the environment before the env file.
    let known = |name: &str| environment(name).or_else(|| loaded.as_ref()?.variables.get(name).cloned());
    let retention = retention::policy(&text.retention, &known, &mut notes)?;
    let traefik = proxy::resolve(&text.traefik, &known);
    old_variables::not_blanked(environment, &|name| loaded.as_ref()?.variables.get(name).cloned())?;
    let protection = protection::resolve(text.protection.clone(), &known, &mut notes)?;
    let project = loaded.as_ref().map_or(base, |l| &l.project.folder);
    let vault = old_variables::vault(text.vault, &name, project, &known)?;
    let compression = old_variables::compression(text.compression, &known)?;
    let stack = Stack {
        folder: folder.unwrap_or_else(|| base.to_owned()),
        compose_files: files,
        env_file: loaded.as_ref().and_then(|l| l.env_file.clone()).or(text.env_file),
        project: loaded
            .as_ref()
            .map_or_else(|| text.project.unwrap_or_else(|| name.clone()), |l| l.project.name.clone()),
        stores,
        without_engine: inferred.without_engine,
        objectives: text.objectives,
        backups: Backups {
            schedule: text.schedule,
            vault: vault.unwrap_or_else(|| tidy(&base.join("backups").join(&name))),
            compression,
            protection,
            retention,
            max_skew: text.max_skew.unwrap_or(MAX_SKEW),
        },
        binding: loaded.as_ref().map(binding).unwrap_or_default(),
        notes,
        traefik,
        name,
    };
    not_inside_itself(&stack).map_err(|(cause, hint)| text.at.refuse(cause, hint))?;
    Ok((
        stack,
        Findings {
            compose: loaded.map(|l| l.project),
            evidence: inferred.evidence,
            coverage: covered,
            environment: text.environment,
        },
    ))
}

/// What the sets of a stack say of its configuration. Names of variables only: their values are in no digest.
fn binding(loaded: &Loaded) -> Binding {
    let names: String = loaded.variables.keys().map(|name| format!("{name}\n")).collect();
    let names = loaded.env_file.as_ref().map(|_| hex(&Sha256::digest(names)));
    Binding {
        compose_sha256: Some(loaded.sha256.clone()),
        env_names_sha256: names,
        project: Some(loaded.project.name.clone()),
        skew_ms: None,
    }
}

/// A folder whose vault lies inside it would be backed up with all of its backups, each time with one more.
fn not_inside_itself(stack: &Stack) -> Result<(), (String, String)> {
    let vault = &stack.backups.vault;
    for store in &stack.stores {
        if let Location::Folder { root: Root::Host(folder), path } = &store.location
            && vault.starts_with(folder.join(path))
        {
            let folder = folder.join(path);
            let (vault, folder) = (vault.display(), folder.display());
            let cause = format!("the vault {vault} lies inside the folder {folder} of store `{}`", store.name);
            return Err((cause, format!("set `backups.vault` of stack `{}` to a folder outside of it", stack.name)));
        }
    }
    Ok(())
}

/// What stores are resolved against.
struct Ground<'a> {
    base: &'a Path,
    loaded: Option<&'a Loaded>,
    environment: Lookup<'a>,
}

impl Ground<'_> {
    /// The written stores, completed; all inferred ones when none are written.
    fn stores(&self, text: &StackText) -> Result<(Vec<Store>, Inferred), Refusal> {
        let inferred = self.loaded.map(|l| infer::infer(&l.project)).transpose()?.unwrap_or_default();
        let stores: Vec<Store> = match &text.stores {
            Some(written) => written.iter().map(|s| self.store(s, &inferred)).collect::<Result<_, _>>()?,
            None => inferred.stores.clone(),
        };
        Ok((stores.into_iter().map(|s| Store { location: self.rooted(s.location), ..s }).collect(), inferred))
    }

    /// A variable of the env file, or of the environment.
    fn variable(&self, name: &str) -> Option<String> {
        self.loaded.and_then(|l| l.variables.get(name).cloned()).or_else(|| (self.environment)(name))
    }

    fn project(&self) -> Option<&ComposeProject> {
        self.loaded.map(|l| &l.project)
    }

    /// The same place below the outermost folder that a service mounts: whoever writes there may plant links on the way, and a link
    /// is followed below the root only.
    fn rooted(&self, location: Location) -> Location {
        let (folder, place) = match &location {
            Location::File { root: Root::Host(folder), path } => (folder.clone(), folder.join(path)),
            Location::Folder { root: Root::Host(folder), path } => (folder.clone(), folder.join(path)),
            _ => return location,
        };
        let mounts =
            self.project().into_iter().flat_map(|p| p.services.values()).flat_map(|s| &s.mounts).filter(|m| m.writable);
        let above = mounts.filter_map(|m| match &m.root {
            Some(Root::Host(mounted)) if *mounted != place => Some((mounted, place.strip_prefix(mounted).ok()?)),
            _ => None,
        });
        match above.min_by_key(|(mounted, _)| mounted.components().count()) {
            Some((mounted, below)) if mounted.components().count() < folder.components().count() => {
                let (root, path) = (Root::Host(mounted.clone()), below.to_owned());
                match location {
                    Location::Folder { .. } => Location::Folder { root, path },
                    _ => Location::File { root, path },
                }
            }
            _ => location,
        }
    }

    fn store(&self, text: &StoreText, inferred: &Inferred) -> Result<Store, Refusal> {
        let twin = twin(text, inferred);
        if let (Some(service), Some(project)) = (&text.service, self.project())
            && !project.services.contains_key(service)
        {
            let names: Vec<&str> = project.services.keys().map(String::as_str).collect();
            return Err(text.at.refuse(
                format!("store `{}` names service `{service}`, which is not there", text.name),
                suggest::hint(service, &names),
            ));
        }
        let engine = text.engine.clone().or_else(|| twin.map(|t| t.engine.clone())).ok_or_else(|| {
            let cause = format!("store `{}`: nothing in the Compose files says what it is", text.name);
            text.at.refuse(cause, "write `engine: postgres`, `engine: sqlite` or `engine: files`")
        })?;
        self.misplaced(text, &engine)?;
        let location = match engine.as_str() {
            "postgres" => self.database(text, twin)?,
            "sqlite" => self.file(text, twin)?,
            _ => self.folder(text, twin)?,
        };
        let service = text.service.clone().or_else(|| twin.and_then(|t| t.service.clone()));
        let image = text.image.clone().or_else(|| twin.and_then(|t| t.image.clone())).or_else(|| {
            let service = self.project()?.services.get(service.as_deref()?)?;
            (engine == "postgres").then(|| service.image.as_ref().map(|(image, _)| image.clone()))?
        });
        Ok(Store { name: text.name.clone(), engine, service, image, location, allow_empty: text.allow_empty })
    }

    /// Keys that mean nothing to the engine are refused: they would be believed to do something.
    fn misplaced(&self, text: &StoreText, engine: &str) -> Result<(), Refusal> {
        let of_database = [
            ("database", text.database.is_some()),
            ("user", text.user.is_some()),
            ("port", text.port.is_some()),
            ("password_from", text.password_from.is_some()),
            ("password_file", text.password_file.is_some()),
        ];
        let of_path = [("path", text.path.is_some()), ("volume", text.volume.is_some())];
        let foreign: &[(&str, bool)] = if engine == "postgres" { &of_path } else { &of_database };
        match foreign.iter().find(|(_, written)| *written) {
            Some((key, _)) => Err(text
                .at
                .refuse(format!("store `{}`: `{key}` means nothing to the {engine} engine", text.name), "remove it")),
            None => Ok(()),
        }
    }

    fn database(&self, text: &StoreText, twin: Option<&Store>) -> Result<Location, Refusal> {
        let known = match twin.map(|t| &t.location) {
            Some(Location::Database { database, user, password, port }) => Some((database, user, password, *port)),
            _ => None,
        };
        let user = text.user.clone().or_else(|| known.map(|k| k.1.clone())).unwrap_or_else(|| "postgres".into());
        let database = text.database.clone().or_else(|| known.map(|k| k.0.clone())).unwrap_or_else(|| user.clone());
        // A password belongs to a role: another role does not inherit it.
        let inherited = known.filter(|k| *k.1 == user).and_then(|k| k.2.clone());
        let password = self.password(text)?.or(inherited);
        let port = text.port.or(known.map(|k| k.3)).unwrap_or(5432);
        Ok(Location::Database { database, user, password, port })
    }

    fn password(&self, text: &StoreText) -> Result<Option<Secret>, Refusal> {
        if let Some((name, at)) = &text.password_from {
            let of_service = || {
                let service = self.project()?.services.get(text.service.as_deref()?)?;
                service.variable(name).map(|v| v.value.expose().to_owned())
            };
            let value = of_service().or_else(|| self.variable(name)).filter(|v| !v.is_empty());
            let value = value.ok_or_else(|| {
                at.refuse(
                    format!("variable `{name}` is set nowhere, or empty"),
                    format!("set `{name}` in the env file or the environment"),
                )
            })?;
            return Ok(Some(Secret::new(value)));
        }
        let Some((file, at)) = &text.password_file else { return Ok(None) };
        let path = tidy(&self.base.join(file));
        match secrets::content(&path)?.filter(|t| !t.is_empty()) {
            Some(value) => Ok(Some(Secret::new(value))),
            None => Err(at.refuse(
                format!("password file {} is not there, or empty", path.display()),
                "create it, readable by you only",
            )),
        }
    }

    fn file(&self, text: &StoreText, twin: Option<&Store>) -> Result<Location, Refusal> {
        match (&text.path, &text.volume) {
            (Some(path), Some(volume)) => {
                Ok(Location::File { root: Root::Volume(self.volume(volume)), path: path.into() })
            }
            (Some(path), None) => {
                let path = tidy(&self.base.join(path));
                match (path.parent(), path.file_name()) {
                    (Some(parent), Some(name)) => {
                        let root = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                        Ok(Location::File { root: Root::Host(root.to_owned()), path: name.into() })
                    }
                    _ => Err(text.at.refuse(
                        format!("store `{}`: `path` names no file", text.name),
                        "write the path of the database file",
                    )),
                }
            }
            _ => self.inferred(text, twin, "write `path:`, the database file"),
        }
    }

    fn folder(&self, text: &StoreText, twin: Option<&Store>) -> Result<Location, Refusal> {
        match (&text.path, &text.volume) {
            (Some(_), Some(_)) => Err(text.at.refuse(
                format!("store `{}`: `path` and `volume` together", text.name),
                "a folder store is one or the other",
            )),
            (Some(path), None) => {
                Ok(Location::Folder { root: Root::Host(tidy(&self.base.join(path))), path: PathBuf::new() })
            }
            (None, Some(volume)) => {
                Ok(Location::Folder { root: Root::Volume(self.volume(volume)), path: PathBuf::new() })
            }
            (None, None) => self.inferred(text, twin, "write `path:`, a folder, or `volume:`, a volume"),
        }
    }

    fn inferred(&self, text: &StoreText, twin: Option<&Store>, hint: &str) -> Result<Location, Refusal> {
        let location = twin.map(|t| t.location.clone());
        location.ok_or_else(|| {
            text.at.refuse(format!("store `{}`: nothing in the Compose files says where it is", text.name), hint)
        })
    }

    /// A volume by its key in the Compose file, or by its real name.
    fn volume(&self, name: &str) -> String {
        self.project().and_then(|p| p.volumes.get(name)).map_or_else(|| name.to_owned(), |v| v.name.clone())
    }
}

/// The inferred store that a written one means: by name, else the only one of its service and engine.
fn twin<'i>(text: &StoreText, inferred: &'i Inferred) -> Option<&'i Store> {
    let fits = |s: &&Store| {
        text.engine.as_ref().is_none_or(|e| *e == s.engine)
            && text.service.as_ref().is_none_or(|v| Some(v) == s.service.as_ref())
    };
    let by_name = inferred.stores.iter().filter(fits).find(|s| s.name == text.name);
    by_name.or_else(|| {
        let mut by_service = inferred.stores.iter().filter(fits).filter(|_| text.service.is_some());
        by_service.next().filter(|_| by_service.next().is_none())
    })
}
