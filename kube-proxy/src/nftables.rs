//! Rules into the kernel: renders a plan as one nft transaction and runs it. A transaction takes effect as a whole or not
//! at all, and packets never see a part of it.

use std::fmt::Write as _;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Config;
use crate::ruleset::{Family, Plan};

/// The name of our tables; they are ours alone.
const TABLE: &str = "kube-proxy";

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program nft could not be run.
    #[error("cannot run nft: {0}")]
    Run(#[from] std::io::Error),
    /// nft or the kernel refused the transaction.
    #[error("nft refused the transaction: {0}")]
    Refused(String),
}

/// Lets bridged pod traffic pass the rules, and packets be forwarded. Best effort: a kernel without bridge filtering
/// passes bridged packets by routing them.
pub(crate) fn prepare_kernel() {
    for setting in ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables", "net/ipv4/ip_forward"]
    {
        let path = format!("/proc/sys/{setting}");
        if std::path::Path::new(&path).exists()
            && let Err(error) = std::fs::write(&path, "1")
        {
            tracing::warn!(setting, %error, "kernel setting not changed");
        }
    }
}

/// Carries out a plan; `full` starts from empty tables.
pub(crate) async fn apply(plan: &Plan, full: bool, config: &Config) -> Result<(), Error> {
    if plan.is_empty() && !full {
        return Ok(());
    }
    run(&transaction(plan, full, config)).await?;
    // The kernel counts a chain as used until the transaction that removed its last user is over.
    let removal = removal(plan);
    if !removal.is_empty()
        && let Err(error) = run(&removal).await
    {
        tracing::warn!(%error, "unused chains were not removed; the next rebuild will");
    }
    Ok(())
}

/// Everything but the removal of what nothing leads to any more.
pub(crate) fn transaction(plan: &Plan, full: bool, config: &Config) -> String {
    let mut script = String::new();
    if full {
        for family in families(config) {
            base(&mut script, family, config);
        }
    }
    for ((family, name), seconds) in &plan.add_sets {
        let address = address_type(*family);
        let ip = family.as_str();
        let _ = writeln!(
            script,
            "add set {ip} {TABLE} {name} {{ type {address}; flags dynamic,timeout; timeout {seconds}s; }}"
        );
    }
    for (family, name) in plan.fill_chains.keys() {
        let _ = writeln!(script, "add chain {} {TABLE} {name}", family.as_str());
    }
    for ((family, name), rules) in &plan.fill_chains {
        let ip = family.as_str();
        let _ = writeln!(script, "flush chain {ip} {TABLE} {name}");
        for rule in rules {
            let _ = writeln!(script, "add rule {ip} {TABLE} {name} {rule}");
        }
    }
    for ((family, map, key), verdict) in &plan.delete_elements {
        let _ = writeln!(script, "delete element {} {TABLE} {map} {{ {} }}", family.as_str(), element(key, verdict));
    }
    for ((family, map, key), verdict) in &plan.add_elements {
        let _ = writeln!(script, "add element {} {TABLE} {map} {{ {} }}", family.as_str(), element(key, verdict));
    }
    for (family, name) in &plan.delete_chains {
        let _ = writeln!(script, "flush chain {} {TABLE} {name}", family.as_str());
    }
    script
}

fn removal(plan: &Plan) -> String {
    let mut script = String::new();
    for (family, name) in &plan.delete_chains {
        let _ = writeln!(script, "delete chain {} {TABLE} {name}", family.as_str());
    }
    for (family, name) in &plan.delete_sets {
        let _ = writeln!(script, "delete set {} {TABLE} {name}", family.as_str());
    }
    script
}

fn element(key: &str, verdict: &str) -> String {
    if verdict.is_empty() { key.to_owned() } else { format!("{key} : {verdict}") }
}

/// The families this node has addresses in.
fn families(config: &Config) -> Vec<Family> {
    let mut families: Vec<Family> = config.node_ips.iter().map(Family::of).collect();
    families.extend(config.cluster_cidr.iter().map(|cidr| Family::of(&cidr.addr())));
    families.sort_unstable();
    families.dedup();
    families
}

fn address_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
}

/// An empty table with its hooks and shared maps.
fn base(script: &mut String, family: Family, config: &Config) {
    let (ip, address) = (family.as_str(), address_type(family));
    let mark = 1_u32 << config.masquerade_bit.min(31);
    let node_ips: Vec<String> =
        config.node_ips.iter().filter(|node_ip| Family::of(node_ip) == family).map(ToString::to_string).collect();
    let node_ips =
        if node_ips.is_empty() { String::new() } else { format!("elements = {{ {} }};", node_ips.join(", ")) };
    // Adding first makes the deletion succeed whether or not the table was there.
    let _ = write!(
        script,
        "add table {ip} {TABLE}
delete table {ip} {TABLE}
table {ip} {TABLE} {{
  set cluster-ips {{ type {address}; }}
  set nodeport-ips {{ type {address}; {node_ips} }}
  map service-ips {{ type {address} . inet_proto . inet_service : verdict; }}
  map service-nodeports {{ type inet_proto . inet_service : verdict; }}
  map no-endpoint-services {{ type {address} . inet_proto . inet_service : verdict; }}
  map no-endpoint-nodeports {{ type inet_proto . inet_service : verdict; }}
  chain mark-for-masquerade {{ meta mark set meta mark or {mark:#x}; }}
  chain reject-chain {{ reject; }}
  chain services {{
    {ip} daddr . meta l4proto . th dport vmap @service-ips
    {ip} daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }}
  chain endpoints-check {{
    {ip} daddr . meta l4proto . th dport vmap @no-endpoint-services
    {ip} daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }}
  chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
  chain nat-output {{ type nat hook output priority -100; jump services; }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat;
    meta mark and {mark:#x} == 0 return
    meta mark set meta mark xor {mark:#x}
    masquerade fully-random
  }}
  chain filter-input {{ type filter hook input priority -110; ct state new jump endpoints-check; }}
  chain filter-forward {{
    type filter hook forward priority -110;
    ct state new jump endpoints-check
    ct state new {ip} daddr @cluster-ips reject
  }}
  chain filter-output {{ type filter hook output priority -110; ct state new jump endpoints-check; }}
  chain filter-output-post-dnat {{
    type filter hook output priority -90;
    ct state new {ip} daddr @cluster-ips reject
  }}
}}
"
    );
}

async fn run(script: &str) -> Result<(), Error> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::Refused(text.lines().next().unwrap_or("no reason given").to_owned()))
}
