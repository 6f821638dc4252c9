//! The flags of `krab server`, and what they mean together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use component::flags::{Flag, FlagSet};
use ipnet::IpNet;

use crate::storage::{self, Storage};
use crate::{node, process};

/// Parts that `--disable` knows.
pub(crate) const PARTS: [&str; 4] = ["scheduler", "controller-manager", "kube-proxy", "dns"];

/// The server's own flags; design §3 is the contract.
const OWN: &[Flag] = &[
    Flag::flag_file("config", "YAML file with flag names as keys"),
    Flag::text(
        "data-dir",
        "",
        "everything krab writes lives here (default /var/lib/krab, or $XDG_STATE_HOME/krab for users other than root)",
    ),
    Flag::text("secure-port", "6443", "port of the API server; 0 takes a free one"),
    Flag::text("bind-address", "0.0.0.0", "address the API server listens on"),
    Flag::text(
        "advertise-address",
        "",
        "address others reach the API server and this node at (default: that of the default route)",
    ),
    Flag::text("service-cluster-ip-range", "10.96.0.0/12", "addresses of Services"),
    Flag::text("token-auth-file", "", "CSV file of static bearer tokens: token,user,uid,\"group1,group2\""),
    Flag::switch("disable-node", "control plane only: no containers, no root needed"),
    Flag::list("disable", "", "parts not to start: scheduler, controller-manager, kube-proxy, dns"),
    Flag::text("write-kubeconfig", "", "where the administrator's kubeconfig goes (default DATA-DIR/admin.kubeconfig)"),
];

/// All flags of `krab server`.
pub(crate) fn flags() -> Vec<Flag> {
    [OWN, storage::FLAGS, node::FLAGS, process::FLAGS].concat()
}

/// `krab server`'s settings.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: IpAddr,
    pub(crate) service_cidr: IpNet,
    pub(crate) token_auth_file: Option<PathBuf>,
    pub(crate) with_node: bool,
    pub(crate) node: node::Options,
    pub(crate) disabled: Vec<String>,
    pub(crate) kubeconfig: PathBuf,
}

impl Options {
    pub(crate) fn new(flags: &FlagSet) -> Result<Self> {
        let data_dir = data_dir(flags);
        let bind: IpAddr = flags.parse("bind-address")?;
        let advertise = match flags.optional("advertise-address") {
            Some(_) => flags.parse("advertise-address")?,
            None if bind.is_unspecified() || bind.is_loopback() => node::own_address(),
            None => bind,
        };
        let disabled: Vec<String> = flags.list("disable").into_iter().map(str::to_owned).collect();
        for part in &disabled {
            ensure!(PARTS.contains(&part.as_str()), "--disable {part}: no such part; there are {}", PARTS.join(", "));
        }
        let with_node = !flags.is_set("disable-node");
        if with_node {
            node::check_root()?;
        }
        let kubeconfig =
            flags.optional("write-kubeconfig").map_or_else(|| data_dir.join("admin.kubeconfig"), PathBuf::from);
        Ok(Self {
            listen: SocketAddr::new(bind, flags.parse("secure-port")?),
            advertise,
            service_cidr: flags.parse("service-cluster-ip-range")?,
            token_auth_file: flags.optional("token-auth-file").map(PathBuf::from),
            with_node,
            node: node::Options::new(flags)?,
            disabled,
            storage: Storage::new(flags)?,
            kubeconfig,
            data_dir,
        })
    }

    pub(crate) fn runs(&self, part: &str) -> bool {
        !self.disabled.iter().any(|disabled| disabled == part)
    }

    /// The address of cluster DNS: the tenth of the Service range, as kubeadm has it.
    pub(crate) fn dns_address(&self) -> Option<IpAddr> {
        self.service_cidr.hosts().nth(9)
    }
}

/// Where everything is: the flag, or what is usual for the user.
pub(crate) fn data_dir(flags: &FlagSet) -> PathBuf {
    flags.optional("data-dir").map_or_else(default_data_dir, PathBuf::from)
}

fn default_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return "/var/lib/krab".into();
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or(home).unwrap_or_else(|| "/tmp".into()).join("krab")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &[&str]) -> Result<Options> {
        let line = line.iter().map(|word| (*word).to_owned()).chain(["--disable-node".to_owned()]);
        Options::new(&FlagSet::resolve(&flags(), line, |_| None)?)
    }

    #[test]
    fn defaults_are_the_contract() {
        let options = options(&["--data-dir", "/d"]).unwrap();
        assert_eq!(options.listen.to_string(), "0.0.0.0:6443");
        assert_eq!(options.kubeconfig, PathBuf::from("/d/admin.kubeconfig"));
        assert_eq!(options.dns_address().unwrap().to_string(), "10.96.0.10");
        assert!(options.runs("dns"));
    }

    #[test]
    fn nonsense_is_refused_with_what_to_do() {
        let refusal = |line: &[&str]| options(line).unwrap_err().to_string();
        assert!(refusal(&["--disable", "nope"]).contains("no such part; there are scheduler"));
        assert!(refusal(&["--cluster-cidr", "nope"]).contains("--cluster-cidr"));
        assert!(refusal(&["--secure-port", "70000"]).contains("--secure-port"));
    }

    #[test]
    fn every_flag_is_named_once() {
        let mut names: Vec<_> = flags().iter().map(|flag| flag.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
