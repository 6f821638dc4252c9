use super::cidr_set::CidrSet;

fn take(set: &mut CidrSet) -> String {
    set.take().map_or_else(|| "none".to_owned(), |range| range.to_string())
}

#[test]
fn subnets_are_given_in_order_and_each_once() {
    let mut set = CidrSet::new("10.244.0.0/22".parse().unwrap(), 24);
    let all: Vec<String> = (0..5).map(|_| take(&mut set)).collect();
    assert_eq!(all, ["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24", "none"]);
    set.release("10.244.2.0/24".parse().unwrap());
    assert_eq!(take(&mut set), "10.244.2.0/24");
}

#[test]
fn what_nodes_and_services_use_is_left_out() {
    let mut set = CidrSet::new("10.0.0.0/8".parse().unwrap(), 24);
    set.occupy("10.0.0.0/23".parse().unwrap());
    set.occupy("10.0.2.128/25".parse().unwrap());
    set.occupy("192.168.0.0/16".parse().unwrap());
    assert_eq!(take(&mut set), "10.0.3.0/24");
}

#[test]
fn ipv6_ranges_work_alike() {
    let mut set = CidrSet::new("fd00:10::/48".parse().unwrap(), 64);
    assert_eq!(take(&mut set), "fd00:10::/64");
    assert_eq!(take(&mut set), "fd00:10:0:1::/64");
    set.occupy("10.0.0.0/8".parse().unwrap());
    assert_eq!(take(&mut set), "fd00:10:0:2::/64");
}

#[test]
fn a_mask_that_does_not_fit_gives_nothing() {
    assert_eq!(take(&mut CidrSet::new("10.0.0.0/24".parse().unwrap(), 16)), "none");
}
