//! The text of an expression, and errors that point into it as cel-go prints them.
//!
//! Upstream: cel-go common.Source, common.Errors.

/// Snippets longer than this are left out of error texts.
const MAX_SNIPPET: usize = 16384;
/// No more errors than this are printed.
const MAX_ERRORS: usize = 100;

/// One thing wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Byte offset into the text; None where no place is to blame.
    pub at: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Issue {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Issue {
        Issue { at: Some(at), message: message.into() }
    }
}

/// All issues in order of place, each with its line and a mark under the column.
pub(crate) fn render(text: &str, issues: &[Issue]) -> String {
    let mut placed: Vec<(isize, usize, &Issue)> = issues
        .iter()
        .map(|issue| match issue.at {
            Some(at) => {
                let (line, column) = position(text, at);
                (line as isize, column, issue)
            }
            None => (-1, 0, issue),
        })
        .collect();
    placed.sort_by_key(|(line, column, _)| (*line, *column));
    let mut lines: Vec<String> = placed
        .iter()
        .take(MAX_ERRORS)
        .map(|(line, column, issue)| {
            // An empty text has no column to count from.
            let shown = if *line < 0 || text.is_empty() { *column } else { column + 1 };
            format!("ERROR: <input>:{line}:{shown}: {}{}", issue.message, snippet(text, *line, *column))
        })
        .collect();
    if placed.len() > MAX_ERRORS {
        lines.push(format!("{} more errors were truncated", placed.len() - MAX_ERRORS));
    }
    lines.join("\n")
}

/// Line (from 1) and column in characters (from 0) of a byte offset.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count())
}

/// The line and, under it, dots up to a caret; wide ones under characters of several bytes.
fn snippet(text: &str, line: isize, column: usize) -> String {
    let Some(line) = usize::try_from(line).ok().and_then(|line| text.split('\n').nth(line.saturating_sub(1))) else {
        return String::new();
    };
    if text.is_empty() || line.len() > MAX_SNIPPET {
        return String::new();
    }
    let line = line.replace('\t', " ");
    let mut marks = String::new();
    let mut characters = line.chars();
    for character in characters.by_ref().take(column) {
        marks.push(if character.len_utf8() > 1 { '\u{ff0e}' } else { '.' });
    }
    marks.push(if characters.next().is_some_and(|c| c.len_utf8() > 1) { '\u{ff3e}' } else { '^' });
    format!("\n | {line}\n | {marks}")
}
