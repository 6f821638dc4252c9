//! What the proxy is told before it starts. Names are KubeProxyConfiguration's, in snake case.

use std::net::{IpAddr, SocketAddr};

use component::config_file::{self, Error, Field, Fields};
use ipnet::IpNet;

/// The proxy's configuration. Upstream: `kubeproxy.config.k8s.io/v1alpha1.KubeProxyConfiguration`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Endpoints on this node are local ones. Upstream: `hostnameOverride`.
    pub node_name: String,
    /// The addresses that node ports are open on: the node's own.
    pub node_ips: Vec<IpAddr>,
    /// Sources inside keep their address on the way to a Service; others are masqueraded. Upstream: `clusterCIDR`.
    pub cluster_cidr: Vec<IpNet>,
    /// Masquerade every source. Upstream: `nftables.masqueradeAll`.
    pub masquerade_all: bool,
    /// The bit of the packet mark that asks for masquerading. Upstream: `nftables.masqueradeBit`.
    pub masquerade_bit: u8,
    /// Where `/healthz` is answered; none turns it off. Upstream: `healthzBindAddress`.
    pub healthz_bind_address: Option<SocketAddr>,
    /// Where `/metrics` and `/proxyMode` are; none turns it off. Upstream: `metricsBindAddress`.
    pub metrics_bind_address: Option<SocketAddr>,
    /// How to reach the API server. Upstream: `clientConnection.kubeconfig`.
    pub kubeconfig: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            node_ips: Vec::new(),
            cluster_cidr: Vec::new(),
            masquerade_all: false,
            masquerade_bit: 14,
            healthz_bind_address: Some(SocketAddr::from(([0, 0, 0, 0], 10256))),
            metrics_bind_address: Some(SocketAddr::from(([127, 0, 0, 1], 10249))),
            kubeconfig: None,
        }
    }
}

/// Fields that are known and have no effect on this proxy.
const WITHOUT_EFFECT: &[&str] = &[
    "bindAddress",
    "bindAddressHardFail",
    "configSyncPeriod",
    "conntrack",
    "detectLocal",
    "enableProfiling",
    "featureGates",
    "iptables",
    "ipvs",
    "linux",
    "logging",
    "oomScoreAdj",
    "portRange",
    "showHiddenMetricsForVersion",
    "windowsRunAsService",
    "winkernel",
];

impl Config {
    /// Applies a KubeProxyConfiguration file; answers the names of fields that are set there and have no effect here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn apply_file(&mut self, yaml: &str) -> Result<Vec<String>, Error> {
        self.apply_fields(&config_file::parse(yaml, "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration")?)
    }

    /// Applies fields of a KubeProxyConfiguration, however they were given.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn apply_fields(&mut self, fields: &Fields) -> Result<Vec<String>, Error> {
        let mut ineffective = Vec::new();
        let mut more = config_file::apply(fields, WITHOUT_EFFECT, |field| {
            match field.name {
                "clientConnection" => self.apply_client_connection(field, &mut ineffective)?,
                "clusterCIDR" => self.cluster_cidr = ranges(field)?,
                "healthzBindAddress" => self.healthz_bind_address = address(field, 10256)?,
                "hostnameOverride" => self.node_name = field.text()?.to_owned(),
                "metricsBindAddress" => self.metrics_bind_address = address(field, 10249)?,
                "nftables" => self.apply_nftables(field, &mut ineffective)?,
                // What is always done here may be asked for; what is not is told.
                "mode" => tell(field, &["", "nftables"], &mut ineffective)?,
                "detectLocalMode" => tell(field, &["", "ClusterCIDR"], &mut ineffective)?,
                "nodePortAddresses" => {
                    if field.texts()?.iter().any(|range| range != "primary") {
                        ineffective.push(field.name.to_owned());
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        more.append(&mut ineffective);
        Ok(more)
    }

    fn apply_nftables(&mut self, field: &Field<'_>, ineffective: &mut Vec<String>) -> Result<(), Error> {
        for (name, value) in field.map()? {
            let inner = Field { name, value };
            match name.as_str() {
                _ if value.is_null() => {}
                "masqueradeAll" => self.masquerade_all = inner.boolean()?,
                "masqueradeBit" => {
                    self.masquerade_bit = inner.number()?;
                    if self.masquerade_bit > 31 {
                        return Err(inner.invalid());
                    }
                }
                // Rules follow changes at once and need no second look.
                "syncPeriod" | "minSyncPeriod" => ineffective.push(format!("nftables.{name}")),
                other => return Err(Error::Unknown(format!("nftables.{other}"))),
            }
        }
        Ok(())
    }

    fn apply_client_connection(&mut self, field: &Field<'_>, ineffective: &mut Vec<String>) -> Result<(), Error> {
        for (name, value) in field.map()? {
            match name.as_str() {
                "kubeconfig" => {
                    self.kubeconfig = Some(Field { name, value }.text()?.to_owned()).filter(|path| !path.is_empty());
                }
                "acceptContentTypes" | "contentType" | "qps" | "burst" => {
                    ineffective.push(format!("clientConnection.{name}"));
                }
                other => return Err(Error::Unknown(format!("clientConnection.{other}"))),
            }
        }
        Ok(())
    }
}

fn tell(field: &Field<'_>, done: &[&str], ineffective: &mut Vec<String>) -> Result<(), Error> {
    if !done.contains(&field.text()?) {
        ineffective.push(field.name.to_owned());
    }
    Ok(())
}

/// Comma separated ranges.
fn ranges(field: &Field<'_>) -> Result<Vec<IpNet>, Error> {
    let items = field.text()?.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|_| field.invalid())).collect()
}

/// `address:port`, or an address alone with the usual port; nothing, or port 0, turns it off.
fn address(field: &Field<'_>, usual: u16) -> Result<Option<SocketAddr>, Error> {
    let text = field.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let alone = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, usual));
    let address = text.parse::<SocketAddr>().ok().or_else(alone).ok_or_else(|| field.invalid())?;
    Ok(Some(address).filter(|address| address.port() != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(body: &str) -> Result<(Config, Vec<String>), Error> {
        let mut config = Config::default();
        let head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";
        let ineffective = config.apply_file(&format!("{head}{body}"))?;
        Ok((config, ineffective))
    }

    #[test]
    fn a_file_as_kubeadm_writes_it_is_applied() {
        let (config, ineffective) = apply(
            "bindAddress: 0.0.0.0\nclientConnection: {kubeconfig: /k.conf, qps: 0}\nclusterCIDR: 10.1.0.0/16,fd00::/64\n\
             healthzBindAddress: 127.0.0.1\nmetricsBindAddress: ''\nhostnameOverride: node-a\nmode: iptables\n\
             nftables: {masqueradeAll: true, masqueradeBit: 5, syncPeriod: 0s}\niptables: {masqueradeBit: null}\n",
        )
        .unwrap();
        assert_eq!(config.cluster_cidr.len(), 2);
        assert_eq!((config.masquerade_all, config.masquerade_bit), (true, 5));
        assert_eq!(config.healthz_bind_address.unwrap().to_string(), "127.0.0.1:10256");
        assert_eq!(config.metrics_bind_address, None);
        assert_eq!((config.kubeconfig.as_deref(), config.node_name.as_str()), (Some("/k.conf"), "node-a"));
        assert_eq!(ineffective, ["bindAddress", "iptables", "clientConnection.qps", "mode", "nftables.syncPeriod"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(apply("clusterCidr: x\n").unwrap_err(), Error::Unknown("clusterCidr".into()));
        assert!(matches!(apply("clusterCIDR: x\n").unwrap_err(), Error::Value { .. }));
        assert!(matches!(apply("nftables: {masqueradeBit: 32}\n").unwrap_err(), Error::Value { .. }));
    }
}
