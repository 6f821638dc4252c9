//! `--audit-log-format=legacy`: an event as one line of text, with the part of it that fits there.
//! Upstream: k8s.io/apiserver/pkg/audit.EventString.

use api::go_text::quote;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use json::Value;

/// The line of an event's fields, its end included. Times are of the place the server is in.
pub(super) fn line(event: &Value, received: Timestamp, zone: TimeZone) -> String {
    let or =
        |value: &Value, otherwise: &str| quote(value.as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise));
    let (user, other) = (&event["user"], &event["impersonatedUser"]);
    let fields = [
        ("id", or(&event["auditID"], "")),
        ("stage", or(&event["stage"], "")),
        ("ip", or(&event["sourceIPs"][0], "<unknown>")),
        ("method", or(&event["verb"], "")),
        ("user", or(&user["username"], "<none>")),
        ("groups", names(&user["groups"], "<none>")),
        ("as", or(&other["username"], "<self>")),
        ("asgroups", names(&other["groups"], "<lookup>")),
        ("user-agent", or(&event["userAgent"], "")),
        ("namespace", or(&event["objectRef"]["namespace"], "<none>")),
        ("uri", or(&event["requestURI"], "")),
        (
            "response",
            event["responseStatus"]["code"].as_u64().map_or("\"<deferred>\"".into(), |code| format!("\"{code}\"")),
        ),
    ];
    let mut line = format!("{} AUDIT:", time(received, zone));
    for (name, value) in fields {
        line.push_str(&format!(" {name}={value}"));
    }
    line.push('\n');
    line
}

/// Names in quotes, and quotes around them all.
fn names(list: &Value, otherwise: &str) -> String {
    let names: Vec<String> = list.as_array().into_iter().flatten().filter_map(Value::as_str).map(quote).collect();
    if names.is_empty() { quote(otherwise) } else { quote(&names.join(",")) }
}

/// As Go's RFC3339Nano: no zeros at the end of a second's parts, `Z` for the time zone of nowhere.
fn time(time: Timestamp, zone: TimeZone) -> String {
    let time = time.to_zoned(zone);
    let offset = if time.offset().is_zero() { "Z".to_owned() } else { time.strftime("%:z").to_string() };
    format!("{}{offset}", time.strftime("%Y-%m-%dT%H:%M:%S%.f"))
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    // As upstream's EventString prints the same two events.
    #[test]
    fn what_is_not_known_is_said_to_be_so() {
        let received = "2026-11-21T14:05:41.12345Z".parse().unwrap();
        let line = line(&json!({"auditID": "1", "user": {}}), received, TimeZone::UTC);
        let expect = "2026-11-21T14:05:41.12345Z AUDIT: id=\"1\" stage=\"\" ip=\"<unknown>\" method=\"\" user=\"<none>\" groups=\"<none>\" as=\"<self>\" asgroups=\"<lookup>\" user-agent=\"\" namespace=\"<none>\" uri=\"\" response=\"<deferred>\"\n";
        assert_eq!(line, expect);
    }

    #[test]
    fn groups_are_quoted_twice() {
        let event = json!({
            "auditID": "1",
            "stage": "ResponseComplete",
            "requestURI": "/api/v1/pods",
            "verb": "list",
            "user": {"username": "jane", "groups": ["a", "b"]},
            "impersonatedUser": {"username": "joe", "groups": ["c"]},
            "sourceIPs": ["10.0.0.1", "10.0.0.2"],
            "userAgent": "curl",
            "objectRef": {"namespace": "default"},
            "responseStatus": {"code": 200},
        });
        let received = "2026-11-21T14:05:41Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let expect = "2026-11-21T16:05:41+02:00 AUDIT: id=\"1\" stage=\"ResponseComplete\" ip=\"10.0.0.1\" method=\"list\" user=\"jane\" groups=\"\\\"a\\\",\\\"b\\\"\" as=\"joe\" asgroups=\"\\\"c\\\"\" user-agent=\"curl\" namespace=\"default\" uri=\"/api/v1/pods\" response=\"200\"\n";
        assert_eq!(line(&event, received, zone), expect);
    }
}
