use std::sync::Arc;

use api::meta;
use json::{Value, json};

use super::dispatch::{Arrival, deal};
use super::shares::{Limits, Share, limits};
use super::*;
use crate::endpoints::query::Query;
use crate::registry::bootstrap;

fn share(shares: u32, lendable_percent: u32, borrowing_limit_percent: Option<u32>) -> Share {
    Share { shares, lendable_percent, borrowing_limit_percent }
}

/// A level that is a part of all seats, with queues of two.
fn queueing() -> Option<Queueing> {
    Some(Queueing { queues: 4, hand_size: 2, queue_length_limit: 2 })
}

fn dispatcher(levels: &[(&str, Limits, Option<Queueing>)]) -> Dispatcher<u32> {
    let mut dispatcher = Dispatcher::default();
    let owned = levels.iter().map(|(name, limits, queueing)| (Arc::from(*name), *limits, *queueing)).collect();
    assert!(dispatcher.configure(owned).is_empty(), "nobody waits yet");
    dispatcher
}

/// Arrives as number `who`; what becomes of them in a letter.
fn arrive(dispatcher: &mut Dispatcher<u32>, level: &str, who: u32) -> char {
    arrive_wide(dispatcher, level, who, 1)
}

fn arrive_wide(dispatcher: &mut Dispatcher<u32>, level: &str, who: u32, seats: u32) -> char {
    match dispatcher.arrive(&Arc::from(level), seats, || u64::from(who), || (who, ())).0 {
        Arrival::Seated => 's',
        Arrival::Waiting(..) => 'w',
        Arrival::Rejected(Rejection::QueueFull) => 'f',
        Arrival::Rejected(_) => 'r',
    }
}

fn called(called: dispatch::Called<u32>) -> Vec<(String, u32)> {
    called.into_iter().map(|(level, _, who)| (level.to_string(), who)).collect()
}

#[test]
fn seats_are_shared_as_upstream_shares_them() {
    // The levels every cluster has, in the order of bootstrap, and the seats upstream's metrics show for 600.
    let shares = [
        share(5, 0, None),
        share(20, 50, None),
        share(10, 0, None),
        share(40, 25, None),
        share(30, 33, None),
        share(40, 50, None),
        share(100, 90, None),
    ];
    let seats: Vec<u32> = limits(&shares, 600).iter().map(|limits| limits.nominal).collect();
    assert_eq!(seats, [13, 49, 25, 98, 74, 98, 245]);
    let one = limits(&[share(1, 50, Some(100)), share(1, 0, Some(0))], 20);
    assert_eq!(one[0], Limits { nominal: 10, kept: 5, highest: 20 });
    assert_eq!(one[1], Limits { nominal: 10, kept: 10, highest: 10 });
}

#[test]
fn who_finds_no_seat_waits_and_is_called_in_turn() {
    let two = Limits { nominal: 2, kept: 2, highest: 2 };
    let mut dispatcher = dispatcher(&[("a", two, queueing())]);
    let all: String = (0..4).map(|who| arrive(&mut dispatcher, "a", who)).collect();
    assert_eq!(all, "ssww");
    assert_eq!(called(dispatcher.leave("a", 1)), [("a".to_owned(), 2)]);
    assert_eq!(called(dispatcher.leave("a", 1)), [("a".to_owned(), 3)]);
    assert_eq!(called(dispatcher.leave("a", 1)), []);
}

#[test]
fn a_flow_that_floods_fills_its_own_queues_only() {
    let one = Limits { nominal: 1, kept: 1, highest: 1 };
    let mut dispatcher = dispatcher(&[("a", one, queueing())]);
    // The hash 0 has the queues 0 and 1, the hash 11 others.
    assert!(deal(0, 4, 2).iter().all(|queue| !deal(11, 4, 2).contains(queue)));
    let flood =
        |dispatcher: &mut Dispatcher<u32>, hash: u64| dispatcher.arrive(&Arc::from("a"), 1, || hash, || (0, ())).0;
    assert_eq!(flood(&mut dispatcher, 0), Arrival::Seated);
    for _ in 0..4 {
        assert!(matches!(flood(&mut dispatcher, 0), Arrival::Waiting(..)));
    }
    assert_eq!(flood(&mut dispatcher, 0), Arrival::Rejected(Rejection::QueueFull));
    assert!(matches!(flood(&mut dispatcher, 11), Arrival::Waiting(..)));
}

#[test]
fn a_level_without_queues_sends_away() {
    let mut dispatcher = dispatcher(&[("a", Limits { nominal: 1, kept: 1, highest: 1 }, None)]);
    assert_eq!([arrive(&mut dispatcher, "a", 0), arrive(&mut dispatcher, "a", 1)], ['s', 'r']);
}

#[test]
fn what_a_level_lends_is_used_by_others_and_comes_back() {
    let lender = Limits { nominal: 2, kept: 1, highest: 2 };
    let borrower = Limits { nominal: 1, kept: 1, highest: 3 };
    let mut dispatcher = dispatcher(&[("lender", lender, queueing()), ("borrower", borrower, queueing())]);
    // One seat of its own, one that is lent; the third is the lender's in any case.
    let borrowed: String = (0..3).map(|who| arrive(&mut dispatcher, "borrower", who)).collect();
    assert_eq!(borrowed, "ssw");
    assert_eq!([arrive(&mut dispatcher, "lender", 10), arrive(&mut dispatcher, "lender", 11)], ['s', 'w']);
    // The lender has less of its own than the borrower.
    assert_eq!(called(dispatcher.leave("borrower", 1)), [("lender".to_owned(), 11)]);
}

#[test]
fn who_gives_up_is_not_called() {
    let one = Limits { nominal: 1, kept: 1, highest: 1 };
    let mut dispatcher = dispatcher(&[("a", one, queueing())]);
    arrive(&mut dispatcher, "a", 0);
    let (Arrival::Waiting(place, ()), _) = dispatcher.arrive(&Arc::from("a"), 1, || 0, || (1, ())) else {
        panic!("there is no seat");
    };
    assert_eq!(dispatcher.give_up("a", place, Gone::Cancelled), Some(Vec::new()));
    assert_eq!(called(dispatcher.leave("a", 1)), []);
    assert_eq!(dispatcher.give_up("a", place, Gone::Cancelled), None, "once is enough");
}

#[test]
fn who_is_wide_waits_for_all_seats_and_is_not_overtaken_in_its_queue() {
    let four = Limits { nominal: 4, kept: 4, highest: 4 };
    let one_queue = Some(Queueing { queues: 1, hand_size: 1, queue_length_limit: 9 });
    let mut dispatcher = dispatcher(&[("a", four, one_queue)]);
    let arrivals = [(1, 2), (2, 1), (3, 3), (4, 1)];
    let all: String = arrivals.into_iter().map(|(who, seats)| arrive_wide(&mut dispatcher, "a", who, seats)).collect();
    assert_eq!(all, "ssww", "the last one would fit, and lets the wide one go first");
    assert_eq!(called(dispatcher.leave("a", 1)), []);
    assert_eq!(called(dispatcher.leave("a", 2)), [("a".to_owned(), 3), ("a".to_owned(), 4)]);
    assert_eq!(dispatcher.usage()[0].1.seated, 4);
}

#[test]
fn who_is_wider_than_its_level_is_served_alone() {
    let two = Limits { nominal: 2, kept: 2, highest: 2 };
    let mut dispatcher = dispatcher(&[("a", two, queueing())]);
    assert_eq!(arrive_wide(&mut dispatcher, "a", 1, 9), 's');
    assert_eq!(arrive(&mut dispatcher, "a", 2), 'w');
    assert_eq!(called(dispatcher.leave("a", 9)), [("a".to_owned(), 2)]);
}

#[test]
fn who_gives_up_makes_way_for_those_behind() {
    let two = Limits { nominal: 2, kept: 2, highest: 2 };
    let one_queue = Some(Queueing { queues: 1, hand_size: 1, queue_length_limit: 9 });
    let mut dispatcher = dispatcher(&[("a", two, one_queue)]);
    assert_eq!(arrive(&mut dispatcher, "a", 1), 's');
    let (Arrival::Waiting(place, ()), _) = dispatcher.arrive(&Arc::from("a"), 2, || 0, || (2, ())) else {
        panic!("there is one seat");
    };
    assert_eq!(arrive(&mut dispatcher, "a", 3), 'w');
    assert_eq!(dispatcher.give_up("a", place, Gone::Cancelled).map(called), Some(vec![("a".to_owned(), 3)]));
}

#[test]
fn a_flow_with_wide_requests_has_its_turn_more_seldom() {
    let three = Limits { nominal: 3, kept: 3, highest: 3 };
    let two_queues = Some(Queueing { queues: 2, hand_size: 1, queue_length_limit: 9 });
    let mut dispatcher = dispatcher(&[("a", three, two_queues)]);
    assert_eq!(arrive_wide(&mut dispatcher, "a", 0, 3), 's');
    // Even numbers are of the first flow, three seats wide; odd ones of the second.
    for who in [2, 4, 1, 3, 5, 7] {
        assert_eq!(arrive_wide(&mut dispatcher, "a", who, if who % 2 == 0 { 3 } else { 1 }), 'w');
    }
    let mut order = Vec::new();
    let mut seated = vec![(0, 3)];
    while let Some((_, seats)) = seated.pop() {
        for (_, seats, who) in dispatcher.leave("a", seats) {
            order.push(who);
            seated.insert(0, (who, seats));
        }
    }
    assert_eq!(order, [2, 1, 3, 5, 4, 7]);
}

#[test]
fn one_request_takes_a_part_of_its_level_at_most() {
    for (nominal, hand_size, widest) in [(98, 6, 15), (245, 6, 37), (13, 4, 2), (5, 8, 1), (0, 1, 1)] {
        let limits = Limits { nominal, kept: nominal, highest: nominal };
        assert_eq!(limits.widest_request(hand_size), widest, "{nominal} seats, hands of {hand_size}");
    }
}

#[test]
fn hands_are_of_different_queues() {
    for hash in [0, 1, 77, u64::MAX, 0x1234_5678_9abc_def0] {
        let mut hand = deal(hash, 8, 8);
        hand.sort_unstable();
        assert_eq!(hand, (0..8).collect::<Vec<_>>(), "{hash}");
    }
}

fn control() -> Arc<FlowControl> {
    let control = FlowControl::new(600, Duration::from_secs(15));
    let of = |kind: &str| -> Vec<Arc<Value>> {
        let all = bootstrap::flow_control().into_iter().filter(|object| meta::kind(object) == kind);
        all.map(Arc::new).collect()
    };
    control.configure(&of("FlowSchema"), &of("PriorityLevelConfiguration"));
    control
}

#[test]
fn requests_find_the_flows_every_cluster_has() {
    let control = control();
    let check = |user: &UserInfo, method: http::Method, target: &'static str, expected: &str| {
        let uri = http::Uri::from_static(target);
        let query = Query::parse(uri.query().unwrap_or_default());
        let flow = control.classify(user, &RequestInfo::parse(&method, &uri, &query).unwrap());
        assert_eq!(format!("{}/{}/{}", flow.level, flow.schema, flow.distinguisher), expected, "{method} {target}");
    };
    let get = || http::Method::GET;
    let node = UserInfo::new("system:node:n", &["system:nodes"]);
    check(&UserInfo::new("admin", &["system:masters"]), get(), "/api/v1/pods", "exempt/exempt/");
    check(&UserInfo::anonymous(), get(), "/livez", "exempt/probes/");
    check(&UserInfo::new("jane", &[]), get(), "/api/v1/pods", "global-default/global-default/jane");
    check(&node, get(), "/api/v1/pods", "system/system-nodes/system:node:n");
    check(&node, http::Method::PUT, "/api/v1/nodes/n/status", "node-high/system-node-high/system:node:n");
    check(
        &node,
        http::Method::PUT,
        "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n",
        "node-high/system-node-high/system:node:n",
    );
    let scheduler = UserInfo::new("system:kube-scheduler", &[]);
    check(&scheduler, get(), "/api/v1/pods", "workload-high/kube-scheduler/");
    check(
        &scheduler,
        http::Method::PUT,
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler",
        "leader-election/system-leader-election/system:kube-scheduler",
    );
    let account = service_account("default", "robot");
    check(
        &account,
        get(),
        "/api/v1/namespaces/x/pods",
        "workload-low/service-accounts/system:serviceaccount:default:robot",
    );
}

fn service_account(namespace: &str, name: &str) -> UserInfo {
    let mut user = crate::authentication::service_account::user_info(namespace, name, "");
    user.groups.push("system:authenticated".to_owned());
    user
}

#[test]
fn who_fits_nowhere_is_caught_even_without_objects() {
    let control = FlowControl::new(10, Duration::from_secs(15));
    let info = RequestInfo { verb: "get".into(), path: "/x".into(), ..RequestInfo::default() };
    assert_eq!(control.classify(&UserInfo::new("jane", &[]), &info).level.as_ref(), "catch-all");
    assert!(control.classify(&UserInfo::new("admin", &["system:masters"]), &info).exempt);
}

#[tokio::test]
async fn a_seat_given_back_is_taken_by_who_waits_and_by_none_who_left() {
    let control = FlowControl::new(1, Duration::from_secs(15));
    let level = json!({"metadata": {"name": "one"}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 100, "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 9}}}}});
    let schema = json!({"metadata": {"name": "all"}, "spec": {"priorityLevelConfiguration": {"name": "one"}, "matchingPrecedence": 5,
        "rules": [{"subjects": [{"kind": "Group", "group": {"name": "*"}}], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}});
    control.configure(&[Arc::new(schema)], &[Arc::new(level)]);
    let info = RequestInfo { verb: "get".into(), path: "/x".into(), ..RequestInfo::default() };
    let jane = UserInfo::new("jane", &[]);
    let asking = Asking { user: &jane, info: &info, work: Work::ONE };
    let flow = control.classify(&jane, &info);
    assert_eq!(flow.level.as_ref(), "one");
    let first = control.seat(&flow, asking).await.unwrap();
    // One that waits and goes, before and after it is called.
    {
        let mut gone = Box::pin(control.seat(&flow, asking));
        assert!(futures::poll!(&mut gone).is_pending());
    }
    let mut called = Box::pin(control.seat(&flow, asking));
    assert!(futures::poll!(&mut called).is_pending());
    let dump = control.dump();
    let one = dump.iter().find(|level| &*level.name == "one").unwrap();
    assert_eq!((one.executing, one.waiting(), &*one.queues[0][0].user), (1, 1, "jane"));
    assert_eq!((one.counts.dispatched, one.counts.cancelled), (1, 1));
    drop(first);
    drop(called);
    let second = control.seat(&flow, asking).await.unwrap();
    assert_eq!(control.usage().iter().map(|(_, usage)| usage.seated).sum::<u32>(), 1);
    drop(second);
    assert_eq!(control.usage().iter().map(|(_, usage)| usage.seated).sum::<u32>(), 0);
}

#[test]
fn objects_are_kept_up_and_told_of_their_levels() {
    let with_uid = |mut object: Value| {
        if meta::kind(&object) == "FlowSchema" {
            let level = object["spec"]["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default().to_owned();
            object["status"] = json!({"conditions": [{"type": "Dangling", "status": "False", "reason": "Found",
                "message": format!("This FlowSchema references the PriorityLevelConfiguration object named \"{level}\" and it exists")}]});
        }
        Arc::new(object)
    };
    let (schemas, levels): (Vec<_>, Vec<_>) =
        bootstrap::flow_control().into_iter().map(with_uid).partition(|object| meta::kind(object) == "FlowSchema");
    assert_eq!(keep::plan(&schemas, &levels), []);
    let at = |name: &str| schemas.iter().position(|schema| meta::name(schema) == name).unwrap();

    let mut changed = schemas.clone();
    Arc::make_mut(&mut changed[at("probes")])["spec"]["matchingPrecedence"] = 77.into();
    assert_eq!(keep::plan(&changed, &levels), [bootstrap::Write::Update(Value::clone(&schemas[at("probes")]))]);
    // Left alone when its owner says so, unless it must be there.
    Arc::make_mut(&mut changed[at("probes")])["metadata"]["annotations"] = json!({});
    assert_eq!(keep::plan(&changed, &levels), []);
    let mut changed = schemas.clone();
    Arc::make_mut(&mut changed[at("catch-all")])["spec"]["matchingPrecedence"] = 77.into();
    Arc::make_mut(&mut changed[at("catch-all")])["metadata"]["annotations"] = json!({});
    assert_eq!(keep::plan(&changed, &levels).len(), 1);

    let mut changed = schemas.clone();
    Arc::make_mut(&mut changed[at("probes")])["metadata"]["annotations"] = json!({});
    Arc::make_mut(&mut changed[at("probes")])["spec"]["priorityLevelConfiguration"]["name"] = "nope".into();
    // As it is stored; an apply that holds it is refused.
    Arc::make_mut(&mut changed[at("probes")])["metadata"]["managedFields"] = json!([{}]);
    let writes = keep::plan(&changed, &levels);
    let [bootstrap::Write::Status(told)] = writes.as_slice() else { panic!("one status is written: {writes:?}") };
    assert_eq!(told["metadata"], json!({"name": "probes"}));
    let condition = &told["status"]["conditions"][0];
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("NotFound")));
}
