use std::sync::Arc;

use api::scheme::Scheme;
use json::json;
use store::{ErrorKind, Revision};

use super::{content_differs, parse_resource_version, storage_error};
use crate::registry::resource::Resources;

/// What each error of the store is to a client. Upstream: storage/errors.Interpret*Error.
const ERRORS: [(ErrorKind, u16, &str, &str); 12] = [
    (ErrorKind::KeyNotFound, 404, "NotFound", "pods \"p\" not found"),
    (ErrorKind::KeyExists, 409, "AlreadyExists", "pods \"p\" already exists"),
    (
        ErrorKind::Conflict,
        409,
        "Conflict",
        "Operation cannot be fulfilled on pods \"p\": the object has been modified; please apply your changes to the latest version and try again",
    ),
    (ErrorKind::Compacted, 410, "Expired", "too old resource version: 7"),
    (ErrorKind::FutureRevision, 504, "Timeout", "Timeout: Too large resource version"),
    (
        ErrorKind::Unreachable,
        500,
        "ServerTimeout",
        "The update operation against pods could not be completed at this time, please try again.",
    ),
    (
        ErrorKind::Timeout,
        500,
        "ServerTimeout",
        "The update operation against pods could not be completed at this time, please try again.",
    ),
    (ErrorKind::Invalid, 500, "InternalError", ""),
    (ErrorKind::Corrupt, 500, "InternalError", ""),
    (ErrorKind::Locked, 500, "InternalError", ""),
    (ErrorKind::NoSpace, 500, "InternalError", ""),
    (ErrorKind::SyncFailed, 500, "InternalError", ""),
];

#[test]
fn every_error_of_the_store_has_its_status() {
    let resources = Resources::builtin(Scheme::builtin());
    let pods = &resources.get("", "v1", "pods").unwrap();
    for (kind, code, reason, message) in ERRORS {
        let error =
            store::Error { kind, key: Some(Arc::from("k")), revision: Revision(7), current: None, source: None };
        let status = storage_error(pods, "p", "update", &error);
        assert_eq!((status.code, status.reason.as_str()), (code, reason), "{kind:?}");
        if message.is_empty() {
            assert!(status.message.starts_with("Internal error occurred: "), "{kind:?}: {}", status.message);
        } else {
            assert_eq!(status.message, message, "{kind:?}");
        }
    }
}

#[test]
fn resource_versions_are_numbers() {
    assert_eq!(parse_resource_version(""), Ok(Revision(0)));
    assert_eq!(parse_resource_version("42"), Ok(Revision(42)));
    for bad in ["-1", "1.0", "abc", "99999999999999999999"] {
        assert!(parse_resource_version(bad).is_err(), "{bad}");
    }
}

#[test]
fn metadata_and_status_are_no_new_generation() {
    let old = json!({"metadata": {"name": "a"}, "spec": {"a": 1}, "status": {"b": 1}});
    let changed = |path: &str| {
        let mut new = old.clone();
        new[path]["x"] = 2.into();
        content_differs(&new, &old, &["metadata", "status"])
    };
    assert!(!changed("metadata"));
    assert!(!changed("status"));
    assert!(changed("spec"));
    assert!(changed("data"));
}
