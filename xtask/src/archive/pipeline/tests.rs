//! What the pipeline promises about one artifact: nothing lost on the way, and no damage that a reader does not hear of.

use super::*;
use crate::domain::artifact::Role;
use proptest::prelude::*;

const ALL: [Compression; 3] = [Compression::Zstd, Compression::Gzip, Compression::None];

/// A pseudo-random text that compresses a little, the same every time.
pub(crate) fn text(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..bytes).map(|_| b"0123456789abcdef\t\n"[random.usize(..18)]).collect()
}

fn stored(folder: &Path, plain: &[u8], compression: Compression) -> StoredFile {
    let result = store(&mut &*plain, &folder.join("a"), compression, None, &mut |_| {}).unwrap();
    StoredFile { file: "a".to_owned(), role: Role::Data, compression, stored: result.stored, plain: result.plain }
}

fn read(path: &Path, file: &StoredFile) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, file, None)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The refusal along the chain of causes.
pub(crate) fn refusal(error: &anyhow::Error) -> &Refusal {
    error.chain().find_map(|c| c.downcast_ref()).unwrap_or_else(|| panic!("no refusal in {error:?}"))
}

/// Replaces the stored bytes and says whether a reader hears of it. The sizes in the manifest stay as they were unless `sized`.
fn found(folder: &Path, file: &StoredFile, bytes: &[u8], sized: bool) -> bool {
    std::fs::write(folder.join("a"), bytes).unwrap();
    let mut file = file.clone();
    if sized {
        file.stored.bytes = bytes.len() as u64;
    }
    match read(&folder.join("a"), &file) {
        Ok(_) => false,
        Err(error) => refusal(&error).kind == RefusalKind::Integrity,
    }
}

#[test]
fn what_was_stored_comes_back() {
    for compression in ALL {
        for size in [0, 1, 65_535, 65_536, 65_537, 3_000_000] {
            let folder = tempfile::tempdir().unwrap();
            let plain = text(size);
            let file = stored(folder.path(), &plain, compression);
            assert_eq!(file.plain.bytes, size as u64);
            assert_eq!(file.stored.bytes, std::fs::metadata(folder.path().join("a")).unwrap().len());
            assert!(read(&folder.path().join("a"), &file).unwrap() == plain, "{compression:?} {size}");
            verify(&folder.path().join("a"), &file, None).unwrap();
        }
    }
}

#[test]
fn flaw_27_the_stored_digest_is_what_other_tools_compute_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = stored(folder.path(), b"abc", Compression::None);
    assert_eq!(file.stored.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(file.stored, file.plain);
    assert_eq!(std::fs::metadata(folder.path().join("a")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn every_flipped_bit_is_found() {
    for compression in ALL {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(folder.path(), &text(300), compression);
        let sound = std::fs::read(folder.path().join("a")).unwrap();
        assert!(!found(folder.path(), &file, &sound, false));
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(found(folder.path(), &file, &bytes, false), "{compression:?} bit {bit}");
        }
    }
}

#[test]
fn truncation_at_every_length_is_found_by_size_and_without_it() {
    for compression in ALL {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(folder.path(), &text(600), compression);
        let sound = std::fs::read(folder.path().join("a")).unwrap();
        for length in 0..sound.len() {
            assert!(found(folder.path(), &file, &sound[..length], false), "{compression:?} {length}");
            assert!(found(folder.path(), &file, &sound[..length], true), "{compression:?} {length}, size forged");
        }
    }
}

#[test]
fn a_wrong_size_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(folder.path(), &text(600), Compression::Zstd);
    std::fs::write(folder.path().join("a"), b"short").unwrap();
    let error = open(&folder.path().join("a"), &file, None).err().unwrap();
    assert_eq!(refusal(&error).kind, RefusalKind::Integrity);
    assert!(refusal(&error).message.contains("is 5 bytes long"), "{error:#}");
}

#[test]
fn whatever_follows_the_end_is_found() {
    for compression in ALL {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(folder.path(), &text(600), compression);
        let sound = std::fs::read(folder.path().join("a")).unwrap();
        // A skippable Zstandard frame decodes to nothing at all.
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
        for extra in [&b"x"[..], &[0; 512], &sound, &skippable] {
            let bytes = [&sound, extra].concat();
            assert!(found(folder.path(), &file, &bytes, false), "{compression:?}");
            assert!(found(folder.path(), &file, &bytes, true), "{compression:?}, size forged");
        }
    }
}

#[test]
fn appended_data_is_refused_even_when_size_and_stored_digest_were_forged_to_match() {
    for compression in [Compression::Zstd, Compression::Gzip] {
        let folder = tempfile::tempdir().unwrap();
        let mut file = stored(folder.path(), &text(600), compression);
        let sound = std::fs::read(folder.path().join("a")).unwrap();
        let twice = [&sound[..], &sound].concat();
        file.stored = super::super::digest::of(&twice);
        assert!(found(folder.path(), &file, &twice, false), "{compression:?}");
    }
}

#[test]
fn more_plain_bytes_than_promised_are_never_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = stored(folder.path(), &vec![0; 50_000_000], Compression::Zstd);
    file.plain.bytes = 1_000_000;
    let mut got = Vec::new();
    let error = open(&folder.path().join("a"), &file, None).unwrap().read_to_end(&mut got).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(got.len() < 1_000_000, "{}", got.len());
}

#[test]
fn the_last_bytes_are_held_back_until_everything_was_compared() {
    for compression in ALL {
        let folder = tempfile::tempdir().unwrap();
        let plain = text(200_000);
        let mut file = stored(folder.path(), &plain, compression);
        file.plain.sha256 = file.plain.sha256.chars().rev().collect();
        let mut reader = open(&folder.path().join("a"), &file, None).unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 1000];
        let mut errors = 0;
        while errors < 3 {
            match reader.read(&mut buffer) {
                Ok(0) => panic!("the end was reported without an error"),
                Ok(n) => got.extend_from_slice(&buffer[..n]),
                Err(_) => errors += 1,
            }
        }
        assert_eq!(got.len(), 200_000 - 65_536, "{compression:?}");
    }
}

#[test]
fn a_link_a_folder_and_a_pipe_are_refused_and_none_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let file = stored(folder.path(), b"abc", Compression::None);
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for name in ["link", "folder", "pipe", "missing"] {
        let error = open(&at(name), &file, None).err().unwrap();
        assert_eq!(refusal(&error).kind, RefusalKind::Integrity, "{name}");
    }
}

#[test]
fn nothing_that_is_there_already_is_opened_or_followed() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("dangling")).unwrap();
    for name in ["victim", "link", "dangling"] {
        let error =
            store(&mut &b"abc"[..], &folder.path().join(name), Compression::None, None, &mut |_| {}).unwrap_err();
        assert_eq!(refusal(&error).kind, RefusalKind::Storage, "{name}");
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!folder.path().join("nowhere").exists());
}

/// Gives some bytes, then fails.
struct Breaks(usize, io::ErrorKind);

impl Read for Breaks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.0.min(into.len());
        self.0 -= n;
        into[..n].fill(b'x');
        if n == 0 { Err(self.1.into()) } else { Ok(n) }
    }
}

#[test]
fn a_producer_that_breaks_off_leaves_no_file() {
    for compression in ALL {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a");
        let broken = &mut Breaks(1_000_000, io::ErrorKind::ConnectionReset);
        let error = store(broken, &to, compression, None, &mut |_| {}).unwrap_err();
        assert_eq!(refusal(&error).kind, RefusalKind::Producer);
        assert!(refusal(&error).message.contains("after 1000000 bytes"), "{error:#}");
        assert!(!to.exists());
    }
}

#[test]
fn a_known_cause_of_the_producer_stays_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = stored(folder.path(), &text(200_000), Compression::Zstd);
    file.plain.bytes += 1;
    let mut damaged = open(&folder.path().join("a"), &file, None).unwrap();
    let error = store(&mut damaged, &folder.path().join("b"), Compression::None, None, &mut |_| {}).unwrap_err();
    assert_eq!(refusal(&error).kind, RefusalKind::Integrity);
}

#[test]
fn progress_tells_the_plain_bytes_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    store(&mut &text(600_000)[..], &folder.path().join("a"), Compression::Gzip, None, &mut |n| told.push(n)).unwrap();
    assert!(told.is_sorted() && told.len() > 1);
    assert_eq!(told.last(), Some(&600_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_come_back_however_they_are_cut(plain in proptest::collection::vec(any::<u8>(), 0..200_000), kind in 0..3usize, step in 1..90_000usize) {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(folder.path(), &plain, ALL[kind]);
        let mut reader = open(&folder.path().join("a"), &file, None).unwrap();
        let mut got = Vec::new();
        let mut buffer = vec![0; step];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
        prop_assert!(got == plain);
    }

    #[test]
    fn any_damage_is_found(plain in proptest::collection::vec(any::<u8>(), 1..100_000), kind in 0..3usize, at in any::<proptest::sample::Index>(), bits in 1..=255u8) {
        let folder = tempfile::tempdir().unwrap();
        let file = stored(folder.path(), &plain, ALL[kind]);
        let mut bytes = std::fs::read(folder.path().join("a")).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        prop_assert!(found(folder.path(), &file, &bytes, false));
    }
}
