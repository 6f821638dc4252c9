//! A request as its labels say it, and how long it is being served.

use component::metrics::IntGauge;

use crate::endpoints::query::Query;
use crate::filters::request_info::RequestInfo;

/// Paths beside the API that have series of their own; upstream shows them as subresources, cut as here.
const PATHS: [&str; 6] = ["/healthz", "/livez", "/readyz", "/metrics", "/metrics/slis", "/version"];

/// A request as its labels say it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Counted {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    component: &'static str,
    long_running: bool,
}

impl Counted {
    pub(crate) fn of(info: &RequestInfo, query: &Query) -> Counted {
        let scope = match (info.is_resource_request, info.name.is_empty(), info.namespace.is_empty()) {
            (false, ..) => "",
            (_, false, _) => "resource",
            (_, true, false) => "namespace",
            _ => "cluster",
        };
        let verb = match info.verb.as_str() {
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" | "post" => "POST",
            "update" | "put" => "PUT",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            "proxy" => "CONNECT",
            _ => "other",
        };
        let long_running = info.is_long_running();
        let connect = long_running && !matches!(info.subresource.as_str(), "log" | "");
        // A path that leads nowhere must not make a series of its own.
        let known = |text: &str| if info.is_resource_request { text.to_string() } else { String::new() };
        let subresource = match info.is_resource_request {
            true => info.subresource.clone(),
            false => PATHS.iter().find(|path| **path == info.path).copied().unwrap_or_default().to_string(),
        };
        Counted {
            verb: if connect { "CONNECT" } else { verb },
            dry_run: if query.has("dryRun") { "All" } else { "" },
            group: known(&info.api_group),
            version: known(&info.api_version),
            resource: known(&info.resource),
            subresource,
            scope,
            component: if info.is_resource_request { "apiserver" } else { "" },
            long_running,
        }
    }

    /// Forgets what was asked for: no such resource exists.
    pub(crate) fn unknown(&mut self) {
        for label in [&mut self.group, &mut self.version, &mut self.resource, &mut self.subresource] {
            label.clear();
        }
    }

    pub(super) fn long_running(&self) -> bool {
        self.long_running
    }

    pub(super) fn reads(&self) -> bool {
        matches!(self.verb, "GET" | "LIST")
    }

    /// The values of `LABELS`.
    pub(super) fn labels<'a>(&'a self, code: &'a str) -> [&'a str; 9] {
        let Counted { verb, dry_run, group, version, resource, subresource, scope, component, .. } = self;
        [verb, dry_run, group, version, resource, subresource, scope, component, code]
    }

    /// The values of `SHORT_LABELS`.
    pub(super) fn short_labels(&self) -> [&str; 7] {
        let Counted { verb, group, version, resource, subresource, scope, component, .. } = self;
        [verb, group, version, resource, subresource, scope, component]
    }
}

/// A request is being served while this lives. Goes with the body of a stream, and with an upgraded connection.
#[derive(Debug)]
pub(crate) struct Ongoing(IntGauge);

impl Ongoing {
    pub(super) fn of(gauge: IntGauge) -> Ongoing {
        gauge.inc();
        Ongoing(gauge)
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.0.dec();
    }
}
