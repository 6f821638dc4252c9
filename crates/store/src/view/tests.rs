//! Tests of the view alone, fed by hand.

use bytes::Bytes;

use super::*;
use crate::{Decoded, Operation, Term, Undecodable, Watch};

/// Writes the revision into the value, as the API server does.
#[derive(Debug)]
struct Stamp;

impl Transform for Stamp {
    /// Found by each word of the value.
    fn decode(&self, _key: &str, stored: &Bytes) -> Result<Decoded, Undecodable> {
        let text = String::from_utf8(stored.to_vec()).map_err(|error| Undecodable(error.to_string()))?;
        let terms = text.split(' ').map(|word| Term::new(("word", word, ""))).collect();
        Ok(Decoded { value: stored.clone(), terms })
    }

    fn serve(&self, _key: &str, value: Bytes, mod_revision: Revision) -> Bytes {
        format!("{}#{mod_revision}", String::from_utf8_lossy(&value)).into()
    }

    fn serve_deleted(&self, _key: &str, served: &Bytes, revision: Revision) -> Bytes {
        let served = String::from_utf8_lossy(served);
        format!("{}#{revision}", served.split('#').next().unwrap()).into()
    }
}

fn change(revision: u64, key: &str, value: Option<&str>) -> Change {
    let operation = match value {
        Some(value) => Operation::Put { key: key.into(), value: value.to_owned().into(), expires: None },
        None => Operation::Delete { key: key.into() },
    };
    Change { revision: Revision(revision), operation, written: None }
}

fn view() -> (Arc<View>, Feed) {
    View::new(Window::default(), Arc::new(Stamp))
}

fn values(watch: &mut Watch) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(batch) = watch.try_next().unwrap() {
        seen.extend(batch.events().iter().map(|event| String::from_utf8(event.entry.value.to_vec()).unwrap()));
    }
    seen
}

#[test]
fn transform_makes_what_is_served_once() {
    let (view, mut feed) = view();
    let mut watch = view.watch("/r/", Revision::ZERO).unwrap();
    drop(feed.apply([change(1, "/r/a", Some("a")), change(2, "/r/a", Some("b")), change(3, "/r/a", None)]));
    assert_eq!(values(&mut watch), ["a#1", "b#2", "b#3"]);
    drop(feed.apply([change(4, "/r/a", Some("c"))]));
    let served = view.snapshot().get("/r/a").unwrap();
    assert_eq!(served.value, "c#4");
    assert!(Arc::ptr_eq(&served, &view.snapshot_at(Revision(4)).unwrap().get("/r/a").unwrap()));
}

#[test]
fn loaded_objects_begin_the_history() {
    let (view, mut feed) = view();
    let loaded = Loaded {
        key: "/r/a".into(),
        value: "a".to_owned().into(),
        written: Written { create_revision: Revision(3), mod_revision: Revision(5), version: 2 },
        index: 0,
        expires: None,
    };
    assert!(feed.seed(loaded).is_none());
    assert!(view.snapshot().is_empty(), "nothing shows before it begins");
    feed.begin(Revision(9));
    assert_eq!((view.revision(), view.compacted()), (Revision(9), Revision(9)));
    assert_eq!(view.snapshot().get("/r/a").unwrap().value, "a#5");
    assert_eq!(view.watch("/r/", Revision(8)).unwrap_err().kind, ErrorKind::Compacted);
    let mut watch = view.watch("/r/", Revision(9)).unwrap();
    drop(feed.apply([change(10, "/r/a", Some("b"))]));
    assert_eq!(values(&mut watch), ["b#10"]);
}

#[test]
fn watches_of_one_prefix_share_the_events() {
    let (view, mut feed) = view();
    let mut watches: Vec<_> = (0..3).map(|_| view.watch("/r/", Revision::ZERO).unwrap()).collect();
    drop(feed.apply([change(1, "/r/a", Some("a")), change(2, "/r/b", Some("b"))]));
    let batches: Vec<_> = watches.iter_mut().map(|watch| watch.try_next().unwrap().unwrap()).collect();
    assert!(batches.windows(2).all(|pair| Arc::ptr_eq(&pair[0].shared, &pair[1].shared)));
    assert_eq!((batches[0].events().len(), batches[0].revision), (2, Revision(2)));
}

#[tokio::test]
async fn changes_elsewhere_do_not_wake_a_watch() {
    let (view, mut feed) = view();
    let mut pods = tokio_test_waker(view.watch("/r/pods/", Revision::ZERO).unwrap());
    let mut nodes = tokio_test_waker(view.watch("/r/nodes/", Revision::ZERO).unwrap());
    assert_eq!((pods(), nodes()), (0, 0));
    for revision in 1..=10 {
        drop(feed.apply([change(revision, "/r/pods/a", Some("a"))]));
    }
    assert_eq!((pods(), nodes()), (1, 0));
}

/// Polls `next` once and returns a way to ask how often it was woken since.
fn tokio_test_waker(watch: Watch) -> impl FnMut() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = Arc::new(Count::default());
    let waker = count.clone().into();
    let mut watch = Box::pin(async move {
        let mut watch = watch;
        watch.next().await
    });
    let polled = watch.as_mut().poll(&mut std::task::Context::from_waker(&waker));
    assert!(polled.is_pending());
    move || {
        // The future stays alive, else it would be unregistered.
        let _ = &watch;
        count.0.load(Ordering::Relaxed)
    }
}

#[test]
fn buckets_nobody_watches_are_dropped() {
    let (view, mut feed) = view();
    for n in 0..2000 {
        let watch = view.watch(&format!("/r/{n}/"), Revision::ZERO).unwrap();
        drop(watch);
    }
    let kept = view.watch("/r/1/", Revision::ZERO).unwrap();
    drop(feed.apply([change(1, "/r/1/a", Some("a"))]));
    assert!(lock(&view.buckets).len() <= 257);
    drop(kept);
}

#[test]
fn long_history_is_read_in_steps() {
    let (view, mut feed) = view();
    let noise =
        (1..=20_000).map(|revision| change(revision, if revision % 9999 == 0 { "/r/a" } else { "/s/b" }, Some("x")));
    drop(feed.apply(noise));
    let mut watch = view.watch("/r/", Revision::ZERO).unwrap();
    let mut seen = Vec::new();
    while watch.progress() < view.revision() {
        if let Some(batch) = watch.try_next().unwrap() {
            seen.extend(batch.events().iter().map(|event| event.revision.0));
        }
    }
    assert_eq!(seen, [9999, 19_998]);
}

#[test]
fn dropped_feed_ends_watches_after_the_last_event() {
    let (view, mut feed) = view();
    let mut watch = view.watch("/r/", Revision::ZERO).unwrap();
    drop(feed.apply([change(1, "/r/a", Some("a"))]));
    drop(feed);
    assert_eq!(values(&mut watch), ["a#1"]);
    let ended = futures::executor::block_on(watch.next());
    assert_eq!(ended.unwrap_err().kind, ErrorKind::Unreachable);
    assert_eq!(view.snapshot().len(), 1);
}

#[test]
fn bytes_of_the_window_are_given_back() {
    let window = Window { events: 100, ..Window::default() };
    let (view, mut feed) = View::new(window, Arc::new(crate::AsStored));
    let value = Bytes::from(vec![0_u8; 1000]);
    let weak = {
        drop(feed.apply([change(1, "/r/a", Some("first"))]));
        Arc::downgrade(&view.snapshot().get("/r/a").unwrap())
    };
    let _quiet = view.watch("/r/", Revision::ZERO).unwrap();
    for revision in 2..1000 {
        let operation = Operation::Put { key: "/r/a".into(), value: value.clone().into(), expires: None };
        drop(feed.apply([Change { revision: Revision(revision), operation, written: None }]));
    }
    assert!(weak.upgrade().is_none(), "neither history nor buckets nor checkpoints hold what left the window");
    assert_eq!(view.state.load().history.len(), 100);
}

fn found(snapshot: &Snapshot, word: &str, prefix: &str, after: Option<&str>) -> Vec<String> {
    let term = Term::new(("word", word, ""));
    snapshot.find(term, prefix, after).map(|entry| entry.key.to_string()).collect()
}

#[test]
fn objects_are_found_by_the_terms_they_have_now() {
    let (view, mut feed) = view();
    let put = |revision, key: &str, value| change(revision, key, Some(value));
    drop(feed.apply([put(1, "/r/a/1", "x y"), put(2, "/r/a/2", "x"), put(3, "/r/b/1", "x"), put(4, "/s/1", "x")]));
    drop(feed.apply([put(5, "/r/a/1", "y z"), change(6, "/r/b/1", None)]));
    let now = view.snapshot();
    assert_eq!(found(&now, "x", "/r/", None), ["/r/a/2"]);
    assert_eq!(found(&now, "y", "/r/", None), ["/r/a/1"]);
    assert_eq!(found(&now, "z", "", None), ["/r/a/1"]);
    assert_eq!(found(&now, "x", "", None), ["/r/a/2", "/s/1"]);
    assert_eq!(found(&now, "w", "", None), [""; 0]);
}

#[test]
fn an_older_state_finds_what_it_had() {
    let (view, mut feed) = view();
    let put = |revision, key: &str, value| change(revision, key, Some(value));
    drop(feed.apply([put(1, "/r/a/1", "x"), put(2, "/r/a/2", "x"), put(3, "/r/b/1", "x")]));
    drop(feed.apply([put(4, "/r/a/1", "y"), change(5, "/r/b/1", None), put(6, "/r/a/3", "x")]));
    let then = view.snapshot_at(Revision(3)).unwrap();
    assert_eq!(found(&then, "x", "/r/", None), ["/r/a/1", "/r/a/2", "/r/b/1"]);
    assert_eq!(found(&then, "x", "/r/a/", Some("/r/a/1")), ["/r/a/2"]);
    assert_eq!(found(&then, "x", "/r/a/", Some("/r/b")), [""; 0]);
    assert_eq!(found(&then, "y", "/r/", None), [""; 0]);
}

/// A change that stores what is no text.
fn garble(revision: u64, key: &str) -> Change {
    let operation = Operation::Put { key: key.into(), value: vec![0xff].into(), expires: None };
    Change { revision: Revision(revision), operation, written: None }
}

fn unreadable(view: &View) -> Vec<(String, u64)> {
    let state = view.snapshot();
    state.unreadable("/r/").map(|object| (object.key.to_string(), object.mod_revision.0)).collect()
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_served() {
    let (view, mut feed) = view();
    let put = |revision, key: &str, value| change(revision, key, Some(value));
    drop(feed.apply([
        put(1, "/r/a", "a"),
        put(2, "/r/b", "b"),
        garble(3, "/r/a"),
        garble(4, "/r/new"),
        garble(5, "/s/c"),
    ]));
    let now = view.snapshot();
    assert_eq!(now.range("", None).map(|entry| &*entry.key).collect::<Vec<_>>(), ["/r/b"]);
    assert_eq!(unreadable(&view), [("/r/a".to_owned(), 3), ("/r/new".to_owned(), 4)]);
    assert_eq!(found(&now, "a", "", None), [""; 0]);
}

#[test]
fn watchers_of_an_unreadable_object_see_its_next_change() {
    let (view, mut feed) = view();
    let mut watch = view.watch("/r/", Revision::ZERO).unwrap();
    let put = |revision, key: &str, value| change(revision, key, Some(value));
    drop(feed.apply([put(1, "/r/a", "a"), garble(2, "/r/a"), put(3, "/r/a", "c"), garble(4, "/r/a")]));
    drop(feed.apply([garble(5, "/r/new"), change(6, "/r/new", None), change(7, "/r/a", None)]));
    let batch = watch.try_next().unwrap().unwrap();
    let changed = &batch.events()[1];
    assert_eq!(changed.prev.as_ref().unwrap().mod_revision, Revision(1), "it was there all the time");
    assert_eq!(values(&mut view.watch("/r/", Revision::ZERO).unwrap()), ["a#1", "c#3", "c#7"]);
    assert_eq!(unreadable(&view), []);
}

#[test]
fn keys_are_counted_where_they_lie_at_every_revision() {
    let (view, mut feed) = view();
    let key = |n: u64| match n % 4 {
        0 => format!("/registry/nodes/{}", n % 7),
        _ => format!("/registry/pods/ns{}/{}", n % 3, n % 11),
    };
    for revision in 1..=200 {
        let value = (revision % 3 > 0).then_some("v");
        drop(feed.apply([change(revision, &key(revision * revision), value)]));
    }
    let prefixes =
        ["", "/registry/", "/registry/p", "/registry/pods/", "/registry/pods/ns1/", "/registry/nodes/", "/x/y/z/"];
    for revision in (0..=200).step_by(10) {
        let snapshot = view.snapshot_at(Revision(revision)).unwrap();
        for prefix in prefixes {
            assert_eq!(snapshot.count(prefix), snapshot.range(prefix, None).count(), "{prefix} at {revision}");
        }
    }
    assert!(view.snapshot().count("/registry/pods/") > 5);
}

#[test]
fn what_was_missed_is_told_now_with_the_revision_it_was_written_at() {
    let (view, mut feed) = view();
    drop(feed.apply([change(4, "/r/a", Some("a"))]));
    let mut watch = view.watch("/r/", Revision(4)).unwrap();
    let written = Written { create_revision: Revision(1), mod_revision: Revision(2), version: 2 };
    let missed = Change { written: Some(written), ..change(6, "/r/missed", Some("m")) };
    drop(feed.apply([change(5, "/r/a", Some("b")), missed]));
    assert_eq!(values(&mut watch), ["b#5", "m#2"]);
    let entry = view.snapshot().get("/r/missed").unwrap();
    assert_eq!((entry.create_revision, entry.mod_revision, entry.version), (Revision(1), Revision(2), 2));
    assert!(view.snapshot_at(Revision(5)).unwrap().get("/r/missed").is_none(), "an older state stays what it was");
}
