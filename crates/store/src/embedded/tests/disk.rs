//! What may happen to a disk: full, damaged, failing, without power, taken.

use std::fs;

use super::*;
use crate::testing::{WIDE, delete, kind, open as open_store, put, show, text};

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

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
    for _ in 0..2 {
        let error = store.commit(Txn::create("/r/b", "1", None)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.to_string().contains("/platter/store.redb"), "{error}");
    }
    assert_eq!(show(&store.snapshot(), ""), ["/r/a=1@1"]);
}

#[tokio::test]
async fn acknowledged_writes_survive_a_power_failure() {
    let mut random = random(18);
    for _ in 0..40 {
        let platter = Platter::new();
        let store = Backend::open(&platter, Window { events: 20, ..WIDE }).unwrap();
        let writes = 1 + random() % 60;
        for n in 0..writes {
            put(&store, &format!("/r/{}", n % 7), &n.to_string()).await;
        }
        let before = show(&store.snapshot(), "");
        // The last one was synced when it was answered: whatever comes after may be lost or torn, in any mixture.
        for _ in 0..5 {
            let left = platter.after_power_failure(|| random().is_multiple_of(2));
            let reopened = open_store(&left);
            assert_eq!(show(&reopened.snapshot(), ""), before);
            assert_eq!(reopened.revision(), store.revision());
        }
        store.close().await.unwrap();
    }
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
    let mut random = random(37);
    let mut refused = 0;
    for _ in 0..400 {
        let mut damaged = image.clone();
        let at = usize::try_from(random()).unwrap() % damaged.len();
        for byte in &mut damaged[at..].iter_mut().take(1 + usize::try_from(random()).unwrap() % 64) {
            *byte ^= u8::try_from(1 + random() % 255).unwrap();
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
    assert_eq!(store.revision(), Revision::ZERO);
}
