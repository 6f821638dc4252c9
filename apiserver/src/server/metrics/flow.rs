//! What priority and fairness does: who is dispatched, waits, is served, and is sent away.
//! Upstream: k8s.io/apiserver/pkg/util/flowcontrol/metrics.

use std::time::Duration;

use component::metrics::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registrar};

use crate::flowcontrol::{Flow, FlowControl};

const LABELS: [&str; 2] = ["priority_level", "flow_schema"];
/// In seconds; upstream's.
const DURATIONS: [f64; 13] = [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];

/// Upstream's.
const SEATS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0];

/// See the module header.
#[derive(Debug)]
pub(crate) struct FlowMetrics {
    dispatched: IntCounterVec,
    rejected: IntCounterVec,
    waiting: IntGaugeVec,
    waiting_seats: IntGaugeVec,
    current: IntGaugeVec,
    estimated: HistogramVec,
    executing: IntGaugeVec,
    executing_seats: IntGaugeVec,
    wait: HistogramVec,
    execution: HistogramVec,
    nominal: IntGaugeVec,
    lower: IntGaugeVec,
    upper: IntGaugeVec,
}

impl FlowMetrics {
    pub(super) fn new(make: &Registrar<'_>) -> Result<FlowMetrics, Error> {
        let make = make.under("apiserver_flowcontrol_");
        let of_flow = |name: &str, help: &str| make.gauges(name, help, &LABELS);
        let of_level = |name: &str, help: &str| make.gauges(name, help, &LABELS[..1]);
        Ok(FlowMetrics {
            dispatched: make.counters("dispatched_requests_total", "[BETA] Number of requests executed by API Priority and Fairness subsystem", &LABELS)?,
            rejected: make.counters(
                "rejected_requests_total",
                "[BETA] Number of requests rejected by API Priority and Fairness subsystem",
                &["priority_level", "flow_schema", "reason"],
            )?,
            waiting: of_flow("current_inqueue_requests", "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem")?,
            executing: of_flow("current_executing_requests", "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem")?,
            executing_seats: of_flow("current_executing_seats", "[BETA] Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem")?,
            waiting_seats: of_flow(
                "current_inqueue_seats",
                "[ALPHA] Number of seats currently pending in queues of the API Priority and Fairness subsystem",
            )?,
            current: of_level(
                "current_limit_seats",
                "[ALPHA] current derived number of execution seats available to each priority level",
            )?,
            estimated: make.histograms(
                "work_estimated_seats",
                "[ALPHA] Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness",
                &LABELS,
                &SEATS,
            )?,
            wait: make.histograms(
                "request_wait_duration_seconds",
                "[BETA] Length of time a request spent waiting in its queue",
                &["priority_level", "flow_schema", "execute"],
                &DURATIONS,
            )?,
            execution: make.histograms(
                "request_execution_seconds",
                "[ALPHA] Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem",
                &["priority_level", "flow_schema", "type"],
                &DURATIONS,
            )?,
            nominal: of_level("nominal_limit_seats", "[BETA] Nominal number of execution seats configured for each priority level")?,
            lower: of_level("lower_limit_seats", "[ALPHA] Configured lower bound on number of execution seats available to each priority level")?,
            upper: of_level("upper_limit_seats", "[ALPHA] Configured upper bound on number of execution seats available to each priority level")?,
        })
    }

    /// The counters of one request.
    pub(crate) fn of(&self, flow: &Flow) -> FlowCounters {
        let labels = [flow.level.as_ref(), flow.schema.as_ref()];
        FlowCounters {
            dispatched: self.dispatched.with_label_values(&labels),
            waiting: self.waiting.with_label_values(&labels),
            waiting_seats: self.waiting_seats.with_label_values(&labels),
            estimated: self.estimated.with_label_values(&labels),
            executing: self.executing.with_label_values(&labels),
            seats: self.executing_seats.with_label_values(&labels),
            wait: (!flow.exempt).then(|| self.wait.with_label_values(&[labels[0], labels[1], "true"])),
            execution: self.execution.with_label_values(&[labels[0], labels[1], "regular"]),
        }
    }

    /// Counts a request that was sent away after it had waited for so long.
    pub(crate) fn rejected(&self, flow: &Flow, reason: &'static str, waited: Duration) {
        let labels = [flow.level.as_ref(), flow.schema.as_ref()];
        self.rejected.with_label_values(&[labels[0], labels[1], reason]).inc();
        self.wait.with_label_values(&[labels[0], labels[1], "false"]).observe(waited.as_secs_f64());
    }

    /// Shows the limits as they are now.
    pub(crate) fn show(&self, control: &FlowControl) {
        for (level, usage) in control.usage() {
            let limits = usage.limits;
            let current = usage.seated.max(limits.kept);
            for (family, seats) in [
                (&self.nominal, limits.nominal),
                (&self.lower, limits.kept),
                (&self.upper, limits.highest),
                (&self.current, current),
            ] {
                family.with_label_values(&[&*level]).set(seats.into());
            }
        }
    }
}

/// See [`FlowMetrics::of`].
#[derive(Debug)]
pub(crate) struct FlowCounters {
    dispatched: IntCounter,
    waiting: IntGauge,
    waiting_seats: IntGauge,
    estimated: Histogram,
    executing: IntGauge,
    seats: IntGauge,
    /// Of levels where one can have to wait.
    wait: Option<Histogram>,
    execution: Histogram,
}

impl FlowCounters {
    /// The request waits for so many seats until this is dropped.
    pub(crate) fn waiting(&self, seats: u32) -> [Counted; 2] {
        self.estimated.observe(seats.into());
        [Counted::of(self.waiting.clone(), 1), Counted::of(self.waiting_seats.clone(), seats)]
    }

    /// It got its seat after so long.
    pub(crate) fn dispatched(&self, waited: Duration) {
        self.dispatched.inc();
        if let Some(wait) = &self.wait {
            wait.observe(waited.as_secs_f64());
        }
    }

    /// It has so many seats until this is dropped.
    pub(crate) fn executing(self, seats: u32) -> Executing {
        Executing {
            _requests: Counted::of(self.executing, 1),
            _seats: Counted::of(self.seats, seats),
            began: std::time::Instant::now(),
            times: self.execution,
        }
    }
}

/// A part of a gauge, until dropped.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge, i64);

impl Counted {
    fn of(gauge: IntGauge, part: u32) -> Counted {
        gauge.add(part.into());
        Counted(gauge, part.into())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sub(self.1);
    }
}

/// A request in its seats.
#[derive(Debug)]
pub(crate) struct Executing {
    _requests: Counted,
    _seats: Counted,
    began: std::time::Instant,
    times: Histogram,
}

impl Drop for Executing {
    fn drop(&mut self) {
        self.times.observe(self.began.elapsed().as_secs_f64());
    }
}
