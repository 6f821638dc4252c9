//! Reading a log for a client: the last lines, since a time, and on while it grows. Upstream: `logs.ReadLogs`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::parse;
use crate::sys::inotify::FolderWatch;

const CHUNK: usize = 32 << 10;
/// How long a quiet log is waited for before its container is looked at.
const QUIET: Duration = Duration::from_secs(1);

/// What of a log is wanted. Upstream: `v1.PodLogOptions`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) follow: bool,
    pub(crate) timestamps: bool,
    pub(crate) tail: Option<usize>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) limit_bytes: Option<usize>,
    /// `Some(true)` for stderr alone, `Some(false)` for stdout alone.
    pub(crate) only_stderr: Option<bool>,
}

/// Sends the wanted part of the log at `path` in pieces. `running` says whether the container may still write.
pub(crate) async fn stream<F>(
    path: PathBuf,
    options: Options,
    out: mpsc::Sender<Result<Bytes, io::Error>>,
    mut running: impl FnMut() -> F,
) where
    F: Future<Output = bool>,
{
    let mut reader = match Reader::open(path, options.clone()) {
        Ok(reader) => reader,
        Err(error) => {
            let _ = out.send(Err(error)).await;
            return;
        }
    };
    // The folder, since rotation replaces the file.
    let folder = reader.path.parent().unwrap_or(&reader.path);
    let mut watch = if options.follow { FolderWatch::new(folder).ok() } else { None };
    let mut ended = false;
    loop {
        match reader.next_chunk() {
            Ok(Some(chunk)) => {
                if out.send(Ok(chunk)).await.is_err() || reader.done {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                let _ = out.send(Err(error)).await;
                return;
            }
        }
        if !options.follow || reader.done || ended {
            return;
        }
        if reader.reopened() {
            continue;
        }
        // What was written before the container was seen to have ended is read once more.
        tokio::select! {
            () = out.closed() => return,
            quiet = wait(&mut watch) => if quiet { ended = !running().await },
        }
    }
}

/// True when nothing was written for a while.
async fn wait(watch: &mut Option<FolderWatch>) -> bool {
    match watch {
        Some(watch) => tokio::time::timeout(QUIET, watch.changed()).await.is_err(),
        None => {
            tokio::time::sleep(QUIET).await;
            true
        }
    }
}

/// The pure part: bytes of a file in, wanted bytes out.
struct Reader {
    path: PathBuf,
    file: File,
    inode: u64,
    options: Options,
    rest: Vec<u8>,
    /// Bytes that may still be sent.
    left: usize,
    /// The last entry that was sent was cut in the middle of its line.
    in_line: bool,
    done: bool,
}

impl Reader {
    fn open(path: PathBuf, options: Options) -> io::Result<Self> {
        let mut file = File::open(&path)?;
        if let Some(lines) = options.tail {
            let start = start_of_tail(&mut file, lines)?;
            file.seek(SeekFrom::Start(start))?;
        }
        let inode = file.metadata()?.ino();
        let left = options.limit_bytes.unwrap_or(usize::MAX);
        Ok(Self { path, file, inode, options, rest: Vec::new(), left, in_line: false, done: left == 0 })
    }

    /// The next wanted bytes; none at the end of the file.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = Vec::new();
        let mut buffer = vec![0; CHUNK];
        while out.is_empty() && !self.done {
            let count = self.file.read(&mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            self.rest.extend_from_slice(&buffer[..count]);
            self.take_lines(&mut out);
        }
        Ok((!out.is_empty()).then(|| Bytes::from(out)))
    }

    fn take_lines(&mut self, out: &mut Vec<u8>) {
        let mut from = 0;
        while let Some(length) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest[from..=from + length];
            from += length + 1;
            let Some(entry) = parse::line(line) else { continue };
            if self.options.only_stderr.is_some_and(|stderr| stderr != entry.stderr) {
                continue;
            }
            if let Some(since) = self.options.since
                && entry.time.parse::<Timestamp>().is_ok_and(|time| time < since)
            {
                continue;
            }
            let start = out.len();
            if self.options.timestamps && !self.in_line {
                out.extend_from_slice(entry.time.as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(entry.text);
            if !entry.partial {
                out.push(b'\n');
            }
            self.in_line = entry.partial;
            let added = out.len() - start;
            if added >= self.left {
                out.truncate(start + self.left);
                self.done = true;
                break;
            }
            self.left -= added;
        }
        self.rest.drain(..from);
    }

    /// Goes on with the file that took this one's place, if one did.
    fn reopened(&mut self) -> bool {
        let Ok(meta) = std::fs::metadata(&self.path) else { return false };
        if meta.ino() == self.inode {
            return false;
        }
        let Ok(file) = File::open(&self.path) else { return false };
        self.file = file;
        self.inode = meta.ino();
        self.rest.clear();
        true
    }
}

/// Where the last `lines` whole lines (partial entries counting as part of theirs) begin.
fn start_of_tail(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let length = end;
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let size = end.min(CHUNK as u64);
        end -= size;
        file.seek(SeekFrom::Start(end))?;
        let mut chunk = vec![0; usize::try_from(size).unwrap_or(CHUNK)];
        file.read_exact(&mut chunk)?;
        chunk.extend_from_slice(&tail);
        tail = chunk;
        if let Some(start) = nth_last_line(&tail, lines, end == 0) {
            return Ok(end + start as u64);
        }
        if end == 0 || length - end > 256 << 20 {
            return Ok(end);
        }
    }
}

fn nth_last_line(tail: &[u8], lines: usize, whole: bool) -> Option<usize> {
    let mut starts: Vec<usize> = Vec::new();
    if whole {
        starts.push(0);
    }
    starts.extend(tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
    starts.retain(|start| *start < tail.len());
    let mut found = 0;
    for (index, start) in starts.iter().enumerate().rev() {
        // A line begins where the entry before it was a full one.
        let begins = match index.checked_sub(1).map(|before| starts[before]) {
            Some(before) => parse::line(&tail[before..*start]).is_none_or(|entry| !entry.partial),
            None => whole,
        };
        if begins {
            found += 1;
            if found == lines {
                return Some(*start);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-01-01T00:00:01Z stdout F one\n\
                       2026-01-01T00:00:02Z stderr F two\n\
                       2026-01-01T00:00:03Z stdout P thr\n\
                       2026-01-01T00:00:03Z stdout F ee\n\
                       2026-01-01T00:00:04Z stdout F four\n";

    async fn read(options: Options) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, LOG).unwrap();
        let (sender, mut receiver) = mpsc::channel(16);
        stream(path, options, sender, || async { false }).await;
        let mut text = Vec::new();
        while let Some(chunk) = receiver.recv().await {
            text.extend_from_slice(&chunk.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn partial_entries_are_joined() {
        assert_eq!(read(Options::default()).await, "one\ntwo\nthree\nfour\n");
    }

    #[tokio::test]
    async fn tail_counts_whole_lines() {
        for (lines, expected) in
            [(0, ""), (1, "four\n"), (2, "three\nfour\n"), (3, "two\nthree\nfour\n"), (9, "one\ntwo\nthree\nfour\n")]
        {
            assert_eq!(read(Options { tail: Some(lines), ..Options::default() }).await, expected, "{lines}");
        }
    }

    #[tokio::test]
    async fn since_timestamps_and_limits_apply() {
        let since = Some("2026-01-01T00:00:03Z".parse().unwrap());
        assert_eq!(read(Options { since, ..Options::default() }).await, "three\nfour\n");
        let options = Options { timestamps: true, tail: Some(1), ..Options::default() };
        assert_eq!(read(options).await, "2026-01-01T00:00:04Z four\n");
        assert_eq!(read(Options { limit_bytes: Some(5), ..Options::default() }).await, "one\nt");
    }

    #[tokio::test]
    async fn following_sends_what_is_written_later() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        std::fs::write(&path, LOG).unwrap();
        let (sender, mut receiver) = mpsc::channel(16);
        let options = Options { follow: true, tail: Some(1), ..Options::default() };
        let reading = tokio::spawn(stream(path.clone(), options, sender, || async { false }));
        assert_eq!(receiver.recv().await.unwrap().unwrap(), "four\n");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"2026-01-01T00:00:05Z stdout F five\n").unwrap();
        assert_eq!(receiver.recv().await.unwrap().unwrap(), "five\n");
        assert!(receiver.recv().await.is_none());
        reading.await.unwrap();
    }
}
