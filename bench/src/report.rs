//! `bench/results.md`: a section a measurement, each replaced as a whole when it is measured again.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// What a figure counts, and so how it is written and which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Megabytes,
    Percent,
    PerSecond,
}

impl Unit {
    pub(crate) fn text(self, value: f64) -> String {
        let name = match self {
            Unit::Seconds => " s",
            Unit::Milliseconds => " ms",
            Unit::Microseconds => " us",
            Unit::Megabytes => " MB",
            Unit::Percent => " %",
            Unit::PerSecond => "/s",
        };
        // Three digits that mean something, and no zeros behind them.
        let places = match value.abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            value if value >= 1.0 => 2,
            _ => 3,
        };
        let number = format!("{value:.places$}");
        let number = if places > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
        format!("{number}{name}")
    }

    fn more_is_better(self) -> bool {
        self == Unit::PerSecond
    }
}

/// One figure of krab's, upstream's beside it, and what it has to reach.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// None: krab cannot do this yet.
    pub(crate) krab: Option<f64>,
    /// None: not measured.
    pub(crate) upstream: Option<f64>,
    pub(crate) target: f64,
}

impl Row {
    fn markdown(&self) -> String {
        let Row { what, unit, krab, upstream, target } = self;
        let bound = if unit.more_is_better() { '≥' } else { '≤' };
        let ratio =
            krab.zip(*upstream).filter(|(krab, upstream)| *krab > 0.0 && *upstream > 0.0).map(|(krab, upstream)| {
                let ratio = if unit.more_is_better() { krab / upstream } else { upstream / krab };
                format!("{ratio:.1}x")
            });
        let verdict = krab.map(|krab| {
            let met = if unit.more_is_better() { krab >= *target } else { krab <= *target };
            if met { "met" } else { "missed" }
        });
        format!(
            "| {what} | {} | {} | {} | {bound} {} | {} |\n",
            krab.map_or("not yet".to_owned(), |krab| unit.text(krab)),
            upstream.map_or("not measured".to_owned(), |upstream| unit.text(upstream)),
            ratio.unwrap_or_default(),
            unit.text(*target),
            verdict.unwrap_or("missed"),
        )
    }
}

/// The figures of one measurement.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The section's title: the word of the command line, and what tells several such tables apart.
    pub(crate) name: String,
    pub(crate) how: String,
    pub(crate) rows: Vec<Row>,
    /// What else is told below the figures: Markdown, or nothing.
    pub(crate) more: String,
}

impl Table {
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "## {}\n{}\n\n| figure | krab | upstream v1.37.0 | better by | target | |\n|---|---|---|---|---|---|\n",
            self.name, self.how
        );
        for row in &self.rows {
            text.push_str(&row.markdown());
        }
        if !self.more.is_empty() {
            text.push('\n');
            text.push_str(&self.more);
        }
        text
    }
}

/// The file's sections in order.
pub(crate) struct Report {
    path: PathBuf,
    sections: Vec<String>,
}

const HEAD: &str = "# Speed and size\nWritten by `bench/run`; see README.md beside it.\n";

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

/// The median of some figures; None of none.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// The value below which `share` of the figures lie; None of none.
pub(crate) fn percentile(mut figures: Vec<f64>, share: f64) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the number of figures")]
    let at = (figures.len() as f64 * share) as usize;
    figures.get(at.min(figures.len().saturating_sub(1))).copied()
}

/// Processor of this machine, and what else it was doing: the load of the last minute.
pub(crate) fn machine() -> String {
    let read = |path: &str, key: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    let model = read("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    format!("{cores} x {model}, load average {load}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(unit: Unit, krab: Option<f64>, upstream: Option<f64>) -> Row {
        Row { what: "w".to_owned(), unit, krab, upstream, target: 10.0 }
    }

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let table = |name: &str, krab: f64| Table {
            name: name.to_owned(),
            how: "How.".to_owned(),
            rows: vec![row(Unit::Seconds, Some(krab), None)],
            more: String::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.md");
        let path = path.to_str().unwrap();
        for (name, krab) in [("start", 1.0), ("node", 2.0), ("start", 3.0)] {
            let mut report = Report::open(path).unwrap();
            report.replace(&table(name, krab));
            report.write().unwrap();
        }
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains("| w | 3 s |") && text.contains("| w | 2 s |") && !text.contains("| w | 1 s |"),
            "{text}"
        );
    }

    #[test]
    fn medians_and_percentiles_come_from_the_figures() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(percentile((1..=100).map(f64::from).collect(), 0.99), Some(100.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn less_time_and_more_of_a_rate_are_better() {
        let text = row(Unit::Microseconds, Some(5.0), Some(20.0)).markdown();
        assert_eq!(text, "| w | 5 us | 20 us | 4.0x | ≤ 10 us | met |\n");
        let text = row(Unit::PerSecond, Some(5.0), Some(20.0)).markdown();
        assert_eq!(text, "| w | 5/s | 20/s | 0.2x | ≥ 10/s | missed |\n");
    }

    #[test]
    fn what_krab_cannot_do_yet_is_said_and_counts_as_missed() {
        let text = row(Unit::Microseconds, None, Some(20.0)).markdown();
        assert_eq!(text, "| w | not yet | 20 us |  | ≤ 10 us | missed |\n");
    }

    #[test]
    fn figures_have_three_digits_that_mean_something() {
        let texts = [1234.5, 12.34, 1.234, 0.1, 0.0].map(|value| Unit::Milliseconds.text(value));
        assert_eq!(texts, ["1234 ms", "12.3 ms", "1.23 ms", "0.1 ms", "0 ms"]);
    }
}
