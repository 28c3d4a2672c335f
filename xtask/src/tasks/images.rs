//! `cargo xtask images`: builds or lists the local images that stand in when no registry answers.

use crate::adapters::provision::{Freshness, ImageRecipe, Provisioner, recipes, stand_in};
use crate::domain::event::Event;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::exit_code::{self, PASSED};
use crate::ports::{EngineImage, Events, ImageLoader};
use anyhow::{Context, Result};
use std::io::Write;

/// What to do with local images.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Build or list
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Action {
    /// Build from the newest Debian packages and give them to the engine
    Build {
        /// A recipe (`postgres-15`) or an image it stands in for (`postgres:15`); none = every recipe
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Leave each image as a file for `docker load -i`, and the engine alone
        #[arg(long)]
        no_load: bool,
        /// Only what the engine lacks or has from an older recipe; needs no network when nothing is missing
        #[arg(long, conflicts_with = "no_load")]
        if_missing: bool,
    },
    /// Show every recipe and whether the engine has its image as the recipe is now
    List,
}

/// What the task works with.
pub struct Workshop<'a> {
    /// Builds.
    pub provisioner: &'a Provisioner,
    /// The engine's images.
    pub loader: &'a dyn ImageLoader,
    /// Whoever watches.
    pub events: &'a dyn Events,
}

/// Builds or lists; 0 when done, the cause's own code when the engine could not be asked for the list.
///
/// # Errors
/// `Refusal`: `Configuration` for an unknown name, those of [`Provisioner::build`], those of the engine.
pub fn run(args: &Args, workshop: &Workshop<'_>, out: &mut dyn Write) -> Result<u8> {
    match &args.action {
        Action::List => list(workshop.loader, out),
        Action::Build { names, no_load, if_missing } => {
            for recipe in chosen(names)? {
                if *if_missing {
                    workshop.provisioner.provide(&recipe, workshop.loader, workshop.events)?;
                    writeln!(out, "{}  there", recipe.reference)?;
                    continue;
                }
                build(&recipe, *no_load, workshop, out)?;
            }
            Ok(PASSED)
        }
    }
}

/// What `run` would do, as lines; nothing is done.
///
/// # Errors
/// `Refusal` of kind `Configuration` for an unknown name.
pub fn plan(args: &Args) -> Result<String> {
    let Action::Build { names, no_load, .. } = &args.action else {
        return Ok("ask the engine for the image of every recipe\n".to_owned());
    };
    let after = if *no_load { "" } else { ", then load it into the engine" };
    let line = |r: ImageRecipe| format!("build {} from Debian packages by the recipe {}{after}\n", r.reference, r.name);
    Ok(chosen(names)?.into_iter().map(line).collect())
}

/// The recipes meant by these names, each once.
fn chosen(names: &[String]) -> Result<Vec<ImageRecipe>> {
    let all = recipes()?;
    if names.is_empty() {
        return Ok(all);
    }
    let mut chosen: Vec<ImageRecipe> = Vec::new();
    for name in names {
        let recipe = match all.iter().find(|r| r.name == *name || r.reference == *name) {
            Some(recipe) => recipe.clone(),
            None => stand_in("postgres", name).map_err(|why| {
                let known: Vec<&str> = all.iter().map(|r| r.name.as_str()).collect();
                let hint = format!("choose among: {}", known.join(", "));
                Refusal::new(RefusalKind::Configuration, format!("no local recipe for `{name}`: {why}"), hint)
            })?,
        };
        if !chosen.contains(&recipe) {
            chosen.push(recipe);
        }
    }
    Ok(chosen)
}

fn build(recipe: &ImageRecipe, no_load: bool, workshop: &Workshop<'_>, out: &mut dyn Write) -> Result<()> {
    let built = workshop.provisioner.build(recipe, Freshness::Newest, workshop.events)?;
    let (contents, file) = (&built.contents, built.archive.display());
    let what = format!("PostgreSQL {}, {} packages", contents.server_version, contents.packages);
    if no_load {
        writeln!(out, "{}  {}  {what}\n  docker load -i {file}", recipe.reference, short(&contents.image_id))?;
        return Ok(());
    }
    let there = workshop.loader.find(&recipe.reference)?;
    let state = if there.is_some_and(|image| image.id == contents.image_id) {
        "up to date"
    } else {
        workshop.events.tell(Event::Note(format!("loading {} into the engine", recipe.reference)));
        workshop.loader.load(&built.archive).with_context(|| format!("load {}", recipe.reference))?;
        "built"
    };
    writeln!(out, "{}  {}  {state}: {what}", recipe.reference, short(&contents.image_id))?;
    Ok(())
}

fn list(loader: &dyn ImageLoader, out: &mut dyn Write) -> Result<u8> {
    let mut code = PASSED;
    let mut rows = vec![["RECIPE", "IMAGE", "STATE", "SIZE", "ID", "SERVER"].map(str::to_owned)];
    let mut unknown = None;
    for recipe in recipes()? {
        let (state, image) = match loader.find(&recipe.reference) {
            Ok(image) => (state(&recipe, image.as_ref()), image),
            Err(error) => {
                code = exit_code::of(&error);
                unknown = Some(format!("the engine could not be asked: {error:#}"));
                ("not known", None)
            }
        };
        let size = image.as_ref().map_or_else(|| "-".to_owned(), |i| format!("{:.0} MB", i.bytes as f64 / 1e6));
        let id = image.as_ref().map_or_else(|| "-".to_owned(), |i| short(&i.id).to_owned());
        let server = image.as_ref().and_then(|i| i.labels.get("io.xtask.server-version")).map_or("-", String::as_str);
        rows.push([recipe.name, recipe.reference, state.to_owned(), size, id, server.to_owned()]);
    }
    write!(out, "{}", table(&rows))?;
    if let Some(why) = unknown {
        writeln!(out, "{why}")?;
    }
    Ok(code)
}

fn state(recipe: &ImageRecipe, image: Option<&EngineImage>) -> &'static str {
    match image {
        None => "absent",
        Some(image) if recipe.is_current(&image.labels) => "up to date",
        Some(_) => "older recipe",
    }
}

/// As the engine's own lists show it.
fn short(id: &str) -> &str {
    let hex = id.strip_prefix("sha256:").unwrap_or(id);
    hex.get(..12).unwrap_or(hex)
}

fn table(rows: &[[String; 6]]) -> String {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::provision::DIGEST_LABEL;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Has the image of one recipe, up to date, and an older one of the other; or does not answer at all.
    struct Engine {
        answers: bool,
    }

    impl ImageLoader for Engine {
        fn find(&self, reference: &str) -> Result<Option<EngineImage>> {
            if !self.answers {
                return Err(Refusal::new(RefusalKind::DockerUnavailable, "no socket", "start Docker").into());
            }
            let current = recipes()?.into_iter().find(|r| r.reference == reference && r.major == "15");
            let digest = current.map_or_else(|| "older".to_owned(), |r| r.digest);
            let labels = BTreeMap::from([(DIGEST_LABEL.to_owned(), digest)]);
            Ok(Some(EngineImage { id: format!("sha256:{}", "ab".repeat(32)), bytes: 111_000_000, labels }))
        }

        fn load(&self, _file: &Path) -> Result<()> {
            anyhow::bail!("nothing is loaded in these tests")
        }
    }

    #[test]
    fn the_list_tells_current_from_older_images() {
        let mut out = Vec::new();
        assert_eq!(list(&Engine { answers: true }, &mut out).unwrap(), PASSED);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "postgres-15  localhost/xtask-postgres:15  up to date    111 MB  abababababab  -");
        assert!(lines[2].contains("localhost/xtask-postgres:17  older recipe"), "{text}");
    }

    #[test]
    fn an_engine_that_does_not_answer_makes_the_list_unknown_not_empty() {
        let mut out = Vec::new();
        assert_eq!(list(&Engine { answers: false }, &mut out).unwrap(), 30);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("not known") && text.contains("no socket"), "{text}");
    }

    #[test]
    fn recipes_are_chosen_by_their_name_their_image_or_the_image_they_stand_in_for() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
            chosen(&wanted).map(|all| all.into_iter().map(|r| r.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["postgres-15", "postgres-17"]);
        assert_eq!(names(&["postgres-17", "postgres:17.2", "localhost/xtask-postgres:17"]).unwrap(), ["postgres-17"]);
        let error = names(&["postgres:12"]).unwrap_err();
        let refusal = error.downcast_ref::<Refusal>().unwrap();
        assert_eq!(refusal.kind, RefusalKind::Configuration);
        assert!(refusal.hint.contains("postgres-15, postgres-17"), "{}", refusal.hint);
    }

    #[test]
    fn the_plan_names_what_would_be_built() {
        let build =
            |no_load| Args { action: Action::Build { names: vec!["postgres:15".into()], no_load, if_missing: false } };
        let plan_text = plan(&build(false)).unwrap();
        assert!(
            plan_text.contains("build localhost/xtask-postgres:15") && plan_text.contains("load it"),
            "{plan_text}"
        );
        assert!(!plan(&build(true)).unwrap().contains("load it"));
    }
}
