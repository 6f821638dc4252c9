//! When a row of results counts: pure. Upstream: `prober.worker.doProbe`.

/// Counts equal results in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    run: u32,
}

impl Counter {
    pub(crate) fn new(success_threshold: u32, failure_threshold: u32) -> Self {
        Self {
            success_threshold: success_threshold.max(1),
            failure_threshold: failure_threshold.max(1),
            last: None,
            run: 0,
        }
    }

    /// Takes a result; answers the verdict once enough of the same kind came in a row.
    pub(crate) fn observe(&mut self, success: bool) -> Option<bool> {
        if self.last == Some(success) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(success);
            self.run = 1;
        }
        let threshold = if success { self.success_threshold } else { self.failure_threshold };
        (self.run >= threshold).then_some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_row_counts() {
        let mut counter = Counter::new(2, 3);
        let verdicts: Vec<_> =
            [true, true, false, false, true, false, false, false, false].map(|result| counter.observe(result)).into();
        assert_eq!(verdicts, [None, Some(true), None, None, None, None, None, Some(false), Some(false)]);
    }
}
