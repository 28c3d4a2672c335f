//! The report as JSON: the `Report` itself, pretty, numbers as numbers. The shape is told in `docs/report.md`.

use super::{Destination, Rendered, Reporter, Style};
use crate::domain::report::Report;
use anyhow::{Context, Result};

/// Writes `report.json`.
pub struct Json;

/// The file's name in the report folder.
pub const FILE: &str = "report.json";

impl Reporter for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "report.json: everything that is known of the run, with a versioned schema"
    }

    fn file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    fn render(&self, report: &Report, _: &Style) -> Result<Rendered> {
        let mut text = serde_json::to_string_pretty(report).context("write the report as JSON")?;
        // JSON has no infinities: they would silently become `null` and make a file that its own reader refuses.
        serde_json::from_str::<Report>(&text).context("read the report's JSON back: is every number finite?")?;
        text.push('\n');
        Ok(Rendered::one(Destination::File(FILE), text))
    }
}
