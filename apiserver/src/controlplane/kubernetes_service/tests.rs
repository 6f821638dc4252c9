use json::json;

use super::plan::{counted, plan};
use super::*;
use crate::registry::bootstrap::Write;

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Applies a plan to what is there; gives endpoints, slice and how many writes there were.
fn applied(
    texts: &[&str],
    port_follows: bool,
    endpoints: Option<Value>,
    slice: Option<Value>,
) -> (Value, Value, usize) {
    let addresses = addresses(texts);
    let wanted = Wanted { addresses: &addresses, port: 6443, port_follows };
    let writes = plan(wanted, endpoints.as_ref(), slice.as_ref());
    let count = writes.len();
    let (mut endpoints, mut slice) = (endpoints, slice);
    for write in writes {
        let (Write::Create(object) | Write::Update(object) | Write::Recreate(object) | Write::Status(object)) = write;
        let place = if object["kind"] == "Endpoints" { &mut endpoints } else { &mut slice };
        *place = Some(object);
    }
    (endpoints.unwrap(), slice.unwrap(), count)
}

#[test]
fn all_servers_are_ready_addresses_in_the_order_of_their_text() {
    let (endpoints, slice, writes) = applied(&["192.0.2.2", "192.0.2.10"], false, None, None);
    assert_eq!(writes, 2);
    assert_eq!(
        endpoints["subsets"],
        json!([{
            "addresses": [{"ip": "192.0.2.10"}, {"ip": "192.0.2.2"}],
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
        }])
    );
    assert_eq!(endpoints["metadata"]["labels"], json!({"endpointslice.kubernetes.io/skip-mirror": "true"}));
    assert_eq!(slice["metadata"]["labels"], json!({"kubernetes.io/service-name": "kubernetes"}));
    assert_eq!(slice["endpoints"][1], json!({"addresses": ["192.0.2.2"], "conditions": {"ready": true}}));
    assert_eq!((&slice["addressType"], &slice["ports"]), (&json!("IPv4"), &endpoints["subsets"][0]["ports"]));
    let (_, _, again) = applied(&["192.0.2.10", "192.0.2.2"], false, Some(endpoints), Some(slice));
    assert_eq!(again, 0, "nothing is written twice");
}

#[test]
fn a_server_that_is_gone_is_taken_out_and_the_last_leaves_nothing() {
    let (endpoints, slice, _) = applied(&["192.0.2.1", "192.0.2.2"], false, None, None);
    let (endpoints, slice, writes) = applied(&["192.0.2.2"], false, Some(endpoints), Some(slice));
    assert_eq!((writes, plan::present(Some(&endpoints))), (2, addresses(&["192.0.2.2"])));
    assert_eq!(slice["endpoints"].as_array().map(Vec::len), Some(1));
    let (endpoints, slice, _) = applied(&[], true, Some(endpoints), Some(slice));
    assert_eq!((endpoints.get("subsets"), slice.get("ports"), &slice["endpoints"]), (None, None, &json!([])));
}

#[test]
fn what_others_left_is_put_right_and_no_more() {
    let (mut endpoints, mut slice, _) = applied(&["192.0.2.1"], false, None, None);
    endpoints["metadata"]["annotations"] = json!({"kept": "yes"});
    endpoints["subsets"][0]["ports"][0]["port"] = json!(7443);
    slice["ports"][0]["port"] = json!(7443);
    let unchanged = applied(&["192.0.2.1"], false, Some(endpoints.clone()), Some(slice.clone()));
    assert_eq!(unchanged.2, 0, "the port of another server is as good");
    let (followed, _, writes) = applied(&["192.0.2.1"], true, Some(endpoints.clone()), Some(slice.clone()));
    assert_eq!((writes, &followed["subsets"][0]["ports"][0]["port"]), (2, &json!(6443)));
    assert_eq!(followed["metadata"]["annotations"]["kept"], "yes");
    let broken = json!([{"addresses": [{"ip": "192.0.2.1"}]}, {"addresses": [{"ip": "192.0.2.1"}]}]);
    endpoints["subsets"] = broken;
    let (mended, _, _) = applied(&["192.0.2.1"], false, Some(endpoints), Some(slice));
    assert_eq!(mended["subsets"], followed["subsets"]);
}

#[test]
fn a_slice_of_the_other_family_is_made_anew() {
    let (endpoints, slice, _) = applied(&["2001:db8::1"], false, None, None);
    assert_eq!(slice["addressType"], "IPv6");
    let here = addresses(&["192.0.2.1"]);
    let wanted = Wanted { addresses: &here, port: 6443, port_follows: false };
    let writes = plan(wanted, Some(&endpoints), Some(&slice));
    assert!(
        matches!(&writes[..], [Write::Update(_), Write::Recreate(slice)] if slice["addressType"] == "IPv4"),
        "{writes:?}"
    );
}

#[test]
fn where_servers_are_counted_each_adds_itself_and_drops_the_next() {
    let (endpoints, _, _) = applied(&["192.0.2.1", "192.0.2.3"], false, None, None);
    let own = "192.0.2.2".parse().unwrap();
    assert_eq!(counted(Some(&endpoints), own, 3), addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    assert_eq!(counted(Some(&endpoints), own, 2), addresses(&["192.0.2.1", "192.0.2.2"]));
    assert_eq!(counted(Some(&endpoints), own, 1), addresses(&["192.0.2.2"]));
    assert_eq!(counted(None, own, 1), addresses(&["192.0.2.2"]));
}
