//! What may happen to a disk: full, damaged, failing, without power, taken.

use std::fs;

use super::platter::Coin;
use super::*;
use crate::testing::{WIDE, delete, kind, open as open_store, put, show, text};

#[tokio::test]
async fn full_disk_refuses_writes_and_takes_them_again_later() {
    let platter = Platter::new();
    let store = open_store(&platter);
    let big = "x".repeat(20_000);
    put(&store, "/r/before", "1").await;
    for round in 0..3 {
        platter.limit(Some(20));
        let mut acknowledged = 0;
        let error = loop {
            match store.commit(Txn::create(format!("/r/{round}/{acknowledged}"), big.clone(), None)).await {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
            assert!(acknowledged < 1000, "the disk never fills");
        };
        assert_eq!(error.kind, ErrorKind::NoSpace, "{error}");
        assert!(error.to_string().starts_with("no space left on the disk of /platter/store.redb"), "{error}");
        let revision = store.revision();
        assert_eq!(
            kind(store.commit(Txn::create(format!("/r/{round}/again"), big.clone(), None)).await),
            ErrorKind::NoSpace
        );
        assert_eq!(store.snapshot().count(&format!("/r/{round}/")), acknowledged, "refused writes do not show");
        assert_eq!(store.revision(), revision);
        platter.limit(None);
        assert_eq!(put(&store, &format!("/r/{round}/after"), "1").await, revision.next());
    }
    let before = show(&store.snapshot(), "");
    store.close().await.unwrap();
    assert_eq!(show(&open_store(&platter).snapshot(), ""), before);
}

#[tokio::test]
async fn failed_sync_ends_writing_and_keeps_reading() {
    let platter = Platter::new();
    let store = open_store(&platter);
    put(&store, "/r/a", "1").await;
    platter.fail_sync();
    // The first may have reached the disk; the second is not tried.
    for expected in [ErrorKind::Unreachable, ErrorKind::SyncFailed] {
        let error = store.commit(Txn::create("/r/b", "1", None)).await.unwrap_err();
        assert_eq!(error.kind, expected);
        assert!(error.to_string().contains("/platter/store.redb"), "{error}");
    }
    assert_eq!(kind(store.tick(Timestamp(1)).await), ErrorKind::SyncFailed);
    assert_eq!(show(&store.snapshot(), ""), ["/r/a=1@1"]);
}

#[tokio::test]
async fn commits_are_whole_or_absent_after_a_power_failure() {
    let mut coin = Coin(18);
    let (mut before, mut after) = (0, 0);
    for _ in 0..8 {
        let platter = Platter::new();
        let store = Backend::open(&platter, Window { events: 20, ..WIDE }).unwrap();
        put(&store, "/r/first", "1").await;
        platter.record_power_failures(coin.clone());
        let mut states = vec![show(&store.snapshot(), "")];
        for n in 0..40 {
            platter.acknowledged(n);
            let value = n.to_string().repeat(1 + coin.below(3000));
            if n % 5 == 4 {
                delete(&store, &format!("/r/{}", (n - 1) % 7)).await;
            } else {
                put(&store, &format!("/r/{}", n % 7), &value).await;
            }
            states.push(show(&store.snapshot(), ""));
        }
        store.compact(store.revision()).await.unwrap();
        for (acknowledged, left) in platter.power_failures() {
            let reopened = open_store(&left);
            let found = show(&reopened.snapshot(), "");
            // What was being synced when the power failed was not acknowledged yet.
            if found == states[acknowledged] {
                before += 1;
            } else {
                assert_eq!(Some(&found), states.get(acknowledged + 1), "after {acknowledged} acknowledged commits");
                after += 1;
            }
        }
    }
    assert!(before > 100, "{before} {after}");
}

/// The image of a closed store with some history in it.
async fn image() -> (Vec<u8>, Vec<String>) {
    let platter = Platter::new();
    let store = open_store(&platter);
    for n in 0..200 {
        put(&store, &format!("/r/pods/default/{}", n % 50), &n.to_string().repeat(100)).await;
    }
    for n in 0..10 {
        delete(&store, &format!("/r/pods/default/{n}")).await;
    }
    let all = show(&store.snapshot(), "");
    store.close().await.unwrap();
    (platter.bytes(), all)
}

#[tokio::test]
async fn damaged_file_is_refused_or_does_not_matter() {
    let (image, all) = image().await;
    let mut coin = Coin(37);
    let mut refused = 0;
    for _ in 0..400 {
        let mut damaged = image.clone();
        let at = coin.below(damaged.len());
        for byte in &mut damaged[at..].iter_mut().take(1 + coin.below(64)) {
            *byte ^= u8::try_from(1 + coin.below(255)).unwrap();
        }
        match Backend::open(&Platter::with(damaged), WIDE) {
            Ok(store) => assert_eq!(show(&store.snapshot(), ""), all, "damaged at {at} and served"),
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind, ErrorKind::Corrupt, "{error:?}");
                let said = error.to_string();
                assert!(said.contains("/platter/store.redb") && said.contains("krab store restore"), "{said}");
            }
        }
    }
    assert!(refused > 0, "the damage never hit anything");
}

#[test]
fn truncated_foreign_and_empty_files_are_refused_untouched() {
    let directory = directory();
    let path = directory.0.path().join(FILE);
    drop(open(Config::new(directory.0.path())).unwrap());
    let whole = loop {
        // The writer gives the directory back on its own time when a store is dropped.
        match open(Config::new(directory.0.path())) {
            Ok(store) => {
                futures::executor::block_on(store.close()).unwrap();
                break fs::read(&path).unwrap();
            }
            Err(error) => assert_eq!(error.kind, ErrorKind::Locked),
        }
    };
    for content in [&b""[..], b"not a store at all", &whole[..whole.len() / 2], &whole[..100], &[0; 1 << 16]] {
        fs::write(&path, content).unwrap();
        let error = open(Config::new(directory.0.path())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Corrupt, "{} bytes: {error}", content.len());
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content, "left as it was");
    }
}

#[tokio::test]
async fn taken_directory_is_locked() {
    let directory = directory();
    let store = open_store(&directory);
    let error = Backend::open(&directory, WIDE).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Locked);
    let said = error.to_string();
    assert!(said.contains(directory.0.path().to_str().unwrap()), "{said}");
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    put(&store, "/r/a", "1").await;
    store.close().await.unwrap();
    assert_eq!(text(&open_store(&directory).snapshot().get("/r/a").unwrap().value), "1");
}

#[test]
fn unusable_directory_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(Config::new(file.path().join("sub"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn half_made_store_is_made_again() {
    let directory = directory();
    fs::write(directory.0.path().join("store.redb.new"), b"cut off").unwrap();
    let store = open(Config::new(directory.0.path())).unwrap();
    assert_eq!(store.revision(), Revision::FIRST);
}
