use futures::FutureExt;

use super::*;

fn take(queue: &WorkQueue<&'static str>) -> Option<&'static str> {
    queue.get().now_or_never().flatten()
}

#[tokio::test]
async fn a_key_added_twice_comes_once() {
    let queue = WorkQueue::new();
    queue.add("a");
    queue.add("a");
    assert_eq!(take(&queue), Some("a"));
    assert_eq!(take(&queue), None);
}

#[tokio::test]
async fn a_key_added_while_worked_on_comes_again_after_done_only() {
    let queue = WorkQueue::new();
    queue.add("a");
    let key = queue.get().await.unwrap();
    queue.add("a");
    assert_eq!(take(&queue), None);
    queue.done(&key);
    assert_eq!(take(&queue), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn failures_double_the_wait_until_forgotten() {
    let queue = WorkQueue::new();
    for expected in [5, 10, 20] {
        queue.add_rate_limited("a");
        let before = Instant::now();
        let key = queue.get().await.unwrap();
        assert_eq!(before.elapsed().as_millis(), expected);
        queue.done(&key);
    }
    queue.forget(&"a");
    assert_eq!(queue.failures(&"a"), 0);
}

#[tokio::test(start_paused = true)]
async fn waits_after_failures_are_as_told() {
    let queue = WorkQueue::new();
    queue.wait_after_failures(Duration::from_secs(1), Duration::from_secs(3));
    for expected in [1, 2, 3, 3] {
        queue.add_rate_limited("a");
        let before = Instant::now();
        let key = queue.get().await.unwrap();
        assert_eq!(before.elapsed().as_secs(), expected);
        queue.done(&key);
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_delay_wakes_a_worker_that_waits_for_a_later_one() {
    let queue = WorkQueue::new();
    queue.add_after("late", Duration::from_secs(60));
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.get().await }
    });
    tokio::task::yield_now().await;
    queue.add_after("soon", Duration::from_secs(1));
    assert_eq!(waiting.await.unwrap(), Some("soon"));
    assert_eq!(queue.get().await, Some("late"));
}

#[tokio::test]
async fn shut_down_ends_every_worker() {
    let queue: WorkQueue<&str> = WorkQueue::new();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.get().await })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.shut_down();
    for worker in workers {
        assert_eq!(worker.await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_done_with_keys_is_counted() {
    let registry = component::metrics::Registry::new();
    let metrics = QueueMetrics::register(&registry).unwrap();
    let queue = WorkQueue::measured("things", &metrics);
    for key in ["a", "b", "a"] {
        queue.add(key);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let key = queue.get().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    queue.add_rate_limited(key);
    queue.done(&key);
    let text = component::metrics::encode([&registry]).unwrap();
    for line in [
        "workqueue_adds_total{name=\"things\"} 2",
        "workqueue_depth{name=\"things\"} 1",
        "workqueue_retries_total{name=\"things\"} 1",
        "workqueue_queue_duration_seconds_sum{name=\"things\"} 2",
        "workqueue_work_duration_seconds_sum{name=\"things\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
