//! Tests of what people read.

use super::*;

#[test]
fn durations_read_as_people_say_them() {
    let said: Vec<String> = [
        0.0, 0.0004, 0.25, 0.9996, 1.84, 2.0, 9.996, 59.94, 59.97, 60.0, 60.2, 123.0, 1800.0, 3599.7, 3600.0, 11_100.0,
        14_400.0, 86_430.0, 604_800.0, 190_800.0,
    ]
    .iter()
    .map(|s| duration(*s))
    .collect();
    assert_eq!(
        said,
        [
            "0 s",
            "<1 ms",
            "250 ms",
            "1.00 s",
            "1.84 s",
            "2 s",
            "10.0 s",
            "59.9 s",
            "1 min 00 s",
            "1 min",
            "1 min 00 s",
            "2 min 03 s",
            "30 min",
            "1 h 00 min",
            "1 h",
            "3 h 05 min",
            "4 h",
            "24 h 01 min",
            "7 d",
            "2 d 05 h"
        ]
    );
    assert_eq!((duration(f64::NAN), duration(f64::INFINITY), duration(-1.0)), ("?".into(), "?".into(), "?".into()));
}

#[test]
fn bytes_keep_three_digits() {
    let said: Vec<String> =
        [0, 999, 1000, 10_400_000, 999_600, 123_456_789, u64::MAX].iter().map(|n| bytes(*n)).collect();
    assert_eq!(said, ["0 B", "999 B", "1.00 kB", "10.4 MB", "1.00 MB", "123 MB", "18.4 EB"]);
    assert_eq!((count(0), count(999), count(1_234_567)), ("0".into(), "999".into(), "1 234 567".into()));
}

#[test]
fn foreign_text_cannot_steer_a_terminal_or_break_xml() {
    assert_eq!(clean("\x1b[31mred\x1b[0m\0 a\tb\r\nc\rd"), "red\\x00 a    b\nc\nd");
    assert_eq!(clean("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
    assert_eq!(clean("\x1b[31"), "");
    assert_eq!(clean("a\u{202e}b\u{fffe}\u{ffff}\u{9b}2J"), "a\\u202eb\\ufffe\\uffff\\x9b2J");
    assert_eq!(clean("plain ünïcode 🐘 ]]>"), "plain ünïcode 🐘 ]]>");
}

#[test]
fn wrapping_loses_nothing_and_respects_the_width() {
    let text =
        "restore app-db: pg_restore: exit 1: could not execute query\n  DETAIL: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b";
    let lines = wrap(text, 24);
    assert!(lines.iter().all(|l| l.chars().count() <= 24), "{lines:?}");
    let squeeze = |t: &str| t.split_whitespace().collect::<String>();
    assert_eq!(squeeze(&lines.concat()), squeeze(text));
    assert_eq!(wrap("", 40), Vec::<String>::new());
}

#[test]
fn colour_is_only_an_addition() {
    let colours = Style { colour: true, width: 80 };
    assert_eq!(colours.paint(Ink::Bad, "FAILED"), "\x1b[1;31mFAILED\x1b[0m");
    assert_eq!(Style::plain(80).paint(Ink::Bad, "FAILED"), "FAILED");
    assert_eq!(colours.paint(Ink::Bad, ""), "");
}
