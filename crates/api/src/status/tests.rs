use super::*;
use crate::field::{Error, ErrorList, Path};
use crate::meta::{GroupKind, GroupResource};

fn pods() -> GroupResource {
    GroupResource::new("", "pods")
}

fn json(status: &Status) -> String {
    String::from_utf8(status.to_json().to_vec()).expect("JSON is UTF-8")
}

#[test]
fn a_status_is_served_byte_for_byte_as_upstream() {
    assert_eq!(
        json(&Status::not_found(&pods(), "x")),
        concat!(
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"x\" not found","#,
            r#""reason":"NotFound","details":{"name":"x","kind":"pods"},"code":404}"#,
            "\n"
        )
    );
}

#[test]
fn details_name_causes_in_upstreams_order() {
    let p = Path::new("spec").child("replicas");
    let errors: ErrorList =
        [Error::invalid(&p, -1, "must be greater than or equal to 0"), Error::required(&p, "")].into_iter().collect();
    let status = Status::invalid(&GroupKind::new("apps", "Deployment"), "d", &errors);
    assert_eq!(
        json(&status),
        concat!(
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Deployment.apps \"d\" is invalid: "#,
            r#"[spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.replicas: Required value]","#,
            r#""reason":"Invalid","details":{"name":"d","group":"apps","kind":"Deployment","causes":["#,
            r#"{"reason":"FieldValueInvalid","message":"Invalid value: -1: must be greater than or equal to 0","field":"spec.replicas"},"#,
            r#"{"reason":"FieldValueRequired","message":"Required value","field":"spec.replicas"}]},"code":422}"#,
            "\n"
        )
    );
}

#[test]
fn messages_codes_and_reasons_are_upstreams() {
    let deployments = GroupResource::new("apps", "deployments");
    let none = GroupResource::default();
    for (status, code, reason, message) in [
        (Status::already_exists(&deployments, "x"), 409, "AlreadyExists", r#"deployments.apps "x" already exists"#),
        (
            Status::conflict(&pods(), "x", &OBJECT_MODIFIED),
            409,
            "Conflict",
            r#"Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the latest version and try again"#,
        ),
        (Status::forbidden(&pods(), "x", &"no"), 403, "Forbidden", r#"pods "x" is forbidden: no"#),
        (Status::forbidden(&pods(), "", &"no"), 403, "Forbidden", "pods is forbidden: no"),
        (Status::forbidden(&none, "", &"no"), 403, "Forbidden", "forbidden: no"),
        (Status::unauthorized(""), 401, "Unauthorized", "not authorized"),
        (Status::unauthorized("Unauthorized"), 401, "Unauthorized", "Unauthorized"),
        (
            Status::method_not_supported(&pods(), "put"),
            405,
            "MethodNotAllowed",
            r#"put is not supported on resources of kind "pods""#,
        ),
        (Status::resource_expired("old"), 410, "Expired", "old"),
        (Status::gone("old"), 410, "Gone", "old"),
        (Status::timeout("slow", 0), 504, "Timeout", "Timeout: slow"),
        (
            Status::server_timeout(&pods(), "list", 2),
            500,
            "ServerTimeout",
            "The list operation against pods could not be completed at this time, please try again.",
        ),
        (Status::internal_error(&"boom"), 500, "InternalError", "Internal error occurred: boom"),
        (
            Status::request_entity_too_large("limit is 3"),
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3",
        ),
        (
            Status::generic(404, "GET", &none, "", ""),
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            Status::generic(500, "GET", &pods(), "x", "boom"),
            500,
            "InternalError",
            r#"an error on the server ("boom") has prevented the request from succeeding (get pods x)"#,
        ),
        (Status::unknown(500, "x"), 500, "", "x"),
    ] {
        assert_eq!((status.code, status.reason.as_str(), status.message.as_str()), (code, reason, message));
    }
}

#[test]
fn a_retry_time_is_in_details_and_readable() {
    let status = Status::too_large_resource_version(9, 5, 1);
    assert_eq!(status.retry_after_seconds(), Some(1));
    assert!(status.has_cause("ResourceVersionTooLarge"));
    assert_eq!(Status::gone("x").retry_after_seconds(), None);
}

#[test]
fn a_status_survives_a_round_trip() {
    let status = Status::too_large_resource_version(9, 5, 1);
    assert_eq!(Status::from_value(&status.to_value()), Some(status));
    let custom = Status::from_value(&json::json!({"status": "Failure", "reason": "Mine", "code": 418}));
    assert_eq!(custom.map(|s| s.reason), Some(Reason::Custom("Mine".into())));
}
