//! Parameters that the v2 document writes once, and refers to wherever they are meant.
//!
//! Upstream names each by a hash of what it says, texts included, so that parameters of one name and different texts
//! are several. Here the names are a table. Upstream: `collectSharedParameters` of `k8s.io/kube-openapi/pkg/builder`.

use json::{Map, Value};

use super::Dialect;
use super::operation::{Body, Parameter};

/// A parameter: its name, where it means this one ("" is everywhere), and the rest of the name it is referred to by.
type Row = (&'static str, &'static str, &'static str);

/// Where several rows have the same name, the first whose place is part of the path or method counts.
const QUERY: &[Row] = &[
    ("allowWatchBookmarks", "", "HC2hJt-J"),
    ("command", "", "Py3eQybp"),
    ("container", "/log", "1GeXxFDC"),
    ("container", "/attach", "_Q-EJ3nR"),
    ("container", "/exec", "i5dOmRiM"),
    ("continue", "", "QfD61s0i"),
    ("fieldManager", "patch ", "7c6nTn1T"),
    ("fieldManager", "", "Qy4HdaTW"),
    ("fieldSelector", "", "xIcQKXFG"),
    ("follow", "", "9OIXh_2R"),
    ("force", "", "tOGGb0Yi"),
    ("gracePeriodSeconds", "", "-K5HaBOS"),
    ("ignoreStoreReadErrorWithClusterBreakingPotential", "", "QbNkfIqj"),
    ("insecureSkipTLSVerifyBackend", "", "gM00jVbe"),
    ("labelSelector", "", "5Zw57w4C"),
    ("limit", "", "1NfNmdNH"),
    ("limitBytes", "", "zwd1RXuc"),
    ("orphanDependents", "", "uRB25kX5"),
    ("path", "/services/", "QCf0eosM"),
    ("path", "/pods/", "oPbzgLUj"),
    ("path", "/nodes/", "rFDtV0x9"),
    ("ports", "", "91KROJmm"),
    ("pretty", "", "tJGM1-ng"),
    ("previous", "", "1jxDPu3y"),
    ("propagationPolicy", "", "6jk3prlO"),
    ("resourceVersion", "", "5WAnf1kx"),
    ("resourceVersionMatch", "", "t8XhRHeC"),
    ("sendInitialEvents", "", "rLXlEK_k"),
    ("shardSelector", "", "Kgyki_3_"),
    ("sinceSeconds", "", "vE2NLdnP"),
    ("stderr", "/attach", "26jJhFUR"),
    ("stderr", "/exec", "W_1TNlWc"),
    ("stdin", "/attach", "sEFnN3IS"),
    ("stdin", "/exec", "PSzNhyUC"),
    ("stdout", "/attach", "005YMKE6"),
    ("stdout", "/exec", "-EZLRwV1"),
    ("stream", "", "l-48cgXv"),
    ("tailLines", "", "9xQLWHMV"),
    ("timeoutSeconds", "", "yvYezaOC"),
    ("timestamps", "", "c17fW1w_"),
    ("tty", "/attach", "g7MlET_l"),
    ("tty", "/exec", "s0flW37O"),
    ("watch", "", "XNNPZGbK"),
];
const PATH: &[Row] = &[("namespace", "", "vgWSWtn3"), ("path", "", "z6Ciiujn")];
const BODY: [(Body, &str); 2] = [(Body::DeleteOptions, "2Y1dVQaQ"), (Body::Patch, "78PwaGsr")];

/// What a parameter is called at a place ("METHOD PATH"), None if it is written out.
pub(super) fn name(parameter: &Parameter, place: &str) -> Option<String> {
    let rows = if parameter.in_path { PATH } else { QUERY };
    let (name, _, rest) = rows.iter().find(|(name, part, _)| *name == parameter.name && place.contains(part))?;
    Some(format!("{name}-{rest}"))
}

/// What a body is called.
pub(super) fn body_name(body: &Body) -> Option<String> {
    BODY.iter().find(|(shared, _)| shared == body).map(|(_, rest)| format!("body-{rest}"))
}

/// A reference to one of them.
pub(super) fn reference(name: &str) -> Value {
    json::json!({ "$ref": format!("#/parameters/{name}") })
}

/// All of them, as they are referred to.
pub(super) fn parameters(all: impl Iterator<Item = (String, Value)>) -> Map {
    let mut all: Vec<(String, Value)> = all.collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(one, _), (other, _)| one == other);
    all.into_iter().collect()
}

/// The parameter of a body.
pub(super) fn of_body(body: &Body, dialect: Dialect) -> Value {
    let mut parameter =
        json::json!({ "name": "body", "in": "body", "schema": { "$ref": dialect.reference(body.model()) } });
    if *body != Body::DeleteOptions {
        parameter["required"] = true.into();
    }
    parameter
}
