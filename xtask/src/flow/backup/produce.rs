//! One producer's output into one stored file, with every number that it gives checked. It must not know what a snapshot is.

use super::Source;
use crate::archive::pipeline;
use crate::archive::vault::Staging;
use crate::domain::artifact::{Fingerprint, Role, StoredFile};
use crate::domain::exec::Exec;
use crate::domain::refusal::{Refusal, RefusalKind};
use crate::domain::stack::Compression;
use crate::flow::child::{Progress, failure};
use crate::flow::session::Stopper;
use crate::flow::stall::watched;
use crate::flow::world::World;
use crate::ports::Running;
use anyhow::{Context, Result};

/// Runs a producer through the archive into the staging folder and checks every number it gives.
pub(super) fn produce(
    world: &World,
    source: &Source<'_>,
    exec: &Exec,
    staging: &Staging,
    name: &str,
    role: Role,
    compression: Compression,
) -> Result<StoredFile> {
    let file = match compression {
        Compression::Zstd => format!("{name}.zst"),
        Compression::Gzip => format!("{name}.gz"),
        Compression::None => name.to_owned(),
    };
    let file = if staging.key().is_some() { format!("{file}.age") } else { file };
    let program = exec.program_name();
    let Running { mut stdout, control, .. } = source.site.start(exec).with_context(|| program.to_owned())?;
    let control = Stopper::of(control);
    let mut progress = Progress::new(world, None);
    let stored = watched(world, program, &control, |moved| {
        let mut told = |bytes| {
            moved.at(bytes);
            progress.at(bytes);
        };
        staging.store(&mut stdout, &file, compression, &mut told)
    });
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            control.stop();
            return Err(error.context(program.to_owned()));
        }
    };
    let exit = control.wait().with_context(|| program.to_owned())?;
    if !exit.ok() {
        return Err(failure(source.engine, exec, &exit));
    }
    let pipeline::Stored { plain, stored } = stored;
    check_length(program, &role, &plain, exit.declared_bytes)?;
    Ok(StoredFile { file, role, compression, stored, plain })
}

/// An extra may be empty: a database without settings of its own has nothing to say.
fn check_length(program: &str, role: &Role, plain: &Fingerprint, declared: Option<u64>) -> Result<()> {
    let hint = "run it again; if it stays, look at the producer's own log";
    if plain.bytes == 0 && *role == Role::Data {
        let message = format!("{program} ended well but wrote nothing");
        return Err(Refusal::new(RefusalKind::Producer, message, hint).into());
    }
    match declared.filter(|declared| *declared != plain.bytes) {
        None => Ok(()),
        Some(declared) => {
            let message = format!("{program} says it wrote {declared} bytes, but {} arrived", plain.bytes);
            Err(Refusal::new(RefusalKind::Producer, message, hint).into())
        }
    }
}
