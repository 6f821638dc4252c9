//! Reading times as `time.Parse` does, with its complaints.

use std::fmt::Write as _;

const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
const MICROS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Reads a `metav1.Time`; gives the canonical text, or None for the zero time. Upstream: metav1.Time.UnmarshalJSON.
pub(crate) fn time(text: &str) -> Result<Option<String>, String> {
    check(text, SECONDS)?;
    canonical(text, crate::meta::time::format)
}

/// Reads a `metav1.MicroTime`, see [`time`]. Upstream: metav1.MicroTime.UnmarshalJSON.
pub(crate) fn micro_time(text: &str) -> Result<Option<String>, String> {
    check(text, MICROS)?;
    canonical(text, crate::meta::time::format_micro)
}

fn canonical(text: &str, format: fn(jiff::Timestamp) -> String) -> Result<Option<String>, String> {
    // Go reads a comma before the fraction, too.
    let dotted = text.replace(',', ".");
    let time =
        crate::meta::time::parse(&dotted).ok_or_else(|| format!("parsing time {}: out of range", quote(text)))?;
    let canonical = format(time);
    Ok((!canonical.starts_with("0001-01-01T00:00:00")).then_some(canonical))
}

/// Follows the layout element by element, as Go does, to the first that does not fit.
fn check(text: &str, layout: &str) -> Result<(), String> {
    let cannot = |rest: &str, element: &str| {
        format!("parsing time {} as {}: cannot parse {} as {}", quote(text), quote(layout), quote(rest), quote(element))
    };
    let range = |what: &str| format!("parsing time {}: {what} out of range", quote(text));
    let mut rest = text;
    let mut numbers = [0u32; 6];
    for (position, (element, separator)) in
        [("2006", "-"), ("01", "-"), ("02", "T"), ("15", ":"), ("04", ":"), ("05", "")].into_iter().enumerate()
    {
        let digits = rest.get(..element.len()).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        let digits = digits.ok_or_else(|| cannot(rest, element))?;
        numbers[position] = digits.parse().map_err(|_| cannot(rest, element))?;
        let limits =
            [(0, 9999, ""), (1, 12, "month"), (1, 31, "day"), (0, 23, "hour"), (0, 59, "minute"), (0, 59, "second")];
        let (low, high, what) = limits[position];
        // The day is held against its month at the end.
        if what != "day" && !(low..=high).contains(&numbers[position]) {
            return Err(range(what));
        }
        rest = &rest[element.len()..];
        rest = rest.strip_prefix(separator).ok_or_else(|| cannot(rest, separator))?;
    }
    rest = fraction(rest, layout == MICROS).ok_or_else(|| cannot(rest, ".000000"))?;
    let (offset_fits, extra) = zone(rest).ok_or_else(|| cannot(rest, "Z07:00"))?;
    offset_fits.map_err(|part| range(&format!("time zone offset {part}")))?;
    if !extra.is_empty() {
        return Err(format!("parsing time {}: extra text: {}", quote(text), quote(extra)));
    }
    let [year, month, day, ..] = numbers;
    if day < 1 || day > days(year, month) {
        return Err(range("day"));
    }
    Ok(())
}

/// Cuts the fraction off: exactly six digits, or any number of them if the layout names none.
fn fraction(rest: &str, micros: bool) -> Option<&str> {
    let digits = match rest.strip_prefix(['.', ',']) {
        Some(digits) => digits,
        None => return (!micros).then_some(rest),
    };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    match (micros, count) {
        (true, 6..) => Some(&digits[6..]),
        (true, _) => None,
        (false, 0) => Some(rest),
        (false, _) => Some(&digits[count..]),
    }
}

/// `Z` or `+07:00`: which part of the offset is out of range, and what follows. None if it is neither.
fn zone(rest: &str) -> Option<(Result<(), &'static str>, &str)> {
    if let Some(extra) = rest.strip_prefix('Z') {
        return Some((Ok(()), extra));
    }
    let bytes = rest.as_bytes();
    let shape = bytes.len() >= 6
        && matches!(bytes[0], b'+' | b'-')
        && bytes[3] == b':'
        && [1, 2, 4, 5].iter().all(|position| bytes[*position].is_ascii_digit());
    if !shape {
        return None;
    }
    let fits = match (&rest[1..3] > "24", &rest[4..6] >= "60") {
        (true, _) => Err("hour"),
        (_, true) => Err("minute"),
        _ => Ok(()),
    };
    Some((fits, &rest[6..]))
}

/// Quotes as the time package does: every byte beyond ASCII by its number.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' | 0x7f => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("a String takes every write"),
        }
    }
    out.push('"');
    out
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}
