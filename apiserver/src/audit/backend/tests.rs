use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use json::{Value, json};
use tokio::time::Instant;

use super::batches::Throttle;
use super::*;
use crate::audit::log::{Format, Rotation};
use crate::audit::policy::Level;
use crate::registry::testing::Fixture;
use crate::webhook::testing::{Reply, Server};

const BATCHING: Batching =
    Batching { buffer_size: 2, max_size: 10, max_wait: Duration::from_secs(3600), throttle: None };

fn log(folder: &Path) -> Sink {
    Sink::Log(LogFile::open(&folder.join("audit.log"), Format::Json, Rotation::default()).expect("a file"))
}

/// Events in the file, without what they are.
fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("audit.log")).expect("a file");
    let event = |line: &str| {
        let mut event: Value = json::from_str(line).expect("a line of JSON");
        let fields = event.as_object_mut().expect("an object");
        assert_eq!(fields.shift_remove("kind"), Some("Event".into()));
        assert_eq!(fields.shift_remove("apiVersion"), Some("audit.k8s.io/v1".into()));
        event
    };
    text.lines().map(event).collect()
}

fn event(number: usize) -> Event {
    Event::of(json!({"n": number}), Level::Request, Timestamp::UNIX_EPOCH)
}

/// A webhook that answers by how often it was asked, and tells of the events it is sent.
async fn webhook(
    folder: &Path,
    pause: Duration,
    answer: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Sink, mpsc::Receiver<Vec<Value>>) {
    let (sender, received) = mpsc::channel(16);
    let times = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_, list| {
        assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("EventList"), &json!("audit.k8s.io/v1")));
        sender.try_send(list["items"].as_array().expect("items").clone()).expect("somebody looks");
        answer(times.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    })
    .await;
    let (address, bundle) = (server.address, STANDARD.encode(&server.bundle));
    let config = json!({
        "current-context": "w",
        "contexts": [{"name": "w", "context": {"cluster": "c", "user": ""}}],
        "clusters": [{"name": "c", "cluster": {"server": format!("https://{address}/audit"), "certificate-authority-data": bundle}}],
    });
    let file = folder.join("webhook.kubeconfig");
    std::fs::write(&file, config.to_string()).expect("it can be written");
    let webhook = EventWebhook::open(&file, pause, Arc::new(Fixture::new([]))).expect("a webhook");
    (Sink::Webhook(Box::new(webhook)), received)
}

fn taken(_: usize) -> Reply {
    Reply::Raw(200, Vec::new())
}

#[tokio::test]
async fn what_was_gathered_is_delivered_at_the_end_and_what_did_not_fit_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, closing) = (Metrics::default(), CancellationToken::new());
    let backend = Backend::new(log(folder.path()), Mode::Batch(BATCHING), None, metrics.clone(), &closing);
    // The worker has no time to take any between these.
    for number in 0..3 {
        assert!(matches!(backend.take(&event(number)), Receipt::Known(true)));
    }
    assert_eq!(metrics.failures("buffered"), 1);
    closing.cancel();
    backend.flushed().await;
    assert_eq!(lines(folder.path()), [json!({"n": 0}), json!({"n": 1})]);
    backend.take(&event(4));
    assert_eq!(metrics.failures("buffered"), 2, "nothing is taken after the end");
}

#[tokio::test]
async fn a_full_batch_goes_at_once_and_another_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, mut received) = webhook(folder.path(), Duration::ZERO, taken).await;
    let closing = CancellationToken::new();
    let batching = Batching { buffer_size: 10, max_size: 2, max_wait: Duration::from_millis(50), throttle: None };
    let backend = Backend::new(sink, Mode::Batch(batching), None, Metrics::default(), &closing);
    for number in 0..3 {
        backend.take(&event(number));
    }
    let mut batches = vec![received.recv().await.unwrap(), received.recv().await.unwrap()];
    batches.sort_by_key(Vec::len);
    assert_eq!(batches, [vec![json!({"n": 2})], vec![json!({"n": 0}), json!({"n": 1})]]);
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_and_given_up_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let passing = |time| if time < 2 { Reply::Raw(404, b"no".to_vec()) } else { taken(time) };
    let (sink, _received) = webhook(folder.path(), Duration::from_millis(1), passing).await;
    let metrics = Metrics::default();
    assert!(sink.deliver(&[event(1)], &metrics).await);
    let (sink, mut received) = webhook(folder.path(), Duration::from_millis(1), |_| Reply::Raw(500, Vec::new())).await;
    assert!(!sink.deliver(&[event(1), event(2)], &metrics).await);
    assert_eq!(metrics.failures("webhook"), 2);
    let mut attempts = 0;
    while received.try_recv().is_ok() {
        attempts += 1;
    }
    assert_eq!(attempts, 5);
}

#[tokio::test]
async fn in_blocking_mode_it_is_known_whether_an_event_arrived() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, arrives) in [(200, true), (500, false)] {
        let reply = move |_| Reply::Raw(answer, Vec::new());
        let (sink, _received) = webhook(folder.path(), Duration::from_millis(1), reply).await;
        let closing = CancellationToken::new();
        let backend = Backend::new(sink, Mode::BlockingStrict, None, Metrics::default(), &closing);
        assert!(backend.is_strict());
        let Receipt::Later(arrived) = backend.take(&event(1)) else { panic!("it takes its time") };
        assert_eq!(arrived.await, Ok(arrives));
    }
}

#[tokio::test]
async fn a_large_event_goes_without_its_objects_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, closing) = (Metrics::default(), CancellationToken::new());
    let backend = Backend::new(log(folder.path()), Mode::Blocking, Some(120), metrics.clone(), &closing);
    let large = "x".repeat(200);
    backend.take(&event(0));
    backend.take(&Event::of(json!({"n": 1, "requestObject": {"data": large}}), Level::Request, Timestamp::UNIX_EPOCH));
    let truncated = json!({"n": 1, "annotations": {"audit.k8s.io/truncated": "true"}});
    assert_eq!(lines(folder.path()), [json!({"n": 0}), truncated]);
    backend.take(&Event::of(json!({"n": large}), Level::Request, Timestamp::UNIX_EPOCH));
    // Of one that holds no objects by its level nothing is taken.
    backend.take(&Event::of(json!({"n": large}), Level::Metadata, Timestamp::UNIX_EPOCH));
    assert_eq!(metrics.failures("truncate"), 2);
    assert_eq!(lines(folder.path()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_burst_there_are_so_many_a_second() {
    let now = Instant::now();
    let mut throttle = Throttle::new(2.0, 2);
    let waits: Vec<u64> = (0..6).map(|_| throttle.take(now).as_millis() as u64).collect();
    assert_eq!(waits, [0, 0, 500, 1000, 1500, 2000]);
}
