use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;

use super::*;

fn election(identity: &str) -> LeaderElection {
    LeaderElection { release_on_shutdown: true, ..LeaderElection::new("kube-scheduler", identity.to_owned()) }
}

/// An API server that has one lease, and optimistic concurrency on it.
fn api() -> (kube::Client, Arc<Mutex<Option<Lease>>>) {
    let state: Arc<Mutex<Option<Lease>>> = Arc::default();
    let shared = state.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let shared = shared.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await.expect("a body in memory");
            if parts.uri.path().ends_with("/events") {
                return Ok::<_, Infallible>(
                    Response::builder().status(201).body(Body::from(bytes.to_vec())).expect("plain"),
                );
            }
            let mut lease = shared.lock().expect("no test panics while it holds it");
            let version = |lease: &Lease| lease.metadata.resource_version.clone();
            let status = if parts.method == Method::GET {
                if lease.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND }
            } else {
                let mut wanted: Lease = serde_json::from_slice(&bytes).expect("a lease");
                let before = lease.as_ref().and_then(version);
                if before == version(&wanted) {
                    let next = before.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
                    wanted.metadata.resource_version = Some(next.to_string());
                    *lease = Some(wanted);
                    StatusCode::OK
                } else {
                    StatusCode::CONFLICT
                }
            };
            let body = match status {
                StatusCode::OK => serde_json::to_vec(&*lease).expect("plain"),
                StatusCode::NOT_FOUND => failure("NotFound", 404),
                _ => failure("Conflict", 409),
            };
            Ok(Response::builder().status(status).body(Body::from(body)).expect("plain"))
        }
    });
    (kube::Client::new(service, "default"), state)
}

fn failure(reason: &str, code: u16) -> Vec<u8> {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "", "reason": reason, "code": code});
    status.to_string().into_bytes()
}

fn holder(state: &Mutex<Option<Lease>>) -> String {
    let lease = state.lock().expect("no test panics while it holds it");
    lease.clone().and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity).unwrap_or_default()
}

#[test]
fn a_lease_is_taken_when_it_is_free_ours_or_silent() {
    let now = Timestamp::UNIX_EPOCH;
    let (a, b) = (election("a"), election("b"));
    let Step::Create(first) = plan(&a, None, Duration::ZERO, now) else { panic!("nobody holds it") };
    let transitions = |step: Step| match step {
        Step::Replace(lease) => lease.spec.and_then(|spec| spec.lease_transitions),
        _ => None,
    };
    assert_eq!(transitions(plan(&a, Some((*first).clone()), Duration::ZERO, now)), Some(0));
    assert_eq!(plan(&b, Some((*first).clone()), Duration::from_secs(14), now), Step::Wait);
    assert_eq!(transitions(plan(&b, Some((*first).clone()), Duration::from_secs(15), now)), Some(1));
    let mut released = *first;
    released.spec.as_mut().unwrap().holder_identity = Some(String::new());
    assert_eq!(transitions(plan(&b, Some(released), Duration::ZERO, now)), Some(1));
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_the_other_follows_when_it_releases() {
    let (client, state) = api();
    let (first, second) = (Shutdown::new(), Shutdown::new());
    let run = |identity: &str, shutdown: &Shutdown| {
        let (client, shutdown, election) = (client.clone(), shutdown.clone(), election(identity));
        tokio::spawn(
            async move { election.lead(client, &shutdown, |term| async move { term.cancelled().await }).await },
        )
    };
    let leading = run("a", &first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = run("b", &second);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(holder(&state), "a");
    first.cancel();
    assert!(leading.await.unwrap().unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(holder(&state), "b");
    second.cancel();
    assert!(waiting.await.unwrap().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_leading() {
    let (client, state) = api();
    let shutdown = Shutdown::new();
    let leading = election("a");
    let work = tokio::spawn({
        let (client, shutdown) = (client.clone(), shutdown.clone());
        async move { leading.lead(client, &shutdown, |term| async move { term.cancelled().await }).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    // Another took it, as after a pause of this process.
    {
        let mut lease = state.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease.metadata.resource_version = Some("100".to_owned());
        lease.spec.as_mut().unwrap().holder_identity = Some("b".to_owned());
    }
    assert!(matches!(work.await.unwrap(), Err(Error::Lost { .. })));
    assert_eq!(holder(&state), "b");
}
