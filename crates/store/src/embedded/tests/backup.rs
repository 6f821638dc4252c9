//! Backups are whole, and putting one back never gives a revision twice.

use std::fs;

use super::*;
use crate::testing::{WIDE, after, delete, kind, open as open_store, put, show, soon};

async fn filled() -> (Directory, Vec<String>) {
    let directory = directory();
    let store = open_store(&directory);
    for n in 0..50 {
        put(&store, &format!("/r/{}", n % 20), &n.to_string()).await;
    }
    store.compact(after(25)).await.unwrap();
    delete(&store, "/r/3").await;
    let all = show(&store.snapshot(), "");
    store.close().await.unwrap();
    (directory, all)
}

#[tokio::test]
async fn backup_is_a_store_with_its_window() {
    let (directory, all) = filled().await;
    let elsewhere = TempDir::new().unwrap();
    let file = elsewhere.path().join(FILE);
    let expected = Summary { objects: 19, revision: after(51), compacted: after(25) };
    assert_eq!(backup(directory.0.path(), &file).unwrap(), expected);
    assert_eq!(check(elsewhere.path()).unwrap(), expected);
    assert_eq!(check(directory.0.path()).unwrap(), expected);
    let copy = Directory(elsewhere);
    let store = open_store(&copy);
    assert_eq!(show(&store.snapshot(), ""), all);
    assert_eq!(soon(store.watch("/r/", after(50)).unwrap().next()).await.unwrap().events().len(), 1);
    assert_eq!(kind(backup(copy.0.path(), &directory.0.path().join("x"))), ErrorKind::Locked);
}

#[tokio::test]
async fn restored_store_begins_at_a_revision_nobody_has_seen() {
    let (directory, all) = filled().await;
    let dir = directory.0.path();
    let file = dir.join("backup");
    let backed_up = backup(dir, &file).unwrap();
    let store = open_store(&directory);
    for n in 0..10 {
        put(&store, "/r/later", &n.to_string()).await;
    }
    let newest = store.revision();
    assert_eq!(kind(restore(&file, dir)), ErrorKind::Locked);
    store.close().await.unwrap();

    let damaged = b"damaged".to_vec();
    fs::write(dir.join(FILE), &damaged).unwrap();
    let restored = restore(&file, dir).unwrap();
    assert!(restored.revision > newest && restored.objects == backed_up.objects);
    assert_eq!(fs::read(dir.join("store.redb.replaced-1")).unwrap(), damaged);
    for _ in 0..2 {
        let store = open_store(&directory);
        assert_eq!(show(&store.snapshot(), ""), all);
        assert_eq!(kind(store.watch("/r/", newest)), ErrorKind::Compacted);
        assert!(put(&store, "/r/1", "new").await > restored.revision);
        delete(&store, "/r/1").await;
        store.commit(Txn::create("/r/1", "1", None)).await.unwrap();
        // As it was, for the second round.
        store.close().await.unwrap();
        restore(&file, dir).unwrap();
    }
}

#[tokio::test]
async fn damaged_or_missing_backup_changes_nothing() {
    let (directory, all) = filled().await;
    let dir = directory.0.path();
    let file = dir.join("backup");
    backup(dir, &file).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    // The first that is seen from the end: the journal at the beginning has been emptied.
    let middle = bytes.windows(4).rposition(|window| window == b"/r/1").unwrap();
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = restore(&file, dir).unwrap_err();
    assert_eq!((error.kind, error.key.as_deref()), (ErrorKind::Corrupt, file.to_str()));
    assert_eq!(kind(restore(&dir.join("missing"), dir)), ErrorKind::Unreachable);
    fs::write(&file, b"").unwrap();
    assert_eq!(kind(restore(&file, dir)), ErrorKind::Corrupt);
    assert_eq!(kind(backup(dir, &file)), ErrorKind::Unreachable, "never over another file");
    assert_eq!(kind(check(&dir.join("nowhere"))), ErrorKind::Unreachable);
    assert_eq!(show(&Backend::open(&directory, WIDE).unwrap().snapshot(), ""), all);
}
