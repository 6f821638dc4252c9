//! `bench/results.md`: a section a measurement, each replaced as a whole when it is measured again.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// One figure.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) krab: String,
    pub(crate) upstream: Option<String>,
    pub(crate) target: String,
    pub(crate) met: bool,
}

/// The figures of one measurement.
pub(crate) struct Table {
    /// The word of the command line, which is the section's title.
    pub(crate) name: &'static str,
    pub(crate) how: String,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "## {}\n{}\n\n| figure | krab | upstream v1.37.0 | target | |\n|---|---|---|---|---|\n",
            self.name, self.how
        );
        for row in &self.rows {
            let upstream = row.upstream.as_deref().unwrap_or("not measured");
            let verdict = if row.met { "met" } else { "missed" };
            text.push_str(&format!("| {} | {} | {upstream} | {} | {verdict} |\n", row.what, row.krab, row.target));
        }
        text
    }
}

/// The file's sections in order.
pub(crate) struct Report {
    path: PathBuf,
    sections: Vec<String>,
}

const HEAD: &str = "# Speed and size\nWritten by `bench/run`; see its header. Times are medians.\n";

impl Report {
    pub(crate) fn open(path: &str) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        };
        let sections = text.split("\n## ").skip(1).map(|section| format!("## {}", section.trim_end())).collect();
        Ok(Self { path: path.into(), sections })
    }

    pub(crate) fn replace(&mut self, table: &Table) {
        let section = table.markdown().trim_end().to_owned();
        let title = format!("## {}\n", table.name);
        match self.sections.iter_mut().find(|present| present.starts_with(&title)) {
            Some(present) => *present = section,
            None => self.sections.push(section),
        }
    }

    pub(crate) fn write(&self) -> Result<()> {
        let text = format!("{HEAD}\n{}\n", self.sections.join("\n\n"));
        std::fs::write(&self.path, text).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` of the figures lie.
pub(crate) fn percentile(mut figures: Vec<f64>, share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the number of figures")]
    let at = (figures.len() as f64 * share) as usize;
    figures.get(at.min(figures.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Processor and memory of this machine.
pub(crate) fn machine() -> String {
    let read = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cores} x {}", read("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let table = |name, krab: &str| Table {
            name,
            how: "How.".to_owned(),
            rows: vec![Row {
                what: "w".to_owned(),
                krab: krab.to_owned(),
                upstream: None,
                target: "t".to_owned(),
                met: true,
            }],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.md");
        let path = path.to_str().unwrap();
        for (name, krab) in [("start", "1"), ("node", "2"), ("start", "3")] {
            let mut report = Report::open(path).unwrap();
            report.replace(&table(name, krab));
            report.write().unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("| w | 3 |") && text.contains("| w | 2 |") && !text.contains("| w | 1 |"), "{text}");
    }

    #[test]
    fn medians_and_percentiles_come_from_the_figures() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((percentile((1..=100).map(f64::from).collect(), 0.99) - 100.0).abs() < f64::EPSILON);
    }
}
