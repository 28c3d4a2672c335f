//! The drill's marks in a folder: one small file a mark, in two folders, durable before it is acknowledged.

use super::walk::walk;
use crate::adapters::data_tool::{Streams, sync_folder};
use crate::domain::engine::MarkTable;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// The folder of the marks.
pub fn place(folder: &Path, of: MarkTable) -> PathBuf {
    folder.join(".xtask-marks").join(match of {
        MarkTable::Kept => "kept",
        MarkTable::Struck => "struck",
    })
}

/// Makes both folders.
pub fn create(folder: &Path) -> Result<()> {
    [MarkTable::Kept, MarkTable::Struck]
        .iter()
        .try_for_each(|of| std::fs::create_dir_all(place(folder, *of)).context("make the folders of the marks"))
}

/// Writes one mark for each number that comes in.
pub fn session(folder: &Path, streams: &mut Streams) -> Result<()> {
    let (struck, kept) = (place(folder, MarkTable::Struck), place(folder, MarkTable::Kept));
    let draft = folder.join(".xtask-marks/draft");
    for line in BufReader::new(&mut *streams.stdin).lines() {
        let line = line.context("read a mark")?;
        let seq: u64 = line.trim().parse().with_context(|| format!("`{line}` is no mark"))?;
        for home in [&struck, &kept] {
            let target = home.join(seq.to_string());
            if target.exists() {
                bail!("mark {seq} is there already");
            }
            let mut file = File::create(&draft).context("write a mark")?;
            write!(file, "{seq}").and_then(|()| file.sync_all()).context("write a mark")?;
            std::fs::rename(&draft, &target).context("commit a mark")?;
            sync_folder(home)?;
        }
        writeln!(streams.stdout, "ack {seq}").and_then(|()| streams.stdout.flush()).context("acknowledge a mark")?;
    }
    Ok(())
}

/// Prints the numbers that are there, ascending. A mark whose content is not its name was torn.
pub fn list(folder: &Path, of: MarkTable, streams: &mut Streams) -> Result<()> {
    let home = place(folder, of);
    let mut all = Vec::new();
    walk(&home, None, &mut |node| {
        if node.path.is_empty() {
            return Ok(());
        }
        let name = std::str::from_utf8(node.path).context("a mark without a number")?;
        let text = std::fs::read_to_string(home.join(name)).with_context(|| format!("read mark {name}"))?;
        if text != name {
            bail!("mark {name} is torn");
        }
        all.push(name.parse::<u64>().with_context(|| format!("`{name}` is no mark"))?);
        Ok(())
    })?;
    all.sort_unstable();
    all.into_iter().try_for_each(|seq| streams.line(seq))
}
