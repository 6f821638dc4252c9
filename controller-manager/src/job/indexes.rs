//! Sets of completion indexes, kept and written as intervals: `1,3-5,7`.
//!
//! Upstream: job.orderedIntervals.

use std::collections::BTreeSet;
use std::fmt;

/// Disjoint, ascending, never touching intervals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intervals(Vec<(i32, i32)>);

impl Intervals {
    /// Reads the status field; what cannot be read and what is not below `completions` is left out.
    pub(super) fn parse(text: &str, completions: i32) -> Self {
        let mut result = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Ok(first), Ok(last)) = (first.parse::<i32>(), last.parse::<i32>()) else { continue };
            if first >= completions {
                break;
            }
            result.push(first, last.min(completions - 1));
        }
        result
    }

    fn push(&mut self, first: i32, last: i32) {
        match self.0.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => self.0.push((first, last)),
        }
    }

    /// The union with another set.
    pub(super) fn merge(&self, other: &Self) -> Self {
        let mut all: Vec<(i32, i32)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        let mut result = Self::default();
        for (first, last) in all {
            result.push(first, last);
        }
        result
    }

    /// The union with single indexes.
    pub(super) fn with(&self, indexes: impl IntoIterator<Item = i32>) -> Self {
        let sorted: BTreeSet<i32> = indexes.into_iter().collect();
        let mut other = Self::default();
        for index in sorted {
            other.push(index, index);
        }
        self.merge(&other)
    }

    pub(super) fn total(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub(super) fn has(&self, index: i32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first `count` indexes below `completions` that are not in the set.
    pub(super) fn first_missing(&self, count: usize, completions: i32) -> Vec<i32> {
        let mut result = Vec::new();
        let mut candidate = 0;
        let end = [(completions, completions)];
        for (first, last) in self.0.iter().chain(&end) {
            while candidate < (*first).min(completions) && result.len() < count {
                result.push(candidate);
                candidate += 1;
            }
            candidate = candidate.max(last.saturating_add(1));
        }
        result
    }

    /// How many indexes both sets have.
    pub(super) fn common(&self, other: &Self) -> i32 {
        let overlaps = self.0.iter().flat_map(|(first, last)| {
            other
                .0
                .iter()
                .map(move |(other_first, other_last)| (*last).min(*other_last) - (*first).max(*other_first) + 1)
        });
        overlaps.filter(|overlap| *overlap > 0).sum()
    }
}

impl fmt::Display for Intervals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            if at > 0 {
                formatter.write_str(",")?;
            }
            match last - first {
                0 => write!(formatter, "{first}")?,
                1 => write!(formatter, "{first},{last}")?,
                _ => write!(formatter, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_and_write_the_status_form() {
        for text in ["", "0", "1,3-5,7", "0,1", "0-2,4,5"] {
            assert_eq!(Intervals::parse(text, 100).to_string(), text);
        }
        assert_eq!(Intervals::parse("1,3-50,x,60", 10).to_string(), "1,3-9");
    }

    #[test]
    fn adding_indexes_joins_neighbours() {
        let set = Intervals::parse("1,3-5", 10).with([2, 7]);
        assert_eq!(set.to_string(), "1-5,7");
        assert_eq!(set.total(), 6);
        assert!(set.has(4) && set.has(7) && !set.has(6) && !set.has(0));
        assert_eq!(set.first_missing(3, 10), [0, 6, 8]);
        assert_eq!(set.first_missing(9, 8), [0, 6]);
        assert_eq!(set.common(&Intervals::parse("4-8", 10)), 3);
    }
}
