//! Commands that end by themselves: what goes in, what comes out, and how they ended.

use super::{Rig, exec, run, text};
use std::io::{Read, Write};
use xtask::domain::secret::Secret;

pub fn output_and_success_come_back(rig: &Rig) {
    let site = rig.open();
    let (output, exit) = run(site.as_site(), &exec("echo", &["hello"]), b"");
    assert_eq!((output, exit.code, exit.declared_bytes), (b"hello\n".to_vec(), 0, None));
    assert_eq!(exit.stderr, "");
}

pub fn a_bad_exit_status_comes_back(rig: &Rig) {
    let site = rig.open();
    let (output, exit) = run(site.as_site(), &exec("false", &[]), b"");
    assert_eq!((output, exit.code, exit.ok()), (Vec::new(), 1, false));
}

pub fn the_end_of_standard_error_is_kept(rig: &Rig) {
    let site = rig.open();
    let (output, exit) = run(site.as_site(), &exec("ls", &["/no-such-place"]), b"");
    assert!(output.is_empty(), "standard error must not mix with the data");
    assert!(!exit.ok() && exit.stderr.contains("/no-such-place"), "{exit:?}");
}

pub fn a_program_that_does_not_exist_is_told(rig: &Rig) {
    let site = rig.open();
    if let Ok(mut running) = site.start(&exec("no-such-program", &[])) {
        let _ = running.stdout.read_to_end(&mut Vec::new());
        match running.control.wait() {
            Ok(exit) => assert!([126, 127].contains(&exit.code), "{exit:?}"),
            Err(error) => assert!(format!("{error:#}").contains("no-such-program"), "{error:#}"),
        }
    }
}

pub fn arguments_are_passed_as_they_are(rig: &Rig) {
    let site = rig.open();
    let hostile = ["$(id)", "`id`", "a  b", "; id", "*", "'", "\"", "$HOME", "\\n", "é"];
    assert_eq!(text(site.as_site(), &exec("echo", &hostile)), format!("{}\n", hostile.join(" ")));
}

pub fn bytes_go_through_unchanged(rig: &Rig) {
    let site = rig.open();
    // A terminal in between would change line ends and act on control characters.
    let all: Vec<u8> = (0..=255).chain(*b"\r\n\n\r\x03\x04\x1a\0").collect();
    let (output, exit) = run(site.as_site(), &exec("cat", &[]).reads_stdin(), &all);
    assert_eq!((output, exit.code), (all, 0));
}

pub fn large_streams_go_through_in_both_directions(rig: &Rig) {
    let site = rig.open();
    let mut random = 1_u32;
    let input: Vec<u8> = (0..12_000_001)
        .map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random.to_be_bytes()[0]
        })
        .collect();
    let (output, exit) = run(site.as_site(), &exec("cat", &[]).reads_stdin(), &input);
    assert!(exit.ok(), "{exit:?}");
    assert!(output == input, "{} of {} bytes, or other bytes", output.len(), input.len());
}

pub fn a_closed_input_ends_a_reader(rig: &Rig) {
    let site = rig.open();
    let mut running = site.start(&exec("cat", &[]).reads_stdin()).unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"first").unwrap();
    stdin.flush().unwrap();
    let mut first = [0; 5];
    running.stdout.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first", "what was written arrives before the input is closed");
    drop(stdin);
    assert_eq!(running.stdout.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert!(running.control.wait().unwrap().ok());
}

pub fn without_input_there_is_nothing_to_read(rig: &Rig) {
    let site = rig.open();
    let running = site.start(&exec("cat", &[])).unwrap();
    assert!(running.stdin.is_none());
    drop(running);
    assert_eq!(text(site.as_site(), &exec("cat", &[])), "");
}

pub fn a_program_that_reads_nothing_still_tells_its_status(rig: &Rig) {
    let site = rig.open();
    let (_, exit) = run(site.as_site(), &exec("true", &[]).reads_stdin(), &vec![b'x'; 3_000_000]);
    assert!(exit.ok(), "{exit:?}");
}

pub fn both_kinds_of_environment_arrive_and_nothing_of_ours(rig: &Rig) {
    let site = rig.open();
    let command = exec("env", &[]).env("PLAIN", "a b=c").secret_env("HIDDEN", Secret::new("hunter2"));
    assert!(!command.command_line().contains("hunter2"));
    let said = text(site.as_site(), &command);
    for line in ["PLAIN=a b=c", "HIDDEN=hunter2"] {
        assert!(said.lines().any(|l| l == line), "{said}");
    }
    assert!(!said.contains("CARGO_MANIFEST_DIR="), "{said}");
}

pub fn commands_run_side_by_side(rig: &Rig) {
    let site = rig.open();
    let start = || site.start(&exec("cat", &[]).reads_stdin()).unwrap();
    let mut running = [start(), start(), start()];
    for (n, one) in running.iter_mut().enumerate() {
        one.stdin.take().unwrap().write_all(n.to_string().as_bytes()).unwrap();
    }
    for (n, one) in running.iter_mut().enumerate().rev() {
        let mut said = String::new();
        one.stdout.read_to_string(&mut said).unwrap();
        assert_eq!((said, one.control.wait().unwrap().code), (n.to_string(), 0));
    }
}
