//! A point in time and the offset it was written with, which is shown again. Two are the same if the points are.

use std::cmp::Ordering;
use std::fmt;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// What a timestamp is worth.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// When it is.
    pub at: Timestamp,
    offset: Offset,
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Moment {
        Moment { at, offset: Offset::UTC }
    }
}

impl Moment {
    /// The point in time that the text says, with the offset the text ends with.
    pub(crate) fn written(at: Timestamp, text: &str) -> Moment {
        let offset = text.len().checked_sub(6).and_then(|start| text.get(start..)).and_then(offset);
        Moment { at, offset: offset.unwrap_or(Offset::UTC) }
    }

    /// Earlier or later by so much; None out of jiff's range.
    pub(crate) fn moved(self, by: SignedDuration) -> Option<Moment> {
        Some(Moment { at: self.at.checked_add(by).ok()?, ..self })
    }
}

/// `+02:30`
fn offset(text: &str) -> Option<Offset> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    match text.as_bytes()[0] {
        b'+' => Offset::from_seconds(seconds).ok(),
        b'-' => Offset::from_seconds(-seconds).ok(),
        _ => None,
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Moment) -> bool {
        self.at == other.at
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Moment) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Moment) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset == Offset::UTC { self.at.fmt(f) } else { self.at.display_with_offset(self.offset).fmt(f) }
    }
}
