//! The file events go to: one line each, set aside when it is full.
//!
//! A line that was added is in the file, not yet on the disk: it is there also when the process is killed.
//! Upstream: plugin/pkg/audit/log, gopkg.in/natefinch/lumberjack (names of files set aside).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::event::Event;

const DAY: Duration = Duration::from_secs(24 * 3600);
const ZIPPED: &str = ".gz";

/// `--audit-log-maxsize`, `-maxage`, `-maxbackup`, `-compress`; zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which the file is set aside.
    pub max_size: u64,
    /// Days a file set aside is kept.
    pub max_age_days: u32,
    /// How many of them are kept.
    pub max_backups: usize,
    /// Files set aside are compressed.
    pub compress: bool,
}

/// `--audit-log-format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An object.
    #[default]
    Json,
    /// A line of text.
    Legacy,
}

/// See the module header.
#[derive(Debug)]
pub(super) struct LogFile {
    /// None is standard output.
    path: Option<PathBuf>,
    format: Format,
    rotation: Rotation,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: Option<File>,
    size: u64,
}

impl LogFile {
    pub(super) fn open(path: &Path, format: Format, rotation: Rotation) -> io::Result<LogFile> {
        if path == Path::new("-") {
            return Ok(LogFile { path: None, format, rotation, open: Mutex::new(Open { file: None, size: 0 }) });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        let open = Mutex::new(Open { file: Some(file), size });
        Ok(LogFile { path: Some(path.to_path_buf()), format, rotation, open })
    }

    /// Adds an event.
    pub(super) fn write(&self, event: &Event) -> io::Result<()> {
        self.add(&match self.format {
            Format::Json => event.line(),
            Format::Legacy => event.legacy_line(),
        })
    }

    fn add(&self, line: &str) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_line(&mut open, line)
    }

    fn write_line(&self, open: &mut Open, line: &str) -> io::Result<()> {
        let Some(path) = &self.path else { return io::stdout().lock().write_all(line.as_bytes()) };
        let length = line.len() as u64;
        if self.rotation.max_size > 0 && open.size > 0 && open.size + length > self.rotation.max_size {
            open.file = None;
            fs::rename(path, set_aside_name(path, Timestamp::now()))?;
            open.size = 0;
            let (path, rotation) = (path.clone(), self.rotation);
            // Compressing takes its time, and nobody waits for it.
            component::spawn("audit log clean-up", async move {
                let cleaning = tokio::task::spawn_blocking(move || clean_up(&path, rotation, Timestamp::now()));
                if let Ok(Err(error)) = cleaning.await {
                    tracing::warn!(%error, "old audit logs could not be cleaned up");
                }
            });
        }
        if open.file.is_none() {
            open.file = Some(append_to(path)?);
        }
        if let Some(file) = &mut open.file {
            file.write_all(line.as_bytes())?;
            open.size += length;
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// `audit.log` is set aside as `audit-2026-11-21T14-05-41.136.log`.
fn set_aside_name(path: &Path, now: Timestamp) -> PathBuf {
    let (stem, end) = stem_and_end(path);
    path.with_file_name(format!("{stem}-{}{end}", now.strftime("%Y-%m-%dT%H-%M-%S.%3f")))
}

fn stem_and_end(path: &Path) -> (String, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match name.rfind('.') {
        Some(dot) => (name[..dot].to_owned(), name[dot..].to_owned()),
        None => (name, String::new()),
    }
}

/// Removes what is too old or too much, and compresses the rest if that is wanted. The time is in the name.
fn clean_up(path: &Path, rotation: Rotation, now: Timestamp) -> io::Result<()> {
    let (stem, end) = stem_and_end(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside: Vec<(String, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let plain = name.strip_suffix(ZIPPED).unwrap_or(&name);
        let time = plain.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix(&end));
        aside.extend(time.map(|time| (time.to_owned(), folder.join(&name))));
    }
    aside.sort_unstable_by(|a, b| b.cmp(a));
    let oldest = now - DAY * rotation.max_age_days;
    let oldest = oldest.strftime("%Y-%m-%dT%H-%M-%S.%3f").to_string();
    for (at, (time, file)) in aside.iter().enumerate() {
        let too_many = rotation.max_backups > 0 && at >= rotation.max_backups;
        if too_many || (rotation.max_age_days > 0 && *time < oldest) {
            fs::remove_file(file)?;
        } else if rotation.compress && !file.to_string_lossy().ends_with(ZIPPED) {
            compress(file)?;
        }
    }
    Ok(())
}

fn compress(file: &Path) -> io::Result<()> {
    let mut zipped = file.as_os_str().to_owned();
    zipped.push(ZIPPED);
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&zipped)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut File::open(file)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::remove_file(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_full_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let log = LogFile::open(&path, Format::Json, Rotation { max_size: 10, ..Rotation::default() }).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            log.add(line).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        let aside = names(folder.path()).into_iter().find(|name| name.starts_with("audit-")).unwrap();
        assert!(aside.ends_with(".log"), "{aside}");
        assert_eq!(fs::read_to_string(folder.path().join(aside)).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn what_is_old_or_too_much_goes_and_the_rest_is_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        for name in [
            "audit.log",
            "audit-2026-01-01T00-00-00.000.log",
            "audit-2026-11-19T00-00-00.000.log",
            "audit-2026-11-20T00-00-00.000.log",
            "other.log",
        ] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        clean_up(&path, Rotation { max_age_days: 30, compress: true, ..Rotation::default() }, now).unwrap();
        let kept =
            ["audit-2026-11-19T00-00-00.000.log.gz", "audit-2026-11-20T00-00-00.000.log.gz", "audit.log", "other.log"];
        assert_eq!(names(folder.path()), kept);
        clean_up(&path, Rotation { max_backups: 1, ..Rotation::default() }, now).unwrap();
        assert_eq!(names(folder.path()), kept[1..]);
    }
}
