//! Sizes, words and documents.

use super::File;

const MAX_LINES: usize = 1000;
const MAX_TEST_LINES: usize = 1500;
const MAX_BYTES: usize = 2_000_000;

/// What must not stand in product code, and why. The words are split so that this file does not complain about itself.
const FORBIDDEN: [(&str, &str, &str); 5] = [
    ("todo", "!(", "finish it, or say in the issue's note what is missing"),
    ("unimplemented", "!(", "finish it, or say in the issue's note what is missing"),
    ("#[ig", "nore", "a test that does not run tests nothing"),
    ("tokio", "::spawn(", "use component::spawn, which supervises the task"),
    ("unbounded", "_channel", "every queue has a bound"),
];

/// Folder names that say nothing about what is inside.
const DRAWERS: [&str; 4] = ["utils", "helpers", "misc", "common"];

pub(super) fn sizes(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        if file.size > MAX_BYTES {
            complaints.push(format!("{}: {} bytes are too many for the repository", file.path, file.size));
        }
        let lines = file.text.as_deref().map_or(0, |text| text.lines().count());
        let limit = if file.is_test() { MAX_TEST_LINES } else { MAX_LINES };
        let hand_written = file.is_rust() || file.path.ends_with(".go") || file.path.ends_with(".sh");
        if hand_written && !file.is_generated() && lines > limit {
            complaints.push(format!("{}: {lines} lines (limit {limit}): is it one thing?", file.path));
        }
    }
    complaints
}

pub(super) fn words(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in files {
        let stem = file.path.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
        let folders = file.path.split('/').rev().skip(1);
        if file.is_rust() && folders.chain([stem]).any(|part| DRAWERS.contains(&part)) {
            complaints.push(format!("{}: name it by what is inside", file.path));
        }
        let Some(text) = file.text.as_deref().filter(|_| file.is_rust()) else { continue };
        if !text.starts_with("//!") && !file.is_test() && text.lines().count() > 40 {
            complaints.push(format!("{}: begins with no `//!` header that says purpose and edges", file.path));
        }
        for (number, line) in text.lines().enumerate() {
            for (head, tail, why) in FORBIDDEN {
                let exempt = head == "tokio" && (file.is_test() || file.path.ends_with("component/src/tasks.rs"));
                if !exempt && line.contains(&format!("{head}{tail}")) && !in_test_module(text, number) {
                    complaints.push(format!("{}:{}: {head}{tail}: {why}", file.path, number + 1));
                }
            }
        }
    }
    complaints
}

/// True when the line stands below a `#[cfg(test)]` of the same file.
fn in_test_module(text: &str, number: usize) -> bool {
    text.lines().take(number).any(|line| line.trim() == "#[cfg(test)]")
}

/// ARCHITECTURE.md names every crate, and no folder that is gone.
pub(super) fn documents(files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    let Some(map) = files.iter().find(|file| file.path == "ARCHITECTURE.md").and_then(|file| file.text.as_deref())
    else {
        return vec!["ARCHITECTURE.md is missing".to_owned()];
    };
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let folder = file.path.trim_end_matches("/Cargo.toml");
        if !map.contains(folder) {
            complaints.push(format!("ARCHITECTURE.md does not mention {folder}"));
        }
    }
    for word in
        map.split('`').skip(1).step_by(2).filter(|word| word.ends_with('/') && !word.contains(char::is_whitespace))
    {
        if !files.iter().any(|file| file.path.starts_with(word) || file.path.contains(&format!("/{word}"))) {
            complaints.push(format!("ARCHITECTURE.md names `{word}`, which does not exist"));
        }
    }
    complaints
}
