//! `krab certs node`: on the machine of the server, everything another machine needs to join as a node, in one folder to
//! be copied there. Certificates are issued by the cluster's CA; the server need not run.

#![allow(clippy::print_stdout, reason = "this is the command's answer to its user")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use apiserver::pki::{Authority, Issued, Kubeconfig, Request, write_private};
use component::flags::{Flag, FlagSet};

/// All flags of `krab certs node`.
pub(crate) fn flags() -> Vec<Flag> {
    vec![
        Flag::text("data-dir", "", "the server's data directory (default as for krab server)"),
        Flag::text("node-name", "", "name of the node that will join"),
        Flag::list("node-ip", "", "its addresses"),
        Flag::text("server", "", "https://ADDRESS:6443 of the API server, as the node will reach it"),
        Flag::text("out", "", "folder to write, which is made if it is missing"),
        Flag::switch("help", "this text"),
    ]
}

/// Issues and writes.
pub(crate) fn node(flags: FlagSet) -> Result<()> {
    let needed = |name: &str| flags.optional(name).with_context(|| format!("--{name} is needed (see --help)"));
    let (name, server, out) = (needed("node-name")?, needed("server")?, PathBuf::from(needed("out")?));
    ensure!(server.starts_with("https://"), "--server {server}: https://ADDRESS:PORT is expected");
    let addresses = flags.list("node-ip").into_iter();
    let addresses: Vec<IpAddr> = addresses
        .map(|ip| ip.parse().with_context(|| format!("--node-ip: {ip:?} is no address")))
        .collect::<Result<_>>()?;
    ensure!(!addresses.is_empty(), "--node-ip is needed: the API server checks the kubelet's certificate for it");

    let pki = crate::server::data_dir(&flags).join("pki");
    let ca = Authority::load(&pki, "ca")
        .context("no certificate authority: start `krab server` once, or give --data-dir")?;
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    write(&out, &ca, name, &addresses, server)?;
    println!("{} holds what node {name} needs. Copy it there and run:", out.display());
    println!("  krab agent --node-name {name} --node-ip {} --kubeconfig FOLDER/kubelet.kubeconfig", addresses[0]);
    Ok(())
}

fn write(out: &Path, ca: &Authority, node: &str, addresses: &[IpAddr], server: &str) -> Result<()> {
    let now = SystemTime::now();
    let kubeconfig = |user: &str, identity: Issued| Kubeconfig {
        cluster: "krab".to_owned(),
        server: server.to_owned(),
        ca_pem: ca.certificate_pem().to_owned(),
        user: user.to_owned(),
        certificate_pem: identity.certificate_pem,
        key_pem: identity.key_pem,
    };
    let kubelet = ca.issue(&Request::kubelet_client(node), now)?;
    kubeconfig(&format!("system:node:{node}"), kubelet).write(&out.join("kubelet.kubeconfig"))?;
    let proxy = ca.issue(&Request::client("system:kube-proxy", &[]), now)?;
    kubeconfig("system:kube-proxy", proxy).write(&out.join("kube-proxy.kubeconfig"))?;
    let serving = ca.issue(&Request::kubelet_serving(node, addresses), now)?;
    write_private(&out.join("kubelet.key"), serving.key_pem.as_bytes())?;
    write_private(&out.join("kubelet.crt"), serving.certificate_pem.as_bytes())?;
    write_private(&out.join("ca.crt"), ca.certificate_pem().as_bytes())?;
    Ok(())
}
