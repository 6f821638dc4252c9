//! One line of a log.

/// An entry, borrowed from its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) time: &'a str,
    pub(crate) stderr: bool,
    /// The text goes on in the next entry.
    pub(crate) partial: bool,
    pub(crate) text: &'a [u8],
}

/// Takes a line apart; none for what is no entry.
pub(crate) fn line(line: &[u8]) -> Option<Entry<'_>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stderr = match parts.next()? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let tags = parts.next()?;
    let partial = tags.split(|byte| *byte == b':').next() == Some(b"P");
    Some(Entry { time, stderr, partial, text: parts.next().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_apart() {
        let entry = line(b"2026-11-20T10:00:00.5Z stderr P half a\n").unwrap();
        assert_eq!(entry, Entry { time: "2026-11-20T10:00:00.5Z", stderr: true, partial: true, text: b"half a" });
        let entry = line(b"2026-11-20T10:00:00.5Z stdout F \n").unwrap();
        assert_eq!((entry.partial, entry.text), (false, &b""[..]));
        for bad in [&b""[..], b"no entry", b"2026 stdlog F x"] {
            assert_eq!(line(bad), None);
        }
    }
}
