use std::collections::BTreeSet;

use super::*;

#[test]
fn the_table_names_each_plugin_once_by_its_own_name() {
    let handle = Handle { client: None, preempting: Preempting::default() };
    let mut seen = BTreeSet::new();
    for (name, _, make) in TABLE {
        assert_eq!(make(&handle).name(), *name);
        assert!(seen.insert(name), "{name} twice");
    }
}

#[test]
fn weights_are_upstreams() {
    let weighted: Vec<(&str, i64)> =
        TABLE.iter().filter(|(_, weight, _)| *weight > 0).map(|(name, weight, _)| (*name, *weight)).collect();
    let expected = [
        ("TaintToleration", 3),
        ("NodeAffinity", 2),
        ("NodeResourcesFit", 1),
        ("PodTopologySpread", 2),
        ("InterPodAffinity", 2),
        ("NodeResourcesBalancedAllocation", 1),
        ("ImageLocality", 1),
    ];
    assert_eq!(weighted, expected);
}
