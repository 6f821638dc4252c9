//! What the process itself uses, read from /proc each time somebody asks.
//!
//! What cannot be read keeps its last value. Upstream: prometheus/client_golang's ProcessCollector.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

use super::Error;

/// The unit of times in /proc/PID/stat, a second's part: fixed for programs, whatever the kernel counts in.
const USER_HZ: f64 = 100.0;

/// How upstream says that there is no limit: the largest u64.
const UNLIMITED: f64 = u64::MAX as f64;

/// The `process_*` metrics. Register it once a process.
#[derive(Debug)]
pub struct ProcessMetrics {
    cpu_seconds: Counter,
    open_fds: Gauge,
    max_fds: Gauge,
    virtual_memory: Gauge,
    max_virtual_memory: Gauge,
    resident_memory: Gauge,
    start_time: Gauge,
    received: Counter,
    transmitted: Counter,
}

impl ProcessMetrics {
    /// Starts at what /proc says now.
    ///
    /// # Errors
    /// None: the names are constants that are valid.
    pub fn new() -> Result<ProcessMetrics, Error> {
        Ok(ProcessMetrics {
            cpu_seconds: Counter::new("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")?,
            open_fds: Gauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: Gauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            virtual_memory: Gauge::new("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            max_virtual_memory: Gauge::new(
                "process_virtual_memory_max_bytes",
                "Maximum amount of virtual memory available in bytes.",
            )?,
            resident_memory: Gauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            start_time: Gauge::new(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
            )?,
            received: Counter::new(
                "process_network_receive_bytes_total",
                "Number of bytes received by the process over the network.",
            )?,
            transmitted: Counter::new(
                "process_network_transmit_bytes_total",
                "Number of bytes sent by the process over the network.",
            )?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 9] {
        [
            &self.cpu_seconds,
            &self.open_fds,
            &self.max_fds,
            &self.virtual_memory,
            &self.max_virtual_memory,
            &self.resident_memory,
            &self.start_time,
            &self.received,
            &self.transmitted,
        ]
    }

    fn read(&self) {
        if let Some((cpu, started)) = times() {
            advance(&self.cpu_seconds, cpu);
            self.start_time.set(started);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // One of them is the folder being read.
            self.open_fds.set(entries.count().saturating_sub(1) as f64);
        }
        let status = text("/proc/self/status");
        for (field, gauge) in [("VmRSS:", &self.resident_memory), ("VmSize:", &self.virtual_memory)] {
            if let Some(kilobytes) = word_after(&status, field, 0) {
                gauge.set(kilobytes * 1024.0);
            }
        }
        let limits = text("/proc/self/limits");
        for (field, gauge) in [("Max open files", &self.max_fds), ("Max address space", &self.max_virtual_memory)] {
            gauge.set(word_after(&limits, field, 0).unwrap_or(UNLIMITED));
        }
        if let Some((received, transmitted)) = octets() {
            advance(&self.received, received);
            advance(&self.transmitted, transmitted);
        }
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

/// Brings a counter to a total that is counted elsewhere. Two readers at once can only be some ticks apart.
fn advance(counter: &Counter, total: f64) {
    counter.inc_by((total - counter.get()).max(0.0));
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number at a place among the words that follow a line's beginning.
fn word_after(text: &str, beginning: &str, place: usize) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(beginning))?.split_whitespace().nth(place)?.parse().ok()
}

/// When this process began, in seconds since 1970.
pub fn process_started() -> Option<f64> {
    times().map(|(_, started)| started)
}

/// CPU seconds used, and when the process began.
fn times() -> Option<(f64, f64)> {
    let stat = text("/proc/self/stat");
    // The program's name comes second, in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<f64>().ok();
    let booted = word_after(&text("/proc/stat"), "btime ", 0)?;
    Some(((field(14)? + field(15)?) / USER_HZ, booted + field(22)? / USER_HZ))
}

/// Bytes in and out of this network namespace: two lines, names and values.
fn octets() -> Option<(f64, f64)> {
    let netstat = text("/proc/self/net/netstat");
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let place = names.split(' ').position(|name| name == wanted)?;
        values.split(' ').nth(place)?.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}
