//! One row a drill, the verdict's word first: on one line where the screen is wide enough, folded to two where it is not.

use crate::domain::display::{Ink, Style, duration, ink, one_line};
use crate::domain::objective::Verdict;
use crate::domain::report::{Drill, Report};

/// A number against its objective.
struct Number {
    /// `1.84 s`, `never`, `-`.
    actual: String,
    /// `/ 30 min` when met, `> 30 min` when missed, empty when there is nothing to compare.
    against: String,
    ink: Option<Ink>,
}

/// One drill's cells.
struct Row {
    word: String,
    ink: Ink,
    store: String,
    engine: String,
    scenario: String,
    numbers: [Number; 3],
}

const GAP: &str = "  ";
const HEADS: [&str; 3] = ["RTO", "RPO", "WORST-CASE RPO"];

/// The table with its headings, and what its signs mean.
pub fn verdicts(report: &Report, style: &Style) -> Vec<String> {
    let rows: Vec<Row> = report.drills.iter().map(row).collect();
    if rows.is_empty() {
        return vec![style.paint(Ink::Caution, "no drill was run")];
    }
    let mut lines = one_line_each(&rows, style);
    if lines.iter().any(|(width, _)| *width > style.width) {
        lines = folded(&rows, style);
    }
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    if rows.iter().flat_map(|r| &r.numbers).any(|n| n.ink == Some(Ink::Bad)) {
        lines.push(style.paint(Ink::Faint, "(a / b: a is within the objective b; a > b: the objective b is missed)"));
    }
    lines
}

fn row(drill: &Drill) -> Row {
    let unscheduled = drill.schedule.is_none() && !drill.outcome.skipped();
    Row {
        word: drill.outcome.word().to_uppercase(),
        ink: ink(&drill.outcome),
        store: one_line(&format!("{}/{}", drill.stack, drill.store)),
        engine: one_line(&drill.engine),
        scenario: one_line(&drill.scenario),
        numbers: [
            number(drill.rto.as_ref(), "never", "-"),
            number(drill.rpo.as_ref(), "all lost", "-"),
            number(drill.rpo_worst_case.as_ref(), "unbounded", if unscheduled { "no schedule" } else { "-" }),
        ],
    }
}

fn number(verdict: Option<&Verdict>, infinite: &str, missing: &str) -> Number {
    let Some(verdict) = verdict else {
        return Number { actual: missing.to_owned(), against: String::new(), ink: None };
    };
    let sign = if verdict.met { '/' } else { '>' };
    Number {
        actual: verdict.actual_seconds.map_or_else(|| infinite.to_owned(), duration),
        against: format!("{sign} {}", duration(verdict.objective_seconds)),
        ink: (!verdict.met).then_some(Ink::Bad),
    }
}

/// Lines with their widths as seen on the screen.
type Lines = Vec<(usize, String)>;

fn one_line_each(rows: &[Row], style: &Style) -> Lines {
    let mut grid = vec![vec![
        ("VERDICT".to_owned(), Some(Ink::Faint)),
        ("STACK/STORE".to_owned(), Some(Ink::Faint)),
        ("ENGINE".to_owned(), Some(Ink::Faint)),
        ("SCENARIO".to_owned(), Some(Ink::Faint)),
    ]];
    grid[0].extend(HEADS.map(|head| (head.to_owned(), Some(Ink::Faint))));
    for row in rows {
        let mut cells = vec![
            (row.word.clone(), Some(row.ink)),
            (row.store.clone(), None),
            (row.engine.clone(), None),
            (row.scenario.clone(), None),
        ];
        cells.extend(row.numbers.iter().map(|n| (format!("{} {}", n.actual, n.against).trim_end().to_owned(), n.ink)));
        grid.push(cells);
    }
    align(&grid, style)
}

fn folded(rows: &[Row], style: &Style) -> Lines {
    let faint = |text: &str| (text.to_owned(), Some(Ink::Faint));
    let mut grid =
        vec![vec![faint("VERDICT"), faint("STACK/STORE"), faint(HEADS[0]), faint(HEADS[1]), faint(HEADS[2])]];
    for row in rows {
        let mut first = vec![(row.word.clone(), Some(row.ink)), (row.store.clone(), None)];
        first.extend(row.numbers.iter().map(|n| (n.actual.clone(), n.ink)));
        let mut second = vec![(String::new(), None), (format!("{}, {}", row.scenario, row.engine), None)];
        second.extend(row.numbers.iter().map(|n| (n.against.clone(), n.ink)));
        grid.extend([first, second]);
    }
    align(&grid, style)
}

/// Pads every cell to its column; colours come after the padding is known.
fn align(grid: &[Vec<(String, Option<Ink>)>], style: &Style) -> Lines {
    let wide =
        |column: usize| grid.iter().filter_map(|r| r.get(column)).map(|(t, _)| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..grid.first().map_or(0, Vec::len)).map(wide).collect();
    let mut lines = Lines::new();
    for cells in grid {
        let (mut line, mut seen, mut used) = (String::new(), 0, 0);
        for ((text, ink), width) in cells.iter().zip(&widths) {
            let long = text.chars().count();
            if long > 0 {
                line.push_str(&" ".repeat(used - seen));
                line.push_str(&ink.map_or_else(|| text.clone(), |ink| style.paint(ink, text)));
                seen = used + long;
            }
            used += width + GAP.len();
        }
        lines.push((seen, line));
    }
    lines
}
