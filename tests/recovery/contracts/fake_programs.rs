//! The few programs that the contract suite uses, as scripts for the fake: enough to hold it to the same promises.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use xtask::adapters::fake::{Answer, FakeSites};

pub fn script(sites: &FakeSites) {
    let files = Arc::new(Mutex::new(BTreeSet::<String>::new()));
    let made = Arc::clone(&files);
    sites
        .on("cat", Answer::echoes())
        .on("true", Answer::runs(|_, _, _| Ok(0)))
        .on("false", Answer::runs(|_, _, _| Ok(1)))
        .on("sleep", Answer::hangs())
        .on("no-such-program", Answer::does_not_start("no such program"))
        .on(
            "yes",
            Answer::runs(|_, _, stdout| {
                loop {
                    stdout.write_all(b"y\n")?
                }
            }),
        )
        .on(
            "xargs",
            Answer::runs(|_, _, stdout| {
                loop {
                    stdout.write_all(b"y\n")?
                }
            }),
        )
        .on("echo", Answer::runs(|exec, _, stdout| writeln!(stdout, "{}", exec.args.join(" ")).map(|()| 0)))
        .on("touch", Answer::runs(move |exec, _, _| Ok(i32::from(!made.lock().unwrap().insert(exec.args[0].clone())))))
        .on("ls /", Answer::runs(move |exec, _, stdout| list(&files.lock().unwrap(), &exec.args[0], stdout)))
        .on("ls /no-such-place", Answer::prints("").complains("ls: /no-such-place: not there\n").exits(2))
        .on(
            "HIDDEN",
            Answer::runs(|exec, _, stdout| {
                exec.env.iter().try_for_each(|(k, v)| writeln!(stdout, "{k}={v}"))?;
                exec.secret_env.iter().try_for_each(|(k, v)| writeln!(stdout, "{k}={}", v.expose()))?;
                Ok(0)
            }),
        );
}

fn list(files: &BTreeSet<String>, path: &str, stdout: &mut dyn Write) -> io::Result<i32> {
    let below: Vec<&str> = files.iter().filter_map(|f| f.strip_prefix(path)).collect();
    for name in &below {
        writeln!(stdout, "{}", name.trim_start_matches('/'))?;
    }
    Ok(if below.is_empty() { 2 } else { 0 })
}
