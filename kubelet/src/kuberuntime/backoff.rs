//! Doubling delays for what keeps failing: containers that crash, images that cannot be pulled. Upstream: `flowcontrol.Backoff`.
//!
//! Pure: time is passed in, as nanoseconds since the epoch.

use std::collections::HashMap;
use std::time::Duration;

/// First delay.
const INITIAL: Duration = Duration::from_secs(10);
/// Longest delay. Upstream: `MaxCrashLoopBackOff`.
const MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy)]
struct Entry {
    delay: Duration,
    since: i64,
}

/// Delays by key. A key is forgotten after it was quiet for twice the longest delay.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    entries: HashMap<String, Entry>,
}

/// What a key has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on; the next failure waits longer.
    Go,
    /// Wait this much more; the whole delay is the second.
    Wait(Duration, Duration),
}

impl Backoff {
    /// Asks whether `key`, which failed at `failed_at`, may be tried at `now`, and counts the try if so.
    pub(crate) fn attempt(&mut self, key: &str, failed_at: i64, now: i64) -> Verdict {
        match self.remaining(key, failed_at, now) {
            Some((remaining, delay)) => Verdict::Wait(remaining, delay),
            None => {
                self.count(key, now);
                Verdict::Go
            }
        }
    }

    /// The time left of the present delay and the whole delay, if it is not over.
    pub(crate) fn remaining(&self, key: &str, failed_at: i64, now: i64) -> Option<(Duration, Duration)> {
        let entry = self.entries.get(key)?;
        if now - entry.since > nanos(MAX) * 2 {
            return None;
        }
        let passed = now - failed_at;
        let delay = nanos(entry.delay);
        (passed < delay).then(|| (Duration::from_nanos(u64::try_from(delay - passed).unwrap_or(0)), entry.delay))
    }

    /// Lengthens the delay of `key`.
    pub(crate) fn count(&mut self, key: &str, now: i64) {
        let entry = match self.entries.get(key) {
            // A container that ran for the longest delay twice over has recovered: the count starts again.
            Some(entry) if now - entry.since <= nanos(MAX) * 2 => {
                Entry { delay: (entry.delay * 2).min(MAX), since: now }
            }
            _ => Entry { delay: INITIAL, since: now },
        };
        self.entries.insert(key.to_owned(), entry);
    }

    /// The time left since the last counted failure, and the whole delay.
    pub(crate) fn since_count(&self, key: &str, now: i64) -> Option<(Duration, Duration)> {
        self.remaining(key, self.entries.get(key)?.since, now)
    }

    /// Forgets all keys that begin so.
    pub(crate) fn forget_prefix(&mut self, prefix: &str) {
        self.entries.retain(|key, _| !key.starts_with(prefix));
    }

    /// Forgets a key that succeeded.
    pub(crate) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A delay as Go prints it: `1m20s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn delays_double_to_five_minutes_and_start_again_after_ten() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.attempt("c", 0, 0), Verdict::Go);
        let mut now = 0;
        for expected in [10, 20, 40, 80, 160, 300, 300] {
            let failed_at = now + SECOND;
            let delay = Duration::from_secs(expected);
            assert_eq!(backoff.attempt("c", failed_at, failed_at), Verdict::Wait(delay, delay));
            now = failed_at + nanos(delay);
            assert_eq!(backoff.attempt("c", failed_at, now), Verdict::Go);
        }
        now += 601 * SECOND;
        assert_eq!(backoff.attempt("c", now, now), Verdict::Go);
        assert_eq!(backoff.remaining("c", now, now), Some((INITIAL, INITIAL)));
    }

    #[test]
    fn delays_print_as_in_go() {
        for (seconds, text) in [(10, "10s"), (80, "1m20s"), (300, "5m0s"), (3600, "1h0m0s")] {
            assert_eq!(go_duration(Duration::from_secs(seconds)), text);
        }
    }
}
