use serde_json::json;

use super::*;
use crate::framework::{NodeChange, PodChange};
use crate::objects::Node;
use crate::plugins::{Handle, Preempting, default_profile};

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    queue: SchedulingQueue,
    profile: Arc<Profile>,
    preempting: Preempting,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        let preempting = Preempting::default();
        let profile = Arc::new(default_profile(&Handle { client: None, preempting: preempting.clone() }));
        let queue = SchedulingQueue::new(profile.clone(), SECOND, 10 * SECOND);
        Self { queue, profile, preempting, now: Instant::now() }
    }

    fn plugins(&self, name: &str) -> PluginSet {
        let mut set = PluginSet::default();
        set.insert(self.profile.index(name).unwrap());
        set
    }

    fn add(&mut self, pod: &Arc<Pod>) {
        self.queue.add(pod.clone(), self.now);
    }

    fn pop(&mut self) -> Option<String> {
        self.queue.pop(self.now).map(|queued| queued.pod.name().to_owned())
    }

    fn fail(&mut self, plugin: &str) {
        let queued = self.queue.pop(self.now).unwrap();
        let plugins = self.plugins(plugin);
        self.queue.add_unschedulable(queued, plugins, self.now);
    }
}

fn pod_with(name: &str, spec: serde_json::Value) -> Arc<Pod> {
    let pod = json!({"metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}")}, "spec": spec});
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn pod(name: &str, priority: i32) -> Arc<Pod> {
    pod_with(name, json!({"priority": priority}))
}

fn node() -> Node {
    serde_json::from_value(json!({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "1", "pods": "10"}}}))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn higher_priority_goes_first_then_the_older() {
    let mut test = Fixture::new();
    for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5)] {
        test.add(&pod(name, priority));
        test.now += SECOND;
    }
    assert_eq!(std::iter::from_fn(|| test.pop()).collect::<Vec<_>>(), ["b", "d", "a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_gated_pod_enters_when_its_last_gate_opens() {
    let mut test = Fixture::new();
    let gated = pod_with("a", json!({"schedulingGates": [{"name": "g"}]}));
    test.add(&gated);
    assert_eq!((test.pop(), test.queue.pending().gated), (None, 1));
    let open = pod("a", 0);
    let change = PodChange::between(&gated, &open);
    assert!(change.gates_eliminated);
    assert!(test.queue.update(&open, Some(&ClusterEvent::TargetPodUpdate(&open, change)), test.now));
    assert_eq!(test.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn an_event_wakes_only_pods_of_plugins_it_may_help() {
    let mut test = Fixture::new();
    test.add(&pod("taints", 0));
    test.fail("TaintToleration");
    test.add(&pod("ports", 0));
    test.fail("NodePorts");
    test.now += 2 * SECOND;
    let (old, new) = (node(), node());
    let change = NodeChange { taints: true, ..NodeChange::default() };
    test.queue.move_all(&ClusterEvent::NodeUpdate(&old, &new, change), test.now);
    assert_eq!(test.pop().as_deref(), Some("taints"));
    assert_eq!(test.pop(), None);
    assert_eq!(test.queue.pending().unschedulable, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_in_backoff_is_tried_early_only_when_nothing_else_waits() {
    let mut test = Fixture::new();
    test.add(&pod("a", 0));
    test.fail("NodeResourcesFit");
    test.queue.move_all(&ClusterEvent::NodeAdd(&node()), test.now);
    assert_eq!(test.queue.pending().backoff, 1);
    test.add(&pod("b", 0));
    assert_eq!(test.pop().as_deref(), Some("b"));
    assert_eq!(test.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn errors_back_off_from_one_to_ten_seconds_and_are_not_cut_short() {
    let mut test = Fixture::new();
    test.add(&pod("a", 0));
    for wait in [1, 2, 4, 8, 10, 10] {
        let queued = test.queue.pop(test.now).unwrap();
        test.queue.add_failed(queued, test.now);
        assert!(!test.queue.is_ready());
        assert_eq!(test.queue.next_flush(), Some(test.now + wait * SECOND));
        test.now += wait * SECOND;
        test.queue.flush(test.now - Duration::from_millis(1));
        assert!(!test.queue.is_ready());
        test.queue.flush(test.now);
    }
    assert_eq!(test.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn after_five_minutes_a_pod_is_tried_again_anyway() {
    let mut test = Fixture::new();
    test.add(&pod("a", 0));
    test.fail("NodePorts");
    assert_eq!(test.queue.next_flush(), Some(test.now + MAX_IN_UNSCHEDULABLE));
    test.now += MAX_IN_UNSCHEDULABLE;
    test.queue.flush(test.now);
    assert_eq!(test.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_leaves_every_queue() {
    let mut test = Fixture::new();
    for name in ["a", "b", "c"] {
        test.add(&pod(name, 0));
    }
    test.fail("NodePorts");
    let queued = test.queue.pop(test.now).unwrap();
    test.queue.add_failed(queued, test.now);
    for name in ["a", "b", "c"] {
        test.queue.delete(&format!("uid-{name}"));
    }
    assert_eq!(test.queue.pending(), Pending::default());
    assert_eq!(test.queue.next_flush(), None);
}

#[tokio::test(start_paused = true)]
async fn a_preempting_pod_waits_for_its_victims_deletions_to_be_asked_for() {
    let mut test = Fixture::new();
    test.add(&pod("a", 10));
    test.fail("NodeResourcesFit");
    test.preempting.begin("uid-a");
    test.now += 2 * SECOND;
    test.queue.move_all(&ClusterEvent::AssignedPodDelete(&pod("victim", 0)), test.now);
    assert_eq!((test.pop(), test.queue.pending().gated), (None, 1));
    test.preempting.end("uid-a");
    test.queue.activate("uid-a");
    assert_eq!(test.pop().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_promise_made_here_outlives_updates_that_do_not_show_it_yet() {
    let mut test = Fixture::new();
    let waiting = pod("a", 10);
    test.add(&waiting);
    test.queue.nominator.add(&waiting, "n");
    assert!(test.queue.update(&pod("a", 10), None, test.now));
    assert_eq!(test.queue.nominator.node_of("uid-a"), Some("n"));
    test.queue.delete("uid-a");
    assert!(test.queue.nominator.is_empty() && test.queue.nominator.on("n").is_empty());
}
