//! Files made to hurt: each is refused, or read, without building what it describes.

use super::*;

/// What a YAML text is refused with.
fn hostile(text: &str) -> String {
    yaml::compose(text, Path::new("h.yaml")).err().map_or_else(|| "accepted".into(), |r| r.message)
}

#[test]
fn an_alias_bomb_is_counted_and_not_built() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let message = hostile(&text);
    assert!(message.starts_with("h.yaml:5:") && message.contains("more than 100000 values"), "{message}");
}

#[test]
fn a_merge_bomb_is_stopped_while_it_is_read() {
    let keys: Vec<String> = (0..5000).map(|i| format!("k{i}: 1")).collect();
    let text = format!("a: &a {{{}}}\nb:\n{}", keys.join(", "), "- {<<: *a}\n".repeat(900));
    let message = hostile(&text);
    let line: usize = message.split(':').nth(1).unwrap().parse().unwrap();
    // The list begins on line 3 and ends on line 902: it is stopped where the budget is spent.
    assert!(message.contains("more than") && (30..60).contains(&line), "{message}");
}

#[test]
fn many_aliases_are_refused_even_when_each_is_small() {
    let text = format!("a: &a x\nb: [{}]\n", vec!["*a"; 1001].join(", "));
    assert!(hostile(&text).contains("more than 1000 aliases"));
}

#[test]
fn ten_thousand_levels_are_refused_in_every_notation() {
    let block: String = (0..10_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let closed = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let maps = format!("{}1{}", "{a: ".repeat(10_000), "}".repeat(10_000));
    for text in [closed, maps, "- ".repeat(10_000), "? ".repeat(10_000), block] {
        let message = hostile(&text);
        // Brackets end at the scanner's own bound, before there is anything to count.
        assert!(message.contains("nested deeper than 64 levels") || message.contains("recursion limit"), "{message}");
    }
    let over = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert!(hostile(&over).contains("nested deeper than 64 levels"));
    let just = format!("{}{}", "[".repeat(64), "]".repeat(64));
    assert_eq!(hostile(&just), "accepted");
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_unread() {
    let dir = folder(&[]);
    let file = fs::File::create(dir.path().join("compose.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    let message = format!("{:#}", load_in(dir.path()).unwrap_err());
    assert!(message.contains("is larger than 4 MB"), "{message}");
}

#[test]
fn pipes_devices_and_folders_are_refused_at_once() {
    let dir = folder(&[]);
    for (name, make) in [("pipe", 0), ("zero", 1), ("folder", 2)] {
        let path = dir.path().join(name);
        match make {
            0 => rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap(),
            1 => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        let error =
            load(&LoadOptions { config: Some(path), folder: dir.path().into(), environment: &|_| None }).unwrap_err();
        assert!(format!("{error:#}").contains("is not a regular file"), "{name}: {error:#}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_begin() {
    for (bytes, message) in [
        (&b"a: 1\nb: \xFF\n"[..], "compose.yaml:2:4: the bytes here are not UTF-8 text"),
        (&b"a: 1\n\0"[..], "compose.yaml:2:1: a NUL byte"),
        (&b"\xFF\xFEs\0"[..], "compose.yaml:1:1: the bytes here are not UTF-8 text"),
    ] {
        let dir = folder(&[]);
        fs::write(dir.path().join("compose.yaml"), bytes).unwrap();
        let error = format!("{:#}", load_in(dir.path()).unwrap_err());
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    let (_dir, project) = loaded(&[
        ("recovery.yaml", "\u{FEFF}stacks:\r\n  a:\r\n    compose: c.yml\r\n"),
        (
            "c.yml",
            "\u{FEFF}services:\r\n  db:\r\n    image: postgres:15\r\n    environment:\r\n      POSTGRES_PASSWORD: x\r\n",
        ),
    ]);
    assert_eq!(project.stacks[0].stores[0].image.as_deref(), Some("postgres:15"));
}

#[test]
fn yaml_merge_keys_and_anchors_work() {
    let (_dir, project) = loaded(&[(
        "compose.yaml",
        "x-a: &a {image: postgres:15, environment: {POSTGRES_PASSWORD: x}}\nx-b: &b {image: postgres:16, restart: always}\nservices:\n  one: {<<: *a}\n  two: {<<: [*b, *a]}\n  three: {<<: *a, image: postgres:17}\n",
    )]);
    let images: Vec<_> = ["one", "two", "three"].map(|n| store(&project.stacks[0], n).image.clone().unwrap()).into();
    assert_eq!(images, ["postgres:15", "postgres:16", "postgres:17"]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-c:\\-\\[\\]{}&*!<?|>'\"# \n\t,%@`0-9]{0,120}") {
        let _ = yaml::compose(&text, Path::new("h.yaml"));
    }
}
