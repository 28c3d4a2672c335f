//! A tar archive: the files of a database dump, if that is all that it holds, or a folder of somebody's files. It must not know what is done
//! with either.

use super::fault::broken;
use super::files::{Files, TOC, belongs};
use super::tar::Walk;
use super::toc::Contents;
use anyhow::Result;
use std::io::Read;

/// What an archive turned out to be.
#[derive(Debug)]
pub enum Bundle {
    /// A dump of several files; `true` when it is of the tar format, as `pg_dump --format=tar` wrote it.
    Dump(Box<Contents>, bool),
    /// A folder; the one folder that everything in it lies in, if there is one.
    Folder(Option<String>),
}

/// The one folder that all entries lie in.
#[derive(Debug, Default)]
enum Top {
    #[default]
    None,
    One(String),
    Several,
}

impl Top {
    /// `path` without leading `./`; a file in the archive's own folder lies in no other.
    fn see(&mut self, path: &str, folder: bool) {
        let (first, deeper) = path.split_once('/').map_or((path, false), |(first, _)| (first, true));
        if first.is_empty() {
            return;
        }
        *self = match std::mem::take(self) {
            Self::None if deeper || folder => Self::One(first.to_owned()),
            Self::One(top) if top == first && (deeper || folder) => Self::One(top),
            _ => Self::Several,
        };
    }
}

/// Reads the archive to its end.
///
/// # Errors
/// `BadArtifact`: cut short, malformed, empty, or a dump whose files are not whole.
pub fn examine(from: &mut dyn Read, told: &mut Vec<String>) -> Result<Bundle> {
    let mut walk = Walk::new(from);
    let (mut top, mut entries) = (Top::default(), 0_u64);
    // The folder of the dump's files; `None` once a file lies elsewhere or is none of a dump's.
    let mut home: Option<Option<String>> = None;
    let (mut files, mut trouble, mut stray) = (Files::default(), None, false);
    while let Some(entry) = walk.next()? {
        entries += 1;
        let path = entry.name.trim_start_matches("./").to_owned();
        top.see(path.trim_end_matches('/'), entry.file.is_none());
        if entry.file.is_none() {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
        stray |= name == TOC;
        let of_dump = belongs(name) && home.get_or_insert_with(|| Some(folder.to_owned())).as_deref() == Some(folder);
        if !of_dump {
            home = Some(None);
        } else if trouble.is_none()
            && let Err(error) = files.see(name, &mut walk.body())
        {
            trouble = Some(error);
        }
    }
    match (home, trouble) {
        (Some(Some(home)), trouble) if stray => match trouble {
            Some(error) => Err(error),
            None => {
                let tar = home.is_empty() && files.has_script();
                files.whole(told).map(|contents| Bundle::Dump(Box::new(contents), tar))
            }
        },
        _ if entries == 0 => Err(broken("the tar archive is empty")),
        _ => {
            if stray {
                let what = "it holds toc.dat, perhaps a PostgreSQL dump, among other files: unpack that folder and adopt it by itself";
                told.push(what.to_owned());
            }
            Ok(Bundle::Folder(match top {
                Top::One(top) => Some(top),
                Top::None | Top::Several => None,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tar::header;
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut all = Vec::new();
        for (name, bytes) in files {
            all.extend(header(name, bytes.len() as u64));
            all.extend_from_slice(bytes);
            all.resize(all.len().next_multiple_of(512), 0);
        }
        all.extend([0; 1024]);
        all
    }

    fn of(files: &[(&str, &[u8])]) -> (Result<Bundle>, Vec<String>) {
        let mut told = Vec::new();
        (examine(&mut archive(files).as_slice(), &mut told), told)
    }

    #[test]
    fn the_one_folder_is_found_where_there_is_one() {
        let top = |files: &[(&str, &[u8])]| match of(files).0.unwrap() {
            Bundle::Folder(top) => top,
            Bundle::Dump(..) => panic!("no dump"),
        };
        assert_eq!(top(&[("./up/a.jpg", b"1"), ("up/b/c.jpg", b"2")]).as_deref(), Some("up"));
        assert_eq!(top(&[("a.jpg", b"1"), ("up/b.jpg", b"2")]), None);
        assert_eq!(top(&[("up/a.jpg", b"1"), ("down/b.jpg", b"2")]), None);
        assert_eq!(top(&[("a.jpg", b"1")]), None);
    }

    #[test]
    fn a_table_of_contents_among_other_files_is_told_and_not_believed() {
        let (bundle, told) = of(&[("b/toc.dat", b"PGDMP"), ("b/photo.jpg", b"2")]);
        assert!(matches!(bundle.unwrap(), Bundle::Folder(Some(top)) if top == "b"));
        assert!(told[0].contains("toc.dat"), "{told:?}");
    }

    #[test]
    fn a_dump_whose_table_is_cut_is_refused_and_an_empty_archive_too() {
        assert!(of(&[("toc.dat", b"PGDMP\x01")]).0.unwrap_err().to_string().contains("ends within"));
        assert!(examine(&mut [0; 1024].as_slice(), &mut Vec::new()).unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn every_cut_of_an_archive_is_found() {
        let whole = archive(&[("up/a.jpg", b"some bytes"), ("up/b.jpg", &[7; 700])]);
        for length in 0..whole.len() {
            assert!(examine(&mut &whole[..length], &mut Vec::new()).is_err(), "{length} of {}", whole.len());
        }
        let grown = [whole, vec![1]].concat();
        assert!(examine(&mut grown.as_slice(), &mut Vec::new()).unwrap_err().to_string().contains("follows"));
    }
}
