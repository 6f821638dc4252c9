//! What this machine is: read once at the start.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use k8s_openapi::api::core::v1::NodeSystemInfo;

use crate::Config;
use crate::resources::{Amounts, value};

/// What pods and `kubectl version` see as the node's version.
pub(crate) const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Go's name of this architecture.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// This machine.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) capacity: Amounts,
    pub(crate) allocatable: Amounts,
    pub(crate) info: NodeSystemInfo,
}

impl Machine {
    /// Looks at `/proc`, `/sys` and the disk of the kubelet's directory.
    pub(crate) fn look(config: &Config) -> Self {
        let mut capacity = Amounts::new();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        capacity.insert("cpu".into(), i64::try_from(cpus).unwrap_or(1) * 1000);
        capacity.insert("memory".into(), memory_total());
        capacity.insert("ephemeral-storage".into(), disk_size(&config.root_dir));
        capacity.insert("pods".into(), i64::from(config.max_pods));
        for (size, name) in [("2048kB", "hugepages-2Mi"), ("1048576kB", "hugepages-1Gi")] {
            let dir = Path::new("/sys/kernel/mm/hugepages").join(format!("hugepages-{size}"));
            if let Ok(count) = fs::read_to_string(dir.join("nr_hugepages")) {
                let each = if name.ends_with("2Mi") { 2 << 20 } else { 1 << 30 };
                capacity.insert(name.into(), count.trim().parse::<i64>().unwrap_or(0) * each);
            }
        }
        let mut allocatable = capacity.clone();
        let mut take = |name: &str, amount: i64| {
            if let Some(left) = allocatable.get_mut(name) {
                *left = (*left - amount).max(0);
            }
        };
        for (name, quantity) in &config.reserved {
            let quantity = k8s_openapi::apimachinery::pkg::api::resource::Quantity(quantity.clone());
            take(name, if name == "cpu" { crate::resources::milli(&quantity) } else { value(&quantity) });
        }
        for (name, threshold) in
            [("memory", config.eviction_hard_memory), ("ephemeral-storage", config.eviction_hard_nodefs)]
        {
            take(name, threshold.of(capacity.get(name).copied().unwrap_or(0)));
        }
        Self { capacity, allocatable, info: system_info() }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> i64 {
        self.capacity.get("memory").copied().unwrap_or(0)
    }
}

fn memory_total() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<i64>().ok());
    kib.unwrap_or(0) * 1024
}

fn disk_size(dir: &Path) -> i64 {
    let Ok(stat) = nix::sys::statvfs::statvfs(dir) else { return 0 };
    i64::try_from(stat.blocks().saturating_mul(stat.fragment_size())).unwrap_or(i64::MAX)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn system_info() -> NodeSystemInfo {
    let kernel = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let machine_id = read("/etc/machine-id").or_else(|| read("/var/lib/dbus/machine-id")).unwrap_or_default();
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os_image = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_else(|| "Linux".into());
    NodeSystemInfo {
        architecture: architecture().into(),
        boot_id: read("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        container_runtime_version: String::new(),
        kernel_version: kernel.unwrap_or_default(),
        kube_proxy_version: String::new(),
        kubelet_version: VERSION.into(),
        system_uuid: read("/sys/class/dmi/id/product_uuid").unwrap_or_else(|| machine_id.clone()),
        machine_id,
        operating_system: "linux".into(),
        os_image,
        running_in_user_namespace: None,
        swap: None,
    }
}

/// The node's address: the configured one, else the one that leads to the default route, else the first that is not of this host alone.
pub(crate) fn node_ip(config: &Config) -> Option<IpAddr> {
    if let Some(ip) = config.node_ip {
        return Some(ip);
    }
    // Connecting a datagram socket sends nothing; it only asks the kernel for a route.
    let routed = |local: &str, remote: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(remote).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    };
    routed("0.0.0.0:0", "192.0.2.1:9").or_else(|| routed("[::]:0", "[2001:db8::1]:9")).or_else(first_address)
}

fn first_address() -> Option<IpAddr> {
    let addresses = nix::ifaddrs::getifaddrs().ok()?;
    addresses
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
            v4.filter(|ip| !ip.is_loopback())
        })
        .next()
}
