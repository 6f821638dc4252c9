//! Decides what becomes of an event: written, folded into an earlier one, or dropped. Pure: time is passed in.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{EventType, Record, forget_oldest};

/// Remembered events.
const CACHE: usize = 4096;
/// Similar events within [`SIMILAR_SECONDS`] from which on they are combined.
const SIMILAR: usize = 10;
/// The window of similarity.
const SIMILAR_SECONDS: i64 = 600;
/// Events an object may have at once...
const BURST: f64 = 25.0;
/// ...and per second afterwards: one in five minutes.
const REFILL_PER_SECOND: f64 = 1.0 / 300.0;

/// What to do with an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Say nothing: the object floods.
    Drop,
    /// Write it.
    New {
        /// The text, marked when it stands for several.
        message: String,
    },
    /// Raise the count of an earlier one.
    Repeat {
        /// The earlier event's name.
        name: String,
        /// Its new count.
        count: i32,
        /// The text, marked when it stands for several.
        message: String,
    },
}

/// Object (uid or name), type and reason: what makes events similar.
type Similar = (String, EventType, String);

#[derive(Debug, Default)]
pub(super) struct Correlator {
    /// Tokens left by object.
    buckets: HashMap<String, (f64, Timestamp)>,
    /// Texts of similar events in the running window.
    similar: HashMap<Similar, (HashSet<String>, Timestamp)>,
    /// Written events by identity.
    written: HashMap<(Similar, String), (Option<String>, i32, Timestamp)>,
}

impl Correlator {
    pub(super) fn decide(&mut self, record: &Record, now: Timestamp) -> Verdict {
        let similar = similar(record);
        if !self.take_token(&similar.0, now) {
            return Verdict::Drop;
        }
        let text = self.text(record, &similar, now);
        let message = if text.is_empty() {
            format!("(combined from similar events): {}", record.message)
        } else {
            record.message.clone()
        };
        let entry = self.written.entry((similar, text)).or_insert((None, 0, now));
        entry.1 += 1;
        entry.2 = now;
        let verdict = match &entry.0 {
            Some(name) => Verdict::Repeat { name: name.clone(), count: entry.1, message },
            None => Verdict::New { message },
        };
        forget_oldest(&mut self.written, CACHE, |(_, _, used)| *used);
        verdict
    }

    /// Remembers under which name an event was written.
    pub(super) fn written(&mut self, record: &Record, name: String) {
        let similar = similar(record);
        let combined = self.similar.get(&similar).is_some_and(|(texts, _)| texts.len() >= SIMILAR);
        let text = if combined { String::new() } else { record.message.clone() };
        if let Some(entry) = self.written.get_mut(&(similar, text)) {
            entry.0 = Some(name);
        }
    }

    /// The text an event is told apart by: its own, or the empty one when it is combined with others.
    fn text(&mut self, record: &Record, similar: &Similar, now: Timestamp) -> String {
        let (texts, since) = self.similar.entry(similar.clone()).or_insert_with(|| (HashSet::new(), now));
        if now.as_second() - since.as_second() > SIMILAR_SECONDS {
            texts.clear();
        }
        *since = now;
        if texts.len() < SIMILAR {
            texts.insert(record.message.clone());
        }
        let combined = texts.len() >= SIMILAR;
        forget_oldest(&mut self.similar, CACHE, |(_, used)| *used);
        if combined { String::new() } else { record.message.clone() }
    }

    fn take_token(&mut self, object: &str, now: Timestamp) -> bool {
        let (tokens, filled) = self.buckets.entry(object.to_owned()).or_insert((BURST, now));
        let elapsed = now.duration_since(*filled).as_secs_f64().max(0.0);
        *tokens = (*tokens + elapsed * REFILL_PER_SECOND).min(BURST);
        *filled = now;
        let granted = *tokens >= 1.0;
        if granted {
            *tokens -= 1.0;
        }
        forget_oldest(&mut self.buckets, CACHE, |(_, used)| *used);
        granted
    }
}

fn similar(record: &Record) -> Similar {
    let about = &record.about;
    let object = format!(
        "{}/{}/{}/{}/{}",
        about.kind.as_deref().unwrap_or_default(),
        about.namespace.as_deref().unwrap_or_default(),
        about.name.as_deref().unwrap_or_default(),
        about.uid.as_deref().unwrap_or_default(),
        about.field_path.as_deref().unwrap_or_default(),
    );
    (object, record.event_type, record.reason.clone())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::*;

    fn record(message: &str) -> Record {
        Record {
            about: ObjectReference { name: Some("pod".to_owned()), ..ObjectReference::default() },
            event_type: EventType::Warning,
            reason: "BackOff".to_owned(),
            action: String::new(),
            message: message.to_owned(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_repeat_raises_the_count_of_the_first() {
        let mut correlator = Correlator::default();
        let event = record("same");
        assert_eq!(correlator.decide(&event, at(0)), Verdict::New { message: "same".to_owned() });
        correlator.written(&event, "pod.1".to_owned());
        let repeat = Verdict::Repeat { name: "pod.1".to_owned(), count: 2, message: "same".to_owned() };
        assert_eq!(correlator.decide(&event, at(1)), repeat);
    }

    #[test]
    fn the_tenth_similar_event_is_combined() {
        let mut correlator = Correlator::default();
        for number in 1..10 {
            let verdict = correlator.decide(&record(&number.to_string()), at(0));
            assert_eq!(verdict, Verdict::New { message: number.to_string() });
        }
        let verdict = correlator.decide(&record("10"), at(0));
        assert_eq!(verdict, Verdict::New { message: "(combined from similar events): 10".to_owned() });
    }

    #[test]
    fn a_flooding_object_is_cut_off_and_recovers_slowly() {
        let mut correlator = Correlator::default();
        let event = record("same");
        let granted = (0..40).filter(|_| correlator.decide(&event, at(0)) != Verdict::Drop).count();
        assert_eq!(granted, 25);
        assert_eq!(correlator.decide(&event, at(299)), Verdict::Drop);
        assert_ne!(correlator.decide(&event, at(301)), Verdict::Drop);
    }
}
