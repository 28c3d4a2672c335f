//! What the env-file grammar promises; the comparison with Compose itself is in `tests/recovery/env_files.rs`.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let outside = |name: &str| (name == "OUT").then(|| "side".to_owned());
    let found = parse(text.as_bytes(), Path::new("a.env"), &outside)?;
    Ok(found.into_iter().map(|v| (v.name, v.value)).collect())
}

fn one(text: &str) -> String {
    read(text).unwrap().pop().unwrap().1
}

#[test]
fn values_are_read_as_compose_reads_them() {
    for (text, value) in [
        ("A=x#y", "x#y"),
        ("A=x #y", "x"),
        ("export A: ' $B '", " $B "),
        ("A=\"a\\n\\0101\\x\" # c", "a\nA\\x"),
        ("A='it\\'s'", "it's"),
        ("A=\"two\nlines\"", "two\nlines"),
        ("B=1\nA=\"$B${B:-2}$$B\"", "11$B"),
        ("A=${C:-${D:-deep}}", "deep"),
        ("A=$(id)", "$(id)"),
        ("A=1\nA=2", "2"),
        ("OUT", "side"),
        ("A=${OUT:+x}${NO:+y}", "x"),
    ] {
        assert_eq!(one(text), value, "{text}");
    }
}

#[test]
fn a_refusal_points_at_the_line_and_never_shows_the_value() {
    for (text, place) in [
        ("A=1\nP=\"hunter2", "a.env:2:3"),
        ("P='hunter2' hunter2", "a.env:1:13"),
        ("P=hunter2$NOPE", "a.env:1:3"),
        ("A=1\r\nP=${hunter2", "a.env:2:3"),
        ("hunter2 hunter2=1", "a.env:1:1"),
        ("P=${X:?${Y:-hunter2}}", "a.env:1:3"),
    ] {
        let refusal = read(text).unwrap_err();
        assert!(refusal.message.starts_with(place), "{text}: {}", refusal.message);
        assert!(!refusal.message.contains("hunter2") || text.contains(":?"), "{}", refusal.message);
    }
}

#[test]
fn what_is_not_text_is_refused_where_it_begins() {
    let refuse = |bytes: &[u8]| parse(bytes, Path::new("a.env"), &|_| None).err().unwrap().message;
    assert_eq!(refuse(b"A=1\nB=\xFF"), "a.env:2:3: the bytes here are not UTF-8 text");
    assert_eq!(refuse(b"A=\0"), "a.env:1:3: a NUL byte");
}

#[test]
fn the_last_setting_wins_and_its_line_is_known() {
    let found = parse(b"# c\nA=1\nB='x\ny'\nA=2\n", Path::new("a.env"), &|_| None).unwrap();
    let lines: Vec<(&str, usize)> = found.iter().map(|v| (v.name.as_str(), v.line)).collect();
    assert_eq!(lines, [("A", 5), ("B", 3)]);
}

#[test]
fn endless_nesting_is_refused_instead_of_followed() {
    let text = format!("A={}", "${B:-".repeat(100_000));
    assert!(read(&text).is_err());
    let text = format!("A={}x{}", "${B:-".repeat(100), "}".repeat(100));
    assert!(read(&text).unwrap_err().message.contains("nested too deep"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, Path::new("a.env"), &|_| None);
    }

    #[test]
    fn any_text_of_the_grammars_own_characters_is_read_or_refused(text in "[AB=:$\\{\\}\"'\\\\\n\r #0-7é?+-]{0,80}") {
        let _ = parse(text.as_bytes(), Path::new("a.env"), &|_| Some("v".into()));
    }

    #[test]
    fn what_is_quoted_comes_back(value in "[^\0']{0,60}") {
        prop_assume!(!value.ends_with('\\'));
        prop_assert_eq!(one(&format!("A='{value}'")), value);
    }
}
