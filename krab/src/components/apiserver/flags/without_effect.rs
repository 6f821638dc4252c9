//! Upstream's flags that change nothing here, each with upstream's default and why that is so.
//!
//! Who sets one to something else is told the reason once, at start. A flag whose neglect would make a server less safe or
//! other than its owner believes is not here: it is refused (`super::REFUSED`).

use component::flags::{Flag, Kind};

/// `(name, default)` of flags that share a reason.
type Rows = &'static [(&'static str, &'static str)];

const ETCD_BY_EVENTS: &str = "the size and health of the store are known without asking";
const GATE_IS_OFF: &str = "the feature gate it belongs to is off by default and not part of krab";
const NO_WATCH_CACHE: &str = "all reads are served from the one view in memory, which is always on";
const METRICS: &str = "all metrics are shown as they are";

const SWITCHES: &[(&str, Rows)] = &[
    (
        "aggregated servers' redirects are never followed or passed on",
        &[("aggregator-reject-forwarding-redirect", "true")],
    ),
    ("profiles of Go's runtime do not exist here", &[("contention-profiling", "false")]),
    (
        "krab emulates no other version",
        &[("emulation-forward-compatible", "false"), ("runtime-config-emulation-forward-compatible", "false")],
    ),
    (
        "the address of an aggregated server's Service is looked up in its endpoints anyway",
        &[("enable-aggregator-routing", "false")],
    ),
    ("finalizers of the garbage collector are honoured anyway", &[("enable-garbage-collector", "true")]),
    (NO_WATCH_CACHE, &[("watch-cache", "true")]),
    ("the port is closed as soon as the server stops serving", &[("shutdown-send-retry-after", "false")]),
    ("SO_REUSEADDR is always set", &[("permit-address-sharing", "false")]),
    ("objects are not encrypted", &[("encryption-provider-config-automatic-reload", "false")]),
    ("krab keeps no logs in files", &[("enable-logs-handler", "false")]),
    ("privileged containers are not refused", &[("allow-privileged", "false")]),
    ("tokens of accounts that are gone are always refused", &[("service-account-lookup", "true")]),
];

const LISTS: &[(&str, Rows)] = &[
    ("deprecated; give --enable-admission-plugins", &[("admission-control", "")]),
    (METRICS, &[("disabled-metrics", "")]),
    ("krab emulates no other version", &[("emulated-version", ""), ("min-compatibility-version", "")]),
    (NO_WATCH_CACHE, &[("watch-cache-sizes", "")]),
    (METRICS, &[("allow-metric-labels", "")]),
];

const TEXTS: &[(&str, Rows)] = &[
    (METRICS, &[("allow-metric-labels-manifest", ""), ("show-hidden-metrics-for-version", "")]),
    (
        GATE_IS_OFF,
        &[
            ("coordinated-leadership-lease-duration", "15s"),
            ("coordinated-leadership-renew-deadline", "10s"),
            ("coordinated-leadership-retry-period", "2s"),
            ("peer-advertise-ip", ""),
            ("peer-advertise-port", ""),
            ("peer-ca-file", ""),
        ],
    ),
    ("deletes of a collection are one after the other, and fast", &[("delete-collection-workers", "1")]),
    (
        ETCD_BY_EVENTS,
        &[
            ("etcd-count-metric-poll-period", "1m0s"),
            ("etcd-db-metric-poll-interval", "30s"),
            ("etcd-healthcheck-timeout", "2s"),
            ("etcd-readycheck-timeout", "2s"),
            ("storage-initialization-timeout", "1m0s"),
        ],
    ),
    ("each event has a lease of its own time", &[("lease-reuse-duration-seconds", "60")]),
    ("streams are as fast as their readers", &[("max-connection-bytes-per-sec", "0")]),
    ("--etcd-servers says which store it is", &[("storage-backend", "")]),
    (
        "built-in objects are stored in protobuf, as upstream's default has it",
        &[("storage-media-type", "application/vnd.kubernetes.protobuf")],
    ),
    ("there is no socket without authentication", &[("debug-socket-path", "")]),
    ("nodes say which port their kubelet has", &[("kubelet-port", "10250"), ("kubelet-read-only-port", "10255")]),
    (
        "the address of a node is chosen in the order InternalIP, Hostname, InternalDNS, ExternalIP, ExternalDNS",
        &[("kubelet-preferred-address-types", "Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP")],
    ),
    ("a kubelet has ten seconds to take a connection", &[("kubelet-timeout", "5s")]),
    ("the Service kubernetes is of type ClusterIP", &[("kubernetes-service-node-port", "0")]),
    ("node ports are 30000-32767", &[("service-node-port-range", "30000-32767")]),
    ("watches end with the process", &[("shutdown-watch-termination-grace-period", "0s")]),
    ("no traces are sent", &[("tracing-config-file", "")]),
    (NO_WATCH_CACHE, &[("default-watch-cache-size", "100")]),
];

/// All of them.
pub(super) fn flags() -> impl Iterator<Item = Flag> {
    let of = |kind: Kind, rows: &'static [(&'static str, Rows)]| {
        rows.iter().flat_map(move |(why, flags)| {
            flags.iter().map(move |(name, default)| Flag::without_effect(name, kind, default, why))
        })
    };
    of(Kind::Bool, SWITCHES).chain(of(Kind::List, LISTS)).chain(of(Kind::Text, TEXTS))
}
