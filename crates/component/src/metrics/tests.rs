use super::*;

fn with_queue(name: &str, depth: i64) -> Registry {
    let registry = Registry::new();
    let depths = IntGaugeVec::new(Opts::new("workqueue_depth", "Waiting."), &["name"]).expect("a constant");
    registry.register(Box::new(depths.clone())).expect("its first metric");
    depths.with_label_values(&[name]).set(depth);
    registry
}

#[test]
fn parts_that_count_the_same_share_one_family() {
    let registries = Registries::default();
    let joined_through_a_clone = registries.clone();
    for registry in [with_queue("a", 1), with_queue("b", 2), with_queue("a", 3)] {
        joined_through_a_clone.join(registry);
    }
    let expect = "# HELP workqueue_depth Waiting.\n# TYPE workqueue_depth gauge\n\
                  workqueue_depth{name=\"a\"} 1\nworkqueue_depth{name=\"b\"} 2\n";
    assert_eq!(registries.text().unwrap(), expect);
}

#[test]
fn one_name_of_two_types_is_refused() {
    let other = Registry::new();
    let counter = IntCounterVec::new(Opts::new("workqueue_depth", "Waiting."), &["name"]).unwrap();
    counter.with_label_values(&["c"]).inc();
    other.register(Box::new(counter)).unwrap();
    assert!(encode([&with_queue("a", 1), &other]).is_err());
}

#[test]
fn a_process_tells_what_it_uses() {
    let registry = Registry::new();
    registry.register(Box::new(ProcessMetrics::new().unwrap())).unwrap();
    let text = encode([&registry]).unwrap();
    let value = |name: &str| -> f64 {
        let line =
            text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("no {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(value("process_resident_memory_bytes") > 100_000.0);
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= value("process_open_fds"));
    assert!(value("process_start_time_seconds") > 1.6e9);
    for name in ["process_cpu_seconds_total", "process_network_receive_bytes_total", "process_virtual_memory_max_bytes"]
    {
        value(name);
    }
}
