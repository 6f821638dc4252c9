//! The pauses between attempts to ask somebody again.
//! Upstream: k8s.io/apiserver/pkg/util/webhook.DefaultRetryBackoffWithInitialDelay.

use std::time::Duration;

const ATTEMPTS: u32 = 5;
const FACTOR: f64 = 1.5;

/// Each is half as long again as the one before; there are four of them between five attempts.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    pause: Duration,
    left: u32,
}

impl Backoff {
    /// The first pause.
    pub(crate) fn of(pause: Duration) -> Backoff {
        Backoff { pause, left: ATTEMPTS - 1 }
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::of(Duration::from_millis(500))
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause;
        self.pause = pause.mul_f64(FACTOR);
        Some(pause)
    }
}
