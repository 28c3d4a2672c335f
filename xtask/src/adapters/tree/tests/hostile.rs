//! Hostile and broken archives, built byte by byte: each is refused whole, and nothing lands anywhere.

use super::*;

/// A header block with a right checksum.
fn head(name: &[u8], flag: u8, size: u64, link: &[u8]) -> Vec<u8> {
    let mut b = vec![0u8; 512];
    b[..name.len()].copy_from_slice(name);
    b[100..107].copy_from_slice(b"0000644");
    b[108..115].copy_from_slice(b"0000000");
    b[116..123].copy_from_slice(b"0000000");
    b[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    b[136..147].copy_from_slice(b"00000000000");
    b[156] = flag;
    b[157..157 + link.len()].copy_from_slice(link);
    b[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut b);
    b
}

fn seal(b: &mut [u8]) {
    b[148..156].fill(b' ');
    let sum: u32 = b[..512].iter().map(|x| u32::from(*x)).sum();
    b[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut b = head(name, b'0', content.len() as u64, b"");
    b.extend_from_slice(content);
    b.resize(b.len().next_multiple_of(512), 0);
    b
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|n: &usize| rest + n.to_string().len() == *n).unwrap();
        body.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    let mut b = head(b"pax", b'x', body.len() as u64, b"");
    b.extend_from_slice(&body);
    b.resize(b.len().next_multiple_of(512), 0);
    b
}

fn end(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut all = parts.concat();
    all.extend_from_slice(&[0; 1024]);
    all
}

/// Loads an archive into an empty place; returns the refusal and proves that nothing landed.
fn refused(archive: &[u8]) -> String {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("inner/data");
    std::fs::create_dir_all(&target).unwrap();
    let refusal = refusal(fed("load", &target, &[], archive));
    assert_eq!(refusal.kind, RefusalKind::BadArtifact, "{refusal}");
    assert_eq!(names(&target), [""; 0], "{refusal}");
    assert_eq!(names(target.parent().unwrap()), ["data"], "{refusal}");
    assert_eq!(names(place.path()), ["inner"], "{refusal}");
    let staged = place.path().join("staged.tar");
    let listed = fed("stage", &staged, &[], archive).map(|s| s.text().to_owned());
    drop(listed); // Some refusals need the file system; the pick below must refuse what staging let by.
    refusal.message
}

#[test]
fn a_harmless_archive_of_another_program_is_taken() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("data");
    let mut long = head(b"././@LongLink", b'L', 151, b"");
    long.extend_from_slice(&[b'n'; 150]);
    long.resize(1024, 0);
    let mut archive = end(&[
        head(b"./", b'5', 0, b""),
        file(b"./a/b", b"1"),
        head(b"./a/", b'5', 0, b""),
        long,
        file(b"short", b"2"),
        head(b"./l", b'2', 0, b"a/b"),
        head(b"./h", b'1', 0, b"./a/b"),
    ]);
    archive.resize(10_240, 0);
    fed("load", &target, &[], &archive).unwrap();
    ran("adopt", &target, &[]);
    assert_eq!(names(&target), ["a", "h", "l", &"n".repeat(150)]);
    assert_eq!(std::fs::read(target.join("l")).unwrap(), b"1");
}

#[test]
fn paths_that_lead_out_are_refused() {
    assert!(refused(&end(&[file(b"good", b"1"), file(b"../evil", b"x")])).contains("leads upwards"));
    assert!(refused(&end(&[file(b"/tmp/evil", b"x")])).contains("is absolute"));
    assert!(refused(&end(&[file(b"a/../../evil", b"x")])).contains("leads upwards"));
    assert!(refused(&end(&[pax(&[("path", "../evil")]), file(b"good", b"x")])).contains("leads upwards"));
    let mut long = head(b"././@LongLink", b'L', 7, b"");
    long.extend_from_slice(b"../evil");
    long.resize(1024, 0);
    assert!(refused(&end(&[long, file(b"good", b"x")])).contains("leads upwards"));
    assert!(refused(&end(&[file(b".", b"x")])).contains("replace the folder itself"));
}

#[test]
fn links_that_lead_out_are_refused() {
    assert!(refused(&end(&[head(b"l", b'2', 0, b"/etc")])).contains("absolute"));
    assert!(refused(&end(&[head(b"l", b'2', 0, b"../x")])).contains("out of the folder"));
    assert!(refused(&end(&[head(b"s", b'2', 0, b"."), head(b"l", b'2', 0, b"s/../x")])).contains("down and up"));
    assert!(refused(&end(&[head(b"h", b'1', 0, b"/etc/shadow")])).contains("is absolute"));
    assert!(refused(&end(&[head(b"h", b'1', 0, b"../x")])).contains("leads upwards"));
    assert!(refused(&end(&[head(b"h", b'1', 0, b"later"), file(b"later", b"x")])).contains("did not come before"));
    assert!(
        refused(&end(&[file(b"f", b"x"), head(b"l", b'2', 0, b"f"), head(b"h", b'1', 0, b"l")]))
            .contains("did not come before")
    );
}

#[test]
fn a_file_through_a_link_is_refused_even_inside() {
    let archive = end(&[head(b"d/", b'5', 0, b""), head(b"l", b'2', 0, b"d"), file(b"l/f", b"x")]);
    assert!(refused(&archive).contains("no folder"));
    let archive = end(&[file(b"f", b"x"), file(b"f/g", b"x")]);
    assert!(refused(&archive).contains("no folder"));
}

#[test]
fn devices_pipes_and_unknown_kinds_are_refused() {
    for (flag, said) in [
        (b'3', "device"),
        (b'4', "device"),
        (b'6', "named pipe"),
        (b'S', "sparse"),
        (b'g', "no backup holds"),
        (b'V', "no backup holds"),
    ] {
        assert!(refused(&end(&[head(b"x", flag, 0, b"")])).contains(said), "{}", char::from(flag));
    }
    assert!(refused(&end(&[pax(&[("GNU.sparse.major", "1")]), file(b"x", b"")])).contains("sparse"));
}

#[test]
fn special_bits_are_stripped() {
    use std::os::unix::fs::MetadataExt;
    let mut suid = file(b"x", b"1");
    suid[100..107].copy_from_slice(b"0007777");
    seal(&mut suid);
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("data");
    fed("load", &target, &[], &end(&[suid])).unwrap();
    ran("adopt", &target, &[]);
    assert_eq!(std::fs::metadata(target.join("x")).unwrap().mode() & 0o7777, 0o777);
}

#[test]
fn names_that_come_twice_are_refused() {
    assert!(refused(&end(&[file(b"a", b"1"), file(b"a", b"2")])).contains("twice"));
    assert!(refused(&end(&[file(b"a", b"1"), head(b"a/", b'5', 0, b"")])).contains("twice"));
    assert!(refused(&end(&[head(b"a/", b'5', 0, b""), head(b"a/", b'5', 0, b"")])).contains("twice"));
    assert!(refused(&end(&[head(b"./", b'5', 0, b""), head(b"./", b'5', 0, b"")])).contains("twice"));
    assert!(refused(&end(&[file(b"a", b"1"), head(b"a", b'2', 0, b"b")])).contains("twice"));
    assert!(refused(&end(&[file(b"a", b"1"), file(b"b", b"1"), head(b"b", b'1', 0, b"a")])).contains("twice"));
    assert!(
        refused(&end(&[pax(&[("path", "a")]), pax(&[("path", "b")]), file(b"c", b"1")])).contains("described twice")
    );
}

#[test]
fn sizes_that_lie_are_refused() {
    assert!(refused(&end(&[pax(&[("size", "512")]), file(b"a", b"1")])).contains("two different sizes"));
    assert!(refused(&end(&[head(b"a", b'0', 1 << 32, b"")])).contains("cut short"));
    let mut huge = head(b"a", b'0', 0, b"");
    huge[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    seal(&mut huge);
    assert!(refused(&end(&[huge])).contains("1 TiB"));
    let mut none = head(b"a", b'0', 0, b"");
    none[124..135].copy_from_slice(b"zzzzzzzzzzz");
    seal(&mut none);
    assert!(refused(&end(&[none])).contains("no valid size"));
    assert!(refused(&end(&[head(b"d/", b'5', 512, b""), vec![1; 512]])).contains("no file"));
    assert!(refused(&end(&[head(b"p", b'x', 1 << 20, b"")])).contains("64 KiB"));
    assert!(refused(&end(&[head(b"x", b'x', 5, b""), b"9 a=b".to_vec(), vec![0; 507]])).contains("malformed"));
}

#[test]
fn names_beyond_the_limits_are_refused_and_those_within_are_not() {
    let deep = |n: usize| "d/".repeat(n) + "f";
    assert!(refused(&end(&[pax(&[("path", &deep(512))]), file(b"x", b"1")])).contains("too deep"));
    assert!(refused(&end(&[pax(&[("path", &"n".repeat(256))]), file(b"x", b"1")])).contains("255 bytes"));
    assert!(refused(&end(&[pax(&[("path", &"abcdefg/".repeat(513))]), file(b"x", b"1")])).contains("4096 bytes"));
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("data");
    let longest = format!("{}/x", vec!["n".repeat(255); 15].join("/"));
    let archive = end(&[pax(&[("path", &longest)]), file(b"x", b"1")]);
    fed("load", &target, &[], &archive).unwrap();
}

#[test]
fn archives_that_are_cut_or_grown_are_refused() {
    let whole = end(&[file(b"a", &[7; 1000]), file(b"b", b"1")]);
    for cut in [0, 1, 511, 512, 600, 1536, 2048, whole.len() - 1024, whole.len() - 512, whole.len() - 1] {
        assert!(refused(&whole[..cut]).contains("cut short"), "{cut}");
    }
    assert!(refused(&[whole.clone(), file(b"c", b"1")].concat()).contains("data follows"));
    assert!(refused(&[whole.clone(), vec![0; 2 << 20]].concat()).contains("zeros"));
    let lone = [file(b"a", b"1"), vec![0; 512], file(b"b", b"1"), vec![0; 1024]].concat();
    assert!(refused(&lone).contains("one block of zeros"));
    let mut flipped = whole.clone();
    flipped[3] ^= 1;
    assert!(refused(&flipped).contains("checksum"));
    assert!(refused(b"CREATE TABLE t(a);").contains("cut short"));
    assert!(refused(&[b'x'; 4096]).contains("checksum"));
}
