//! Unified diffs that put their lines where Python's difflib does, as upstream's do: the longest run in common first, then the same
//! to both sides of it. Upstream: github.com/pmezard/go-difflib.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

/// Lines around a change.
const CONTEXT: usize = 3;
/// From so many lines on, one that is more than a hundredth of them is no beginning of a run.
const MANY_LINES: usize = 200;

/// A run in common: where it begins in both, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    old: usize,
    new: usize,
    length: usize,
}

/// A part of both texts that is the same, or is not.
#[derive(Debug, Clone)]
struct Part {
    same: bool,
    old: Range<usize>,
    new: Range<usize>,
}

/// The changes from one text to the other; nothing if there are none.
pub(super) fn unified(old: &[String], new: &[String]) -> String {
    let mut out = String::new();
    for hunk in hunks(parts(old, new)) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let old_range = shown(first.old.start..last.old.end);
        let new_range = shown(first.new.start..last.new.end);
        let _ = writeln!(out, "@@ -{old_range} +{new_range} @@");
        for part in &hunk {
            if part.same {
                write_lines(&mut out, ' ', &old[part.old.clone()]);
            } else {
                write_lines(&mut out, '-', &old[part.old.clone()]);
                write_lines(&mut out, '+', &new[part.new.clone()]);
            }
        }
    }
    out
}

fn write_lines(out: &mut String, mark: char, lines: &[String]) {
    for line in lines {
        let _ = writeln!(out, "{mark}{line}");
    }
}

/// Lines count from 1; an empty range is named by the line before it.
fn shown(range: Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        length => format!("{},{length}", range.start + 1),
    }
}

/// Changes with what is around them: long parts in common end one hunk and begin the next.
fn hunks(mut parts: Vec<Part>) -> Vec<Vec<Part>> {
    if let Some(first) = parts.first_mut().filter(|first| first.same) {
        first.old.start = first.old.start.max(first.old.end.saturating_sub(CONTEXT));
        first.new.start = first.new.start.max(first.new.end.saturating_sub(CONTEXT));
    }
    if let Some(last) = parts.last_mut().filter(|last| last.same) {
        last.old.end = last.old.end.min(last.old.start + CONTEXT);
        last.new.end = last.new.end.min(last.new.start + CONTEXT);
    }
    let (mut hunks, mut hunk) = (Vec::new(), Vec::new());
    for mut part in parts {
        if part.same && part.old.len() > 2 * CONTEXT {
            let before = Part {
                same: true,
                old: part.old.start..part.old.start + CONTEXT,
                new: part.new.start..part.new.start + CONTEXT,
            };
            hunk.push(before);
            hunks.push(std::mem::take(&mut hunk));
            part.old.start = part.old.end - CONTEXT;
            part.new.start = part.new.end - CONTEXT;
        }
        hunk.push(part);
    }
    hunks.push(hunk);
    hunks.retain(|hunk| hunk.iter().any(|part| !part.same));
    hunks
}

/// Both texts from beginning to end.
fn parts(old: &[String], new: &[String]) -> Vec<Part> {
    let (mut parts, mut at) = (Vec::new(), (0, 0));
    let end = Run { old: old.len(), new: new.len(), length: 0 };
    for run in runs(old, new).into_iter().chain([end]) {
        if at != (run.old, run.new) {
            parts.push(Part { same: false, old: at.0..run.old, new: at.1..run.new });
        }
        at = (run.old + run.length, run.new + run.length);
        if run.length > 0 {
            parts.push(Part { same: true, old: run.old..at.0, new: run.new..at.1 });
        }
    }
    parts
}

/// The runs in common in their order; those that touch are one.
fn runs(old: &[String], new: &[String]) -> Vec<Run> {
    let places = places(new);
    let (mut found, mut waiting) = (Vec::new(), vec![(0..old.len(), 0..new.len())]);
    while let Some((in_old, in_new)) = waiting.pop() {
        let run = longest(old, new, &places, in_old.clone(), in_new.clone());
        if run.length == 0 {
            continue;
        }
        waiting.push((in_old.start..run.old, in_new.start..run.new));
        waiting.push((run.old + run.length..in_old.end, run.new + run.length..in_new.end));
        found.push(run);
    }
    found.sort_unstable();
    let mut joined: Vec<Run> = Vec::new();
    for run in found {
        match joined.last_mut() {
            Some(last) if (last.old + last.length, last.new + last.length) == (run.old, run.new) => {
                last.length += run.length;
            }
            _ => joined.push(run),
        }
    }
    joined
}

/// Where each line is in the new text; not of lines that are everywhere.
fn places(new: &[String]) -> HashMap<&str, Vec<usize>> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, line) in new.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    if new.len() >= MANY_LINES {
        let most = new.len() / 100 + 1;
        places.retain(|_, own| own.len() <= most);
    }
    places
}

/// The longest run within both ranges, the first of several.
fn longest(
    old: &[String],
    new: &[String],
    places: &HashMap<&str, Vec<usize>>,
    in_old: Range<usize>,
    in_new: Range<usize>,
) -> Run {
    let mut best = Run { old: in_old.start, new: in_new.start, length: 0 };
    // Lengths of the runs that end at the line before, by where in the new text.
    let mut before: HashMap<usize, usize> = HashMap::new();
    for index in in_old.clone() {
        let mut lengths = HashMap::new();
        for &place in places.get(old[index].as_str()).into_iter().flatten().filter(|place| in_new.contains(place)) {
            let length = place.checked_sub(1).and_then(|place| before.get(&place)).unwrap_or(&0) + 1;
            lengths.insert(place, length);
            if length > best.length {
                best = Run { old: index + 1 - length, new: place + 1 - length, length };
            }
        }
        before = lengths;
    }
    // Lines that are everywhere belong to a run, too.
    while best.old > in_old.start && best.new > in_new.start && old[best.old - 1] == new[best.new - 1] {
        best = Run { old: best.old - 1, new: best.new - 1, length: best.length + 1 };
    }
    while best.old + best.length < in_old.end
        && best.new + best.length < in_new.end
        && old[best.old + best.length] == new[best.new + best.length]
    {
        best.length += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str, expected: &str) {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(unified(&lines(old), &lines(new)).replace('\n', "/"), expected, "{old} -> {new}");
    }

    /// As Python's difflib.unified_diff says it.
    #[test]
    fn changes_are_where_difflib_has_them() {
        check("a b c", "a b c", "");
        check("a b c", "a x c", "@@ -1,3 +1,3 @@/ a/-b/+x/ c/");
        check("a b", "a c a b", "@@ -1,2 +1,4 @@/+a/+c/ a/ b/");
        check("a", "b", "@@ -1 +1 @@/-a/+b/");
        check("1 2 3 4 5 6 7 8 9", "1 2 3 4 5 6 7 8 x", "@@ -6,4 +6,4 @@/ 6/ 7/ 8/-9/+x/");
        check(
            "x 2 3 4 5 6 7 8 9",
            "y 2 3 4 5 6 7 8 z",
            "@@ -1,4 +1,4 @@/-x/+y/ 2/ 3/ 4/@@ -6,4 +6,4 @@/ 6/ 7/ 8/-9/+z/",
        );
        check("x 2 3 4 5 6 7 9", "y 2 3 4 5 6 7 z", "@@ -1,8 +1,8 @@/-x/+y/ 2/ 3/ 4/ 5/ 6/ 7/-9/+z/");
    }

    #[test]
    fn of_long_texts_common_lines_begin_no_run() {
        let old: Vec<String> =
            (0..300).map(|line| if line % 2 == 0 { "{".to_owned() } else { line.to_string() }).collect();
        let mut new = old.clone();
        new.drain(100..102);
        assert_eq!(unified(&old, &new), "@@ -99,8 +99,6 @@\n {\n 99\n {\n-101\n-{\n 103\n {\n 105\n");
    }
}
