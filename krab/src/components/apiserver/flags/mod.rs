//! The flags of kube-apiserver: those that mean something here, those accepted without effect, and those refused because a
//! server that looked past them would be less safe than its owner believes.

mod shown;
mod without_effect;

use anyhow::{Result, bail};
use component::flags::{Flag, FlagSet, Kind};

pub(crate) use self::shown::shown;
use crate::components::EVERYWHERE;
use crate::storage;

/// Upstream's flags that mean here what they mean there, and krab's own.
const OWN: &[Flag] = &[
    // Krab's own.
    Flag::text(
        "data-dir",
        "",
        "where the embedded store is when --etcd-servers is not given (default as for krab server)",
    ),
    // Serving.
    Flag::text("bind-address", "0.0.0.0", "address to listen on"),
    Flag::text("secure-port", "6443", "port to listen on; 0 takes a free one"),
    Flag::text("advertise-address", "", "address members of the cluster reach this server at"),
    Flag::text("external-hostname", "", "name this server is reached by from outside"),
    Flag::text("cert-dir", "/var/run/kubernetes", "where a certificate is made when --tls-cert-file is not given"),
    Flag::text("tls-cert-file", "", "certificate to serve with, its chain behind it"),
    Flag::text("tls-private-key-file", "", "its key"),
    Flag::array("tls-sni-cert-key", "CERTIFICATE,KEY[:NAME,...]: another certificate for names of its own; repeatable"),
    Flag::text("tls-min-version", "", "VersionTLS12 (default) or VersionTLS13"),
    Flag::list("tls-cipher-suites", "", "suites of TLS 1.2 to offer, by Go's names (default: all that are safe)"),
    Flag::list("tls-curve-preferences", "", "groups for the key exchange, by number: 29, 23, 24"),
    Flag::switch("disable-http2-serving", "HTTP/1.1 only"),
    Flag::text("http2-max-streams-per-connection", "0", "streams of one HTTP/2 connection at a time; 0 is 250"),
    Flag::switch("permit-port-sharing", "other processes may listen on the same port (SO_REUSEPORT)"),
    // Requests.
    Flag::text("request-timeout", "1m0s", "how long a request may take that is no stream"),
    Flag::text("min-request-timeout", "1800", "seconds a watch without a time of its own lasts at least"),
    Flag::list("cors-allowed-origins", "", "regular expressions of origins whose pages may use the API"),
    Flag::list("strict-transport-security-directives", "", "what Strict-Transport-Security says: max-age=SECONDS, ..."),
    Flag::text("goaway-chance", "0", "part of HTTP/2 requests that are the last of their connection, up to 0.02"),
    // The process.
    Flag { default: "true", ..Flag::switch("profiling", "serve /debug/pprof (an empty list) and /debug/flags") },
    Flag::text("livez-grace-period", "0s", "how long the start may take before /livez says that it failed"),
    Flag::text("shutdown-delay-duration", "0s", "how long everything is served on after a signal, while /readyz fails"),
    // Callers.
    Flag {
        default: "true",
        ..Flag::switch("anonymous-auth", "answer callers that do not say who they are, as RBAC allows")
    },
    Flag::list("api-audiences", "", "audiences a token must be for (default: the issuers)"),
    Flag::text(
        "authentication-config",
        "",
        "AuthenticationConfiguration: issuers of ID tokens, and who may be anonymous",
    ),
    Flag::text("authentication-token-webhook-config-file", "", "kubeconfig of a server that is asked about tokens"),
    Flag::text("authentication-token-webhook-cache-ttl", "2m0s", "how long its answers hold"),
    Flag::text("authentication-token-webhook-version", "v1beta1", "of TokenReview, as it is asked: v1 or v1beta1"),
    Flag::text("client-ca-file", "", "authorities of client certificates"),
    Flag::switch("enable-bootstrap-token-auth", "accept bootstrap tokens kept in kube-system"),
    Flag::text("oidc-issuer-url", "", "issuer of ID tokens"),
    Flag::text("oidc-client-id", "", "audience its tokens must be for"),
    Flag::text("oidc-ca-file", "", "authorities of its certificate (default: the system's)"),
    Flag::text("oidc-username-claim", "sub", "claim with the user's name"),
    Flag::text("oidc-username-prefix", "", "set before it (default: ISSUER#, but for email); - is none"),
    Flag::text("oidc-groups-claim", "", "claim with groups"),
    Flag::text("oidc-groups-prefix", "", "set before them"),
    Flag::array("oidc-required-claim", "CLAIM=VALUE a token must have; repeatable"),
    Flag::list("oidc-signing-algs", "RS256", "what its tokens may be signed with: {RS,ES,PS}{256,384,512}"),
    Flag::list("requestheader-allowed-names", "", "names a front proxy may have; none allows all"),
    Flag::text("requestheader-client-ca-file", "", "authorities of front proxies"),
    Flag::list("requestheader-extra-headers-prefix", "", "what headers with extras begin with"),
    Flag::list("requestheader-group-headers", "", "headers with groups"),
    Flag::list("requestheader-uid-headers", "", "headers with the user's uid"),
    Flag::list("requestheader-username-headers", "", "headers with the user's name"),
    Flag {
        default: "true",
        ..Flag::switch("service-account-extend-token-expiration", "tokens in pods outlive their time, for old clients")
    },
    Flag::array("service-account-issuer", "issuer of tokens; repeatable, the first one issues"),
    Flag::text("service-account-jwks-uri", "", "where the keys of tokens are found from outside"),
    Flag::array("service-account-key-file", "keys that verify tokens; repeatable (default: the signing key)"),
    Flag::text("service-account-max-token-expiration", "0s", "longest life of a token"),
    Flag::text("service-account-signing-key-file", "", "the key that signs tokens"),
    Flag::text("token-auth-file", "", "CSV file of static bearer tokens: token,user,uid,\"group1,group2\""),
    // What they may.
    Flag::list(
        "authorization-mode",
        "AlwaysAllow",
        "who is asked, in this order: Node, RBAC, ABAC, Webhook, AlwaysAllow, AlwaysDeny",
    ),
    Flag::text("authorization-config", "", "the same in a file that is followed: an AuthorizationConfiguration"),
    Flag::text("authorization-policy-file", "", "policies of ABAC, one JSON object a line"),
    Flag::text("authorization-webhook-config-file", "", "kubeconfig file of the webhook that is asked"),
    Flag::text("authorization-webhook-version", "v1beta1", "version of the review it is sent: v1 or v1beta1"),
    Flag::text(
        "authorization-webhook-cache-authorized-ttl",
        "5m0s",
        "how long a yes of it is remembered; 0 is not at all",
    ),
    Flag::text(
        "authorization-webhook-cache-unauthorized-ttl",
        "30s",
        "how long a no of it is remembered; 0 is not at all",
    ),
    Flag::list("enable-admission-plugins", "", "admission plugins to run besides the default ones"),
    Flag::list("disable-admission-plugins", "", "default admission plugins not to run"),
    Flag::text("admission-control-config-file", "", "what admission plugins are told: an AdmissionConfiguration"),
    Flag::text("default-not-ready-toleration-seconds", "300", "how long pods stay on nodes that are not ready"),
    Flag::text("default-unreachable-toleration-seconds", "300", "how long pods stay on nodes that are unreachable"),
    Flag::list("feature-gates", "", "what is on besides upstream's defaults: CBORServingAndStorage=true"),
    Flag::list(
        "runtime-config",
        "",
        "what is served: GROUP/VERSION=false, GROUP/VERSION/RESOURCE=false, api/all=false",
    ),
    // How much at a time, and what is written down.
    Flag {
        default: "true",
        ..Flag::switch(
            "enable-priority-and-fairness",
            "who has to wait is decided by FlowSchemas and their priority levels",
        )
    },
    Flag::text("max-requests-inflight", "400", "reads served at a time; 0 is no limit"),
    Flag::text("max-mutating-requests-inflight", "200", "writes served at a time; 0 is no limit"),
    Flag::text("audit-log-path", "", "file of audit events; - is standard output"),
    Flag::text("audit-policy-file", "", "which requests are audited, and how much of them"),
    Flag::text("audit-log-maxage", "366", "days an audit file that was set aside is kept; 0 is for ever"),
    Flag::text("audit-log-maxbackup", "100", "how many of them are kept; 0 is all"),
    Flag::text("audit-log-maxsize", "100", "megabytes after which the audit file is set aside; 0 is never"),
    Flag::switch("audit-log-compress", "audit files that were set aside are compressed"),
    Flag::text("audit-log-format", "json", "json"),
    Flag::text("audit-webhook-config-file", "", "kubeconfig file of a server that is posted audit events"),
    Flag::text("audit-webhook-initial-backoff", "10s", "pause before the second attempt to post them"),
    Flag::text("audit-webhook-batch-initial-backoff", "10s", "the same, by its older name"),
    Flag::text("event-ttl", "1h0m0s", "how long events are kept; 0 is for ever"),
    // Kubelets and extension servers.
    Flag::text(
        "kubelet-certificate-authority",
        "",
        "authorities of kubelets' certificates (default: they are not checked)",
    ),
    Flag::text("kubelet-client-certificate", "", "certificate shown to kubelets"),
    Flag::text("kubelet-client-key", "", "its key"),
    Flag::text("proxy-client-cert-file", "", "certificate shown to extension API servers"),
    Flag::text("proxy-client-key-file", "", "its key"),
    // The cluster.
    Flag::text(
        "endpoint-reconciler-type",
        "lease",
        "whose addresses the Service kubernetes has: lease (of all servers that live), master-count, none",
    ),
    Flag::text("apiserver-count", "1", "how many servers there are, for --endpoint-reconciler-type=master-count"),
    Flag::list("service-cluster-ip-range", "10.0.0.0/24", "addresses of Services, one range a family"),
];

/// How audit events are delivered, to the file and to the webhook.
const AUDIT_BACKENDS: &[Flag] = &[
    Flag::text("audit-log-mode", "blocking", "batch, blocking or blocking-strict"),
    Flag::text("audit-log-version", "audit.k8s.io/v1", "audit.k8s.io/v1"),
    Flag::text("audit-log-batch-buffer-size", "10000", "events that wait at most; others are lost"),
    Flag::text("audit-log-batch-max-size", "1", "events of a batch at most"),
    Flag::text("audit-log-batch-max-wait", "0s", "when a batch goes that is not full"),
    Flag::switch("audit-log-batch-throttle-enable", "so many batches a second, no more"),
    Flag::text("audit-log-batch-throttle-burst", "0", "batches at once"),
    Flag::text("audit-log-batch-throttle-qps", "0", "batches a second"),
    Flag::switch("audit-log-truncate-enabled", "large events go without their objects"),
    Flag::text("audit-log-truncate-max-event-size", "102400", "bytes of an event"),
    Flag::text("audit-log-truncate-max-batch-size", "10485760", "bytes of a batch; limits no more than events do"),
    Flag::text("audit-webhook-mode", "batch", "batch, blocking or blocking-strict"),
    Flag::text("audit-webhook-version", "audit.k8s.io/v1", "audit.k8s.io/v1"),
    Flag::text("audit-webhook-batch-buffer-size", "10000", "events that wait at most; others are lost"),
    Flag::text("audit-webhook-batch-max-size", "400", "events of a batch at most"),
    Flag::text("audit-webhook-batch-max-wait", "30s", "when a batch goes that is not full"),
    Flag {
        default: "true",
        ..Flag::switch("audit-webhook-batch-throttle-enable", "so many batches a second, no more")
    },
    Flag::text("audit-webhook-batch-throttle-burst", "15", "batches at once"),
    Flag::text("audit-webhook-batch-throttle-qps", "10", "batches a second"),
    Flag::switch("audit-webhook-truncate-enabled", "large events go without their objects"),
    Flag::text("audit-webhook-truncate-max-event-size", "102400", "bytes of an event"),
    Flag::text("audit-webhook-truncate-max-batch-size", "10485760", "bytes of a batch; limits no more than events do"),
];

/// What each would do is not here, and must not be believed to be.
const REFUSED: &[(&str, &str)] = &[
    ("egress-selector-config-file", "connections are made directly here"),
    ("encryption-provider-config", "objects would be stored as they are; encrypt the disk, or leave the flag out"),
    ("service-account-signing-endpoint", "give --service-account-signing-key-file"),
];

/// As [`REFUSED`], of flags with lists.
const REFUSED_LISTS: &[(&str, &str)] = &[("etcd-servers-overrides", "all resources are kept in one store here")];

/// All flags of the API server.
pub(crate) fn flags() -> Vec<Flag> {
    let refused = |name| Flag { name, ..Flag::text("", "", "refused: it has no effect here that could be counted on") };
    let texts = REFUSED.iter().map(|(name, _)| refused(name));
    let lists = REFUSED_LISTS.iter().map(|(name, _)| Flag { kind: Kind::List, ..refused(name) });
    [OWN, AUDIT_BACKENDS, storage::FLAGS, EVERYWHERE]
        .concat()
        .into_iter()
        .chain(without_effect::flags())
        .chain(texts)
        .chain(lists)
        .collect()
}

/// Refuses what nobody should believe to hold.
pub(super) fn refuse(flags: &FlagSet) -> Result<()> {
    match REFUSED.iter().chain(REFUSED_LISTS).find(|(name, _)| flags.optional(name).is_some()) {
        Some((name, why)) => bail!("--{name} is not supported: {why}"),
        None => Ok(()),
    }
}
