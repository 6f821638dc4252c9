//! Claims about watching.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;

use super::*;

pub(crate) async fn watch_from_any_revision_has_no_gap_and_no_duplicate(backend: &impl Backend) {
    let store = open(backend);
    super::reads::churn(&store, 120).await;
    let mut from_start = store.watch("/r/", Revision::FIRST).unwrap();
    let all = drain(&mut from_start, &store).await;
    assert_eq!(all.len(), 120);
    for after in (0..=120).step_by(17) {
        let mut watch = store.watch("/r/", super::after(after)).unwrap();
        assert_eq!(drain(&mut watch, &store).await, all[usize::try_from(after).unwrap()..]);
    }
    put(&store, "/r/new", "1").await;
    assert_eq!(drain(&mut from_start, &store).await, ["+/r/new=1@121"]);
    assert!(from_start.try_next().unwrap().is_none());
}

pub(crate) async fn watch_sees_its_prefix_only(backend: &impl Backend) {
    let store = open(backend);
    put(&store, "/r/pods/a", "1").await;
    let mut watches: Vec<_> =
        ["", "/r/pods/", "/r/pods/ns/", "/r/podsets/"].map(|prefix| store.watch(prefix, after(1)).unwrap()).into();
    put(&store, "/r/pods/ns/a", "1").await;
    put(&store, "/r/podsets/a", "1").await;
    put(&store, "/r/pods/b", "1").await;
    let mut seen = Vec::new();
    for watch in &mut watches {
        seen.push(drain(watch, &store).await.join(" "));
    }
    assert_eq!(
        seen,
        [
            "+/r/pods/ns/a=1@2 +/r/podsets/a=1@3 +/r/pods/b=1@4",
            "+/r/pods/ns/a=1@2 +/r/pods/b=1@4",
            "+/r/pods/ns/a=1@2",
            "+/r/podsets/a=1@3",
        ]
    );
}

pub(crate) async fn watch_of_a_partial_name_sees_what_starts_with_it(backend: &impl Backend) {
    let store = open(backend);
    let mut watch = store.watch("/r/pods/web", Revision::FIRST).unwrap();
    for key in ["/r/pods/web", "/r/pods/we", "/r/pods/web-1", "/r/pods/db", "/r/pods/web/x"] {
        put(&store, key, "1").await;
    }
    let expected = ["+/r/pods/web=1@1", "+/r/pods/web-1=1@3", "+/r/pods/web/x=1@5"];
    assert_eq!(drain(&mut watch, &store).await, expected);
    let mut late = store.watch("/r/pods/web", Revision::FIRST).unwrap();
    assert_eq!(drain(&mut late, &store).await, expected);
}

pub(crate) async fn revision_is_never_split(backend: &impl Backend) {
    let store = open(backend);
    let mut watches = vec![store.watch("/r/", Revision::FIRST).unwrap()];
    for n in 0..3 {
        let put =
            |i: usize| Operation::Put { key: format!("/r/{i:04}").into(), value: bytes(&n.to_string()), expires: None };
        store.commit(Txn { compare: vec![], operations: (0..3000).map(put).collect() }).await.unwrap();
    }
    watches.push(store.watch("/r/", Revision::FIRST).unwrap());
    watches.push(store.watch("/r/1", Revision::FIRST).unwrap());
    for (watch, expected) in watches.iter_mut().zip([3000, 3000, 1000]) {
        let mut counts = BTreeMap::new();
        while watch.progress() < store.revision() {
            let batch = soon(watch.next()).await.unwrap();
            for revision in batch.events().iter().map(|event| event.revision) {
                assert!(counts.insert((revision, batch.revision), 0).is_none_or(|_| true));
            }
            let mut per_revision = BTreeMap::<_, usize>::new();
            for event in batch.events() {
                *per_revision.entry(event.revision).or_default() += 1;
            }
            assert!(per_revision.values().all(|count| *count == expected), "{per_revision:?}");
        }
        assert_eq!(counts.len(), 3);
    }
}

pub(crate) async fn deletion_carries_the_last_value(backend: &impl Backend) {
    let store = open(backend);
    put(&store, "/r/a", "1").await;
    put(&store, "/r/a", "2").await;
    let mut watch = store.watch("/r/", after(2)).unwrap();
    delete(&store, "/r/a").await;
    let batch = soon(watch.next()).await.unwrap();
    let event = &batch.events()[0];
    assert_eq!((event.kind, event.revision, batch.revision), (EventKind::Delete, after(3), after(3)));
    assert_eq!((text(&event.entry.value).as_str(), event.entry.mod_revision), ("2", after(3)));
    let prev = event.prev.as_ref().unwrap();
    assert_eq!((text(&prev.value).as_str(), prev.mod_revision), ("2", after(2)));
}

pub(crate) async fn progress_is_never_ahead_of_events(backend: &impl Backend) {
    let store = open(backend);
    let mut watch = store.watch("/r/a/", Revision::FIRST).unwrap();
    let mine = put(&store, "/r/a/1", "1").await;
    put(&store, "/r/b/1", "1").await;
    assert!(watch.progress() < mine);
    assert_eq!(soon(watch.next()).await.unwrap().events().len(), 1);
    assert_eq!(watch.progress(), store.revision());
}

pub(crate) async fn quiet_watch_makes_progress(backend: &impl Backend) {
    let store = open(backend);
    let mut watch = store.watch("/r/quiet/", Revision::FIRST).unwrap();
    for _ in 0..10 {
        let revision = put(&store, "/r/busy/1", "1").await;
        assert_eq!(watch.progress(), revision);
        assert!(watch.try_next().unwrap().is_none());
    }
}

pub(crate) async fn idle_watch_outlives_the_window(backend: &impl Backend) {
    let store = backend.open(Window { events: 10, ..WIDE }).unwrap();
    let mut idle = store.watch("/r/quiet/", Revision::FIRST).unwrap();
    for n in 0..100 {
        put(&store, "/r/busy/1", &n.to_string()).await;
    }
    assert!(store.compacted() >= after(90));
    let last = put(&store, "/r/quiet/1", "1").await;
    assert_eq!(soon(idle.next()).await.unwrap().revision, last);
}

pub(crate) async fn watch_is_never_ahead_of_the_snapshot(backend: &impl Backend) {
    let store = Arc::new(open(backend));
    let mut watch = store.watch("/r/", Revision::FIRST).unwrap();
    let writer = store.clone();
    let writing = tokio::task::spawn_blocking(move || {
        futures::executor::block_on(async {
            for n in 0..200 {
                put(&writer, "/r/a", &n.to_string()).await;
            }
        });
    });
    let mut seen = 0;
    while seen < 200 {
        let batch = soon(watch.next()).await.unwrap();
        seen += batch.events().len();
        let shown = store.snapshot().get("/r/a").unwrap().mod_revision;
        assert!(shown >= batch.revision, "{shown} {}", batch.revision);
    }
    writing.await.unwrap();
}

pub(crate) async fn many_watches_under_load_see_the_same(backend: &impl Backend) {
    const WRITES: usize = 60;
    const WRITERS: usize = 8;
    let store = Arc::new(open(backend));
    let watch = |n: usize| {
        let mut watch = store.watch("/r/", Revision::FIRST).unwrap();
        tokio::task::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < WRITES * WRITERS {
                if n.is_multiple_of(3) {
                    tokio::task::yield_now().await;
                }
                seen.extend(soon(watch.next()).await.unwrap().events().iter().map(|event| event.revision.0));
            }
            seen
        })
    };
    let early: Vec<_> = (0..70).map(watch).collect();
    let writing = (0..WRITERS).map(|w| {
        let store = store.clone();
        tokio::task::spawn(async move {
            for n in 0..WRITES {
                put(&store, &format!("/r/{w}"), &n.to_string()).await;
            }
        })
    });
    let writing: Vec<_> = writing.collect();
    let late: Vec<_> = (70..140).map(watch).collect();
    for writer in writing {
        writer.await.unwrap();
    }
    let expected: Vec<u64> = (1..=(WRITES * WRITERS) as u64).map(|n| after(n).0).collect();
    for watch in early.into_iter().chain(late) {
        assert_eq!(watch.await.unwrap(), expected);
    }
}

pub(crate) async fn dropped_next_loses_nothing(backend: &impl Backend) {
    let store = open(backend);
    let mut watch = store.watch("/r/", Revision::FIRST).unwrap();
    assert!(watch.next().now_or_never().is_none());
    put(&store, "/r/a", "1").await;
    {
        let next = watch.next();
        drop(next);
    }
    assert_eq!(show_batch(&soon(watch.next()).await.unwrap()), ["+/r/a=1@1"]);
    assert!(watch.next().now_or_never().is_none());
    put(&store, "/r/a", "2").await;
    assert_eq!(show_batch(&soon(watch.next()).await.unwrap()), ["+/r/a=2@2"]);
}
