//! `/livez`, `/readyz` and `/healthz`: named checks, one by one or together, with `?verbose` and `?exclude`.
//!
//! A check is of all three, or of `/readyz` alone, or of the other two alone. One of the boot sequence is taken for passed at
//! `/livez` for as long as `--livez-grace-period` says: who restarts servers that are not live lets them start first.
//! Upstream: k8s.io/apiserver/pkg/server/healthz.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Response;

use crate::endpoints::query::Query;
use crate::endpoints::respond;
use crate::server::body::Body;
use crate::server::metrics::HealthMetrics;

/// Says why something is not well; None when it is.
pub type Check = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Where a check counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At all three endpoints.
    Everywhere,
    /// As [`Scope::Everywhere`], but at `/livez` only after the grace of the start.
    Boot,
    /// At `/readyz`.
    Ready,
    /// At `/livez` and `/healthz`.
    Live,
}

#[derive(Clone)]
struct Entry {
    name: String,
    scope: Scope,
    check: Check,
}

/// The checks, in the order they are shown.
#[derive(Clone)]
pub struct Health {
    entries: Vec<Entry>,
    /// When the grace of the start is over.
    grace_ends: Instant,
}

impl Default for Health {
    fn default() -> Self {
        Health { entries: Vec::new(), grace_ends: Instant::now() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Healthz,
    Livez,
    Readyz,
}

impl Endpoint {
    const ALL: [Endpoint; 3] = [Endpoint::Healthz, Endpoint::Livez, Endpoint::Readyz];

    fn name(self) -> &'static str {
        match self {
            Endpoint::Healthz => "healthz",
            Endpoint::Livez => "livez",
            Endpoint::Readyz => "readyz",
        }
    }

    fn shows(self, scope: Scope) -> bool {
        match scope {
            Scope::Everywhere | Scope::Boot => true,
            Scope::Ready => self == Endpoint::Readyz,
            Scope::Live => self != Endpoint::Readyz,
        }
    }
}

impl Health {
    /// Adds a check behind the others.
    pub fn add(&mut self, name: impl Into<String>, scope: Scope, check: Check) {
        self.entries.push(Entry { name: name.into(), scope, check });
    }

    /// These checks, then those.
    pub fn joined(mut self, others: Health) -> Health {
        self.entries.extend(others.entries);
        self
    }

    /// `--livez-grace-period`, from now on.
    pub fn with_grace(self, grace: Duration) -> Health {
        Health { grace_ends: Instant::now() + grace, ..self }
    }

    /// Answers a health path; None for other paths.
    pub(crate) fn serve(&self, path: &str, query: &Query, metrics: &HealthMetrics) -> Option<Response<Body>> {
        let path = path.strip_prefix('/')?;
        let (endpoint, name) = path.split_once('/').map_or((path, None), |(endpoint, name)| (endpoint, Some(name)));
        let endpoint = Endpoint::ALL.into_iter().find(|own| own.name() == endpoint)?;
        let Some(name) = name else { return Some(self.all(endpoint, query, metrics)) };
        let Some(entry) = self.of(endpoint).find(|entry| entry.name == name) else {
            return Some(respond::page_not_found());
        };
        Some(match self.check(endpoint, entry) {
            None => respond::plain(200, "ok"),
            Some(why) => respond::text(500, format!("internal server error: {why}\n")),
        })
    }

    /// All paths `GET /` lists.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for endpoint in Endpoint::ALL {
            let root = format!("/{}", endpoint.name());
            paths.extend(self.of(endpoint).map(|entry| format!("{root}/{}", entry.name)));
            paths.push(root);
        }
        paths
    }

    fn of(&self, endpoint: Endpoint) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| endpoint.shows(entry.scope))
    }

    fn check(&self, endpoint: Endpoint, entry: &Entry) -> Option<String> {
        let starting = endpoint == Endpoint::Livez && entry.scope == Scope::Boot && Instant::now() < self.grace_ends;
        if starting { None } else { (entry.check)() }
    }

    fn all(&self, endpoint: Endpoint, query: &Query, metrics: &HealthMetrics) -> Response<Body> {
        let mut excluded: Vec<&str> = query.all("exclude").collect();
        excluded.sort_unstable();
        excluded.dedup();
        let mut report = String::new();
        let mut failed = false;
        let at = endpoint.name();
        for entry in self.of(endpoint) {
            let name = entry.name.as_str();
            if let Some(place) = excluded.iter().position(|own| *own == name) {
                excluded.remove(place);
                report.push_str(&format!("[+]{name} excluded: ok\n"));
                continue;
            }
            let failure = self.check(endpoint, entry);
            metrics.checked(at, name, failure.is_none());
            match failure {
                None => report.push_str(&format!("[+]{name} ok\n")),
                Some(why) => {
                    tracing::warn!(check = %name, %why, "health check failed");
                    report.push_str(&format!("[-]{name} failed: reason withheld\n"));
                    failed = true;
                }
            }
        }
        if !excluded.is_empty() {
            let names: Vec<String> = excluded.iter().map(|name| api::go_text::quote(name)).collect();
            let names = names.join(",");
            report.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
        }
        if failed {
            report.push_str(&format!("{at} check failed\n"));
            return respond::text(500, report);
        }
        if query.has("verbose") {
            report.push_str(&format!("{at} check passed\n"));
            return respond::text(200, report);
        }
        respond::text(200, "ok")
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(health: &Health, target: &str) -> (u16, String) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let metrics = HealthMetrics::new().unwrap();
        let answer = health.serve(path, &Query::parse(query), &metrics).unwrap();
        let text = answer.body().as_bytes().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        (answer.status().as_u16(), text.unwrap_or_default())
    }

    fn of(scope: Scope, grace: Duration) -> Health {
        let mut health = Health::default().with_grace(grace);
        health.add("ping", Scope::Everywhere, Arc::new(|| None));
        health.add("hook", scope, Arc::new(|| Some("not finished".to_owned())));
        health
    }

    #[test]
    fn a_start_is_live_and_not_ready_within_its_grace() {
        let health = of(Scope::Boot, Duration::from_secs(3600));
        assert_eq!(text(&health, "/livez"), (200, "ok".to_owned()));
        let failed = "[+]ping ok\n[-]hook failed: reason withheld\nreadyz check failed\n".to_owned();
        assert_eq!(text(&health, "/readyz"), (500, failed));
        assert_eq!(text(&of(Scope::Boot, Duration::ZERO), "/livez").0, 500);
        assert_eq!(text(&health, "/healthz/hook"), (500, "internal server error: not finished\n".to_owned()));
    }

    #[test]
    fn checks_are_left_out_by_name() {
        let health = of(Scope::Everywhere, Duration::ZERO);
        let shown = "[+]ping ok\n[+]hook excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"a\",\"z\"\n\
                     livez check passed\n";
        assert_eq!(text(&health, "/livez?verbose&exclude=hook&exclude=z&exclude=a"), (200, shown.to_owned()));
        assert_eq!(text(&of(Scope::Ready, Duration::ZERO), "/healthz/hook").0, 404);
        assert_eq!(text(&of(Scope::Live, Duration::ZERO), "/readyz").0, 200);
    }
}
