//! `/livez`, `/readyz` and `/healthz`: named checks, one by one or together, with `?verbose` and `?exclude`.
//! Upstream: k8s.io/apiserver/pkg/server/healthz.

use std::sync::Arc;

use http::Response;

use crate::endpoints::query::Query;
use crate::endpoints::respond;
use crate::server::body::Body;
use crate::server::metrics::HealthMetrics;

/// Says why something is not well; None when it is.
pub type Check = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The checks, in the order they are shown.
#[derive(Clone, Default)]
pub struct Health {
    live: Vec<(String, Check)>,
    ready: Vec<(String, Check)>,
}

impl Health {
    /// A check of all three endpoints.
    pub fn add(&mut self, name: impl Into<String>, check: Check) {
        let name = name.into();
        self.live.push((name.clone(), check.clone()));
        self.ready.push((name, check));
    }

    /// These checks, then those.
    pub fn joined(mut self, others: Health) -> Health {
        self.live.extend(others.live);
        self.ready.extend(others.ready);
        self
    }

    /// A check of `/readyz` alone.
    pub fn add_ready(&mut self, name: impl Into<String>, check: Check) {
        self.ready.push((name.into(), check));
    }

    /// Answers a health path; None for other paths.
    pub(crate) fn serve(&self, path: &str, query: &Query, metrics: &HealthMetrics) -> Option<Response<Body>> {
        let (endpoint, name) = match path.strip_prefix('/')?.split_once('/') {
            Some((endpoint, name)) => (endpoint, Some(name)),
            None => (&path[1..], None),
        };
        let checks = match endpoint {
            "livez" | "healthz" => &self.live,
            "readyz" => &self.ready,
            _ => return None,
        };
        let Some(name) = name else { return Some(all(endpoint, checks, query, metrics)) };
        let Some((_, check)) = checks.iter().find(|(own, _)| own == name) else {
            return Some(respond::page_not_found());
        };
        Some(match check() {
            None => respond::plain(200, "ok"),
            Some(why) => respond::text(500, format!("internal server error: {why}\n")),
        })
    }

    /// All paths `GET /` lists.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (endpoint, checks) in [("healthz", &self.live), ("livez", &self.live), ("readyz", &self.ready)] {
            paths.push(format!("/{endpoint}"));
            paths.extend(checks.iter().map(|(name, _)| format!("/{endpoint}/{name}")));
        }
        paths
    }
}

fn all(endpoint: &str, checks: &[(String, Check)], query: &Query, metrics: &HealthMetrics) -> Response<Body> {
    let mut excluded: Vec<&str> = query.all("exclude").collect();
    let mut report = String::new();
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Some(at) = excluded.iter().position(|own| own == name) {
            excluded.remove(at);
            report.push_str(&format!("[+]{name} excluded: ok\n"));
            continue;
        }
        let failure = check();
        metrics.checked(endpoint, name, failure.is_none());
        match failure {
            None => report.push_str(&format!("[+]{name} ok\n")),
            Some(why) => {
                tracing::warn!(check = %name, %why, "health check failed");
                report.push_str(&format!("[-]{name} failed: reason withheld\n"));
                failed.push(name.as_str());
            }
        }
    }
    if !excluded.is_empty() {
        let names: Vec<String> = excluded.iter().map(|name| api::go_text::quote(name)).collect();
        report.push_str(&format!("warn: some health checks cannot be excluded: no matches for {}\n", names.join(", ")));
    }
    if !failed.is_empty() {
        report.push_str(&format!("{endpoint} check failed\n"));
        return respond::text(500, report);
    }
    if query.has("verbose") {
        report.push_str(&format!("{endpoint} check passed\n"));
        return respond::text(200, report);
    }
    respond::text(200, "ok")
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ready.iter().map(|(name, _)| name)).finish()
    }
}
