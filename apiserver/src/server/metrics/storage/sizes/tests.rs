use store::{Txn, Window};

use super::*;

async fn put(store: &Store, key: &str, value: &str) {
    let txn = match store.snapshot().get(key) {
        Some(entry) => Txn::update(key, value.to_owned(), entry.mod_revision, None),
        None => Txn::create(key, value.to_owned(), None),
    };
    store.commit(txn).await.expect("nobody else writes");
}

fn prefixes() -> impl Iterator<Item = String> {
    ["/r/a/", "/r/b/c/", "/r/bb/"].into_iter().map(str::to_owned)
}

#[tokio::test]
async fn changes_are_added_up_to_what_a_walk_would_find() {
    let store = store::embedded::memory(Window::default(), std::sync::Arc::new(store::AsStored)).unwrap();
    let mut sizes = Sizes::default();
    let look = |sizes: &mut Sizes| {
        let now = store.snapshot();
        sizes.follow(&store, &now, prefixes());
        for prefix in prefixes() {
            let walked: usize = now.range(&prefix, None).map(|entry| entry.value.len()).sum();
            assert_eq!(sizes.of(&prefix), walked, "{prefix}");
        }
        now.revision()
    };
    put(&store, "/r/a/x", "one").await;
    put(&store, "/r/other/x", "unseen").await;
    look(&mut sizes);
    assert_eq!(sizes.of("/r/a/"), 3);
    put(&store, "/r/a/x", "longer").await;
    put(&store, "/r/a/y", "two").await;
    put(&store, "/r/b/c/x", "three").await;
    put(&store, "/r/bb/x", "four").await;
    look(&mut sizes);
    assert_eq!([sizes.of("/r/a/"), sizes.of("/r/b/c/"), sizes.of("/r/bb/")], [9, 5, 4]);
    let gone = store.snapshot().get("/r/a/y").unwrap();
    store.commit(Txn::delete("/r/a/y", gone.mod_revision)).await.unwrap();
    let seen = look(&mut sizes);
    assert_eq!(sizes.of("/r/a/"), 6);
    put(&store, "/r/a/z", "five").await;
    store.compact(store.revision()).await.unwrap();
    assert!(store.watch("", seen).is_err(), "the window no longer reaches back");
    look(&mut sizes);
}
