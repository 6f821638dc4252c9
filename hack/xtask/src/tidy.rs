//! What keeps the house in order: crate edges, file sizes, words that must not appear, documents that tell the truth.
//!
//! Every check takes the list of tracked files and returns sentences that say what to do. Nothing is changed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

mod edges;
mod text;

/// One tracked file.
#[derive(Debug)]
struct File {
    /// Relative to the root, with slashes.
    path: String,
    /// Length in bytes.
    size: usize,
    /// The text; `None` when it is no UTF-8.
    text: Option<String>,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Tests may do what products may not.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.ends_with("_test.go")
    }

    /// Written by a program, or a table of facts.
    fn is_generated(&self) -> bool {
        ["/data/", "/testdata/", "/generated/"].iter().any(|part| self.path.contains(part))
    }
}

/// Runs every check on the checkout at `root`.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let files = tracked(root)?;
    let mut complaints = Vec::new();
    complaints.extend(edges::check(&files));
    complaints.extend(text::sizes(&files));
    complaints.extend(text::words(&files));
    complaints.extend(text::documents(&files));
    Ok(complaints)
}

fn tracked(root: &Path) -> Result<Vec<File>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let names = String::from_utf8(output.stdout).context("a file name is no UTF-8")?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|name| !name.is_empty()) {
        // A file that is tracked and deleted in the work tree is none of ours.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        files.push(File { path: path.to_owned(), size: bytes.len(), text: String::from_utf8(bytes).ok() });
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
