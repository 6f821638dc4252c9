//! What is counted of credentials, under upstream's names and with upstream's buckets.
//! Upstream: k8s.io/apiserver/pkg/authentication/request/x509, authentication/token/cache.

use std::time::Duration;

use component::metrics::{Error, Histogram, IntCounter, IntGauge, Registrar, Registry};

/// Of a certificate's rest of life, in seconds: from nothing to a year.
const LIFETIMES: [f64; 14] = [
    0.0,
    1800.0,
    3600.0,
    7200.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    2_592_000.0,
    7_776_000.0,
    15_552_000.0,
    31_104_000.0,
];
/// In seconds; Prometheus' own.
const DURATIONS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// What families say that upstream has no words for.
const WORDLESS: &str = "[ALPHA] ";

/// See the module header.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// How long the certificates of requests still last.
    pub(super) lifetimes: Histogram,
    /// Of tokens others are asked about.
    pub(crate) tokens: TokenCache,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new().expect("the names are constants, and each is there once")
    }
}

impl Metrics {
    fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry);
        Ok(Metrics {
            lifetimes: make.histogram(
                "apiserver_client_certificate_expiration_seconds",
                "[ALPHA] Distribution of the remaining lifetime on the certificate used to authenticate a request.",
                &LIFETIMES,
            )?,
            tokens: TokenCache::new(&make.under("authentication_token_cache_"))?,
            registry,
        })
    }

    /// For `/metrics`.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }
}

/// How well it is remembered what others said of tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenCache {
    hits: Lookups,
    misses: Lookups,
    fetched: IntCounter,
    failed: IntCounter,
    in_flight: IntGauge,
    blocked: IntGauge,
}

#[derive(Clone, Debug)]
struct Lookups {
    count: IntCounter,
    durations: Histogram,
}

impl TokenCache {
    fn new(make: &Registrar<'_>) -> Result<TokenCache, Error> {
        let requests = make.counters("request_total", WORDLESS, &["status"])?;
        let durations = make.histograms("request_duration_seconds", WORDLESS, &["status"], &DURATIONS)?;
        let fetches = make.counters("fetch_total", WORDLESS, &["status"])?;
        let active = make.gauges("active_fetch_count", WORDLESS, &["status"])?;
        let lookups = |status: &str| Lookups {
            count: requests.with_label_values(&[status]),
            durations: durations.with_label_values(&[status]),
        };
        Ok(TokenCache {
            hits: lookups("hit"),
            misses: lookups("miss"),
            fetched: fetches.with_label_values(&["ok"]),
            failed: fetches.with_label_values(&["error"]),
            in_flight: active.with_label_values(&["in_flight"]),
            blocked: active.with_label_values(&["blocked"]),
        })
    }

    /// An answer was found, or had to be asked for, after so long.
    pub(super) fn looked_up(&self, found: bool, took: Duration) {
        let lookups = if found { &self.hits } else { &self.misses };
        lookups.count.inc();
        lookups.durations.observe(took.as_secs_f64());
    }

    /// A request waits for an answer until this is dropped.
    pub(super) fn blocked(&self) -> Active {
        Active::of(&self.blocked)
    }

    /// A question is under way until this is dropped.
    pub(super) fn fetching(&self) -> Active {
        Active::of(&self.in_flight)
    }

    /// A question was answered, or could not be asked.
    pub(super) fn fetched(&self, answered: bool) {
        if answered { self.fetched.inc() } else { self.failed.inc() }
    }
}

/// One more, as long as it lives.
#[derive(Debug)]
pub(super) struct Active(IntGauge);

impl Active {
    fn of(gauge: &IntGauge) -> Active {
        gauge.inc();
        Active(gauge.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}
