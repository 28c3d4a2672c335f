//! Benchmark, not a test: the most memory that the tool holds while it drills this much data, for PostgreSQL and SQLite, and how
//! long `--help` takes.
//! Run: `cargo bench -p xtask --bench footprint --profile dev -- --size 1GB`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that fails has no figures")]

#[path = "../recovery/support/peak.rs"]
mod peak;

use std::path::Path;

const TOOL: &str = env!("CARGO_BIN_EXE_xtask");

/// One store each; both are rehearsed.
const STACKS: &str = "\
stacks:
  bench:
    folder: .
    stores:
      sqlite: { engine: sqlite, path: app.db }
      postgres: { engine: postgres, database: shop, user: shop, image: \"localhost/xtask-postgres:17\" }
";

fn main() {
    let size = std::env::args().skip_while(|word| word != "--size").nth(1).unwrap_or_else(|| "100MB".to_owned());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("recovery.yaml"), STACKS).unwrap();
    println!("--help: {:.1} ms (median of 21)", help(folder.path()));
    for store in ["sqlite", "postgres"] {
        let words =
            ["test-recovery", "--store", store, "--scenario", "total-loss", "--exposure", "0s", "--size", &size];
        let (seconds, (status, peak)) = timed(|| peak::watched(Path::new(TOOL), folder.path(), &words));
        let mb = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "{store:9} {size}: peak {:.1} MiB, its data tools {:.1} MiB, {seconds:.0} s, {status}, load {}",
            mb(peak.tool),
            mb(peak.data_tool),
            std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim()
        );
    }
}

/// Milliseconds from start to end of `xtask --help`.
fn help(folder: &Path) -> f64 {
    let once = || {
        #[expect(clippy::disallowed_methods, reason = "the start of a process is what is measured")]
        let mut command = std::process::Command::new(TOOL);
        timed(|| command.arg("--help").current_dir(folder).output().unwrap()).0 * 1e3
    };
    let mut times: Vec<f64> = std::iter::repeat_with(once).take(21).collect();
    times.sort_by(f64::total_cmp);
    times[10]
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed<T>(what: impl FnOnce() -> T) -> (f64, T) {
    let begun = std::time::Instant::now();
    let result = what();
    (begun.elapsed().as_secs_f64(), result)
}
