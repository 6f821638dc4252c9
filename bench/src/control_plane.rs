//! The control planes under measurement: krab (on its own store or on an etcd), and upstream's kube-apiserver with etcd (and its scheduler, or all that makes
//! a node, if asked for).
//!
//! Each lives in a folder of its own and listens on loopback, on ports nobody else has; started again in the same folder it finds its
//! data. Both know their clients by certificates and log into the folder. etcd keeps its defaults: it is as durable as krab is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use apiserver::pki::{Pki, ServingNames};

use crate::process::{Server, client, ready, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the keys of pods begin in an etcd.
pub(crate) const PODS: &str = "/registry/pods/";

/// What both kubelets are told: how full this machine's disk is is not what is measured.
const KUBELET: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
     imageGCHighThresholdPercent: 100\n\
     evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}\n";

/// The machine of a node, as `hack/arena` makes it.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) folder: PathBuf,
    pub(crate) address: String,
    pub(crate) socket: String,
    pub(crate) cni: String,
    pub(crate) cgroup: String,
}

/// Processes that are one control plane.
pub(crate) struct ControlPlane {
    /// In the order they are stopped in.
    servers: Vec<Server>,
    kubeconfig: PathBuf,
    started: Instant,
    /// Where its etcd listens, which is the last of the servers.
    etcd: Option<String>,
}

impl ControlPlane {
    /// `krab server` without a node and without the parts in `disabled` (comma separated).
    pub(crate) fn krab(program: &str, folder: &Path, disabled: &str) -> Result<Self> {
        Self::krab_with(program, folder, disabled, &[])
    }

    /// The same on an etcd from the folder `programs`.
    pub(crate) fn krab_on_etcd(program: &str, programs: &str, folder: &Path, disabled: &str) -> Result<Self> {
        let (etcd, url) = etcd(programs, folder)?;
        let mut plane = Self::krab_with(program, folder, disabled, &[format!("--etcd-servers={url}")])?;
        plane.servers.push(etcd);
        plane.etcd = Some(url);
        Ok(plane)
    }

    fn krab_with(program: &str, folder: &Path, disabled: &str, more: &[String]) -> Result<Self> {
        let kubeconfig = folder.join("admin.kubeconfig");
        // An earlier run's names a port that is no longer served.
        if kubeconfig.exists() {
            std::fs::remove_file(&kubeconfig)?;
        }
        let line = [
            "server".to_owned(),
            "--disable-node".to_owned(),
            format!("--disable={disabled}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--secure-port=0".to_owned(),
            format!("--data-dir={}", text(folder)?),
        ];
        Self::one(program, &[&line[..], more].concat(), folder, kubeconfig)
    }

    /// `krab server` with a node in it.
    pub(crate) fn krab_node(program: &str, folder: &Path, arena: &Arena) -> Result<Self> {
        let config = folder.join("kubelet.yaml");
        std::fs::write(&config, KUBELET)?;
        let line = [
            "server".to_owned(),
            "--node-name=bench".to_owned(),
            format!("--kubelet-config={}", text(&config)?),
            format!("--data-dir={}", text(folder)?),
            format!("--advertise-address={}", arena.address),
            format!("--container-runtime-endpoint=unix://{}", arena.socket),
            format!("--cni-conf-dir={}", arena.cni),
            format!("--cgroup-root={}", arena.cgroup),
        ];
        Self::one(program, &line, folder, folder.join("admin.kubeconfig"))
    }

    fn one(program: &str, line: &[String], folder: &Path, kubeconfig: PathBuf) -> Result<Self> {
        let started = Instant::now();
        let server = Server::start(program, line, &folder.join("krab.log"))?;
        Ok(Self { servers: vec![server], kubeconfig, started, etcd: None })
    }

    /// Upstream's programs from the folder `programs`.
    pub(crate) fn upstream(programs: &str, folder: &Path) -> Result<Self> {
        let path = text(folder)?;
        let pki = Pki::open(&folder.join("pki"), &ServingNames::default(), SystemTime::now())?;
        let public_keys = folder.join("pki/sa-verify.pem");
        std::fs::write(&public_keys, pki.service_account_public_keys.concat())?;
        let port = free_port()?;
        let kubeconfig = folder.join("admin.kubeconfig");
        pki.kubeconfig(&format!("https://127.0.0.1:{port}"), "admin", &pki.admin).write(&kubeconfig)?;
        let started = Instant::now();
        let (etcd, client_url) = etcd(programs, folder)?;
        let server_line = [
            format!("--etcd-servers={client_url}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--client-ca-file={path}/pki/ca.crt"),
            format!("--tls-cert-file={path}/pki/apiserver.crt"),
            format!("--tls-private-key-file={path}/pki/apiserver.key"),
            "--service-cluster-ip-range=10.96.0.0/12".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", text(&public_keys)?),
            format!("--service-account-signing-key-file={path}/pki/sa.key"),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
        ];
        let server =
            Server::start(&format!("{programs}/kube-apiserver"), &server_line, &folder.join("kube-apiserver.log"))?;
        Ok(Self { servers: vec![server, etcd], kubeconfig, started, etcd: Some(client_url) })
    }

    /// Adds upstream's scheduler, with the client limits its own benchmarks give it: by default it is held to 50 requests a second.
    pub(crate) fn add_upstream_scheduler(&mut self, programs: &str, folder: &Path) -> Result<()> {
        let kubeconfig = text(&self.kubeconfig)?;
        let config = folder.join("scheduler.yaml");
        std::fs::write(
            &config,
            format!(
                "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nleaderElection: {{leaderElect: false}}\n\
                 clientConnection: {{kubeconfig: {kubeconfig:?}, qps: 5000, burst: 5000}}\n"
            ),
        )?;
        let line = [
            format!("--config={}", text(&config)?),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", free_port()?),
            format!("--cert-dir={}/scheduler", text(folder)?),
        ];
        self.add(programs, "kube-scheduler", &line, folder)
    }

    /// Adds the rest of what upstream's node needs: controllers, scheduler, kubelet and kube-proxy.
    pub(crate) fn add_upstream_node(&mut self, programs: &str, folder: &Path, arena: &Arena) -> Result<()> {
        let (path, kubeconfig) = (text(folder)?, text(&self.kubeconfig)?.to_owned());
        let controllers = [
            format!("--kubeconfig={kubeconfig}"),
            format!("--service-account-private-key-file={path}/pki/sa.key"),
            format!("--root-ca-file={path}/pki/ca.crt"),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", free_port()?),
            format!("--cert-dir={path}/kube-controller-manager"),
        ];
        self.add(programs, "kube-controller-manager", &controllers, folder)?;
        self.add_upstream_scheduler(programs, folder)?;
        let kubelet = folder.join("kubelet.yaml");
        std::fs::write(
            &kubelet,
            format!(
                "{KUBELET}containerRuntimeEndpoint: unix://{}\ncgroupDriver: cgroupfs\ncgroupRoot: {}\n\
                 failCgroupV1: false\nfailSwapOn: false\n\
                 authentication: {{x509: {{clientCAFile: {path}/pki/ca.crt}}}}\n",
                arena.socket, arena.cgroup
            ),
        )?;
        let kubelet = [
            format!("--config={}", text(&kubelet)?),
            format!("--kubeconfig={kubeconfig}"),
            "--hostname-override=bench".to_owned(),
            format!("--node-ip={}", arena.address),
            format!("--root-dir={path}/kubelet"),
            format!("--cert-dir={path}/kubelet-pki"),
        ];
        self.add(programs, "kubelet", &kubelet, folder)?;
        let proxy = folder.join("kube-proxy.yaml");
        std::fs::write(
            &proxy,
            format!(
                "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n\
                 hostnameOverride: bench\nclientConnection: {{kubeconfig: {kubeconfig:?}}}\n\
                 conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}\n"
            ),
        )?;
        self.add(programs, "kube-proxy", &[format!("--config={}", text(&proxy)?)], folder)
    }

    /// Starts one more program; what is added last is stopped first.
    fn add(&mut self, programs: &str, name: &str, line: &[String], folder: &Path) -> Result<()> {
        let server = Server::start(&format!("{programs}/{name}"), line, &folder.join(format!("{name}.log")))?;
        self.servers.insert(0, server);
        Ok(())
    }

    /// Waits for /readyz; the time from the start of the first process.
    pub(crate) async fn ready(&mut self) -> Result<Duration> {
        let path = &self.kubeconfig;
        let time = until(self.started, PATIENCE, || async {
            match client(path).await {
                Some(client) => ready(&client).await,
                None => false,
            }
        })
        .await
        .with_context(|| format!("the logs are in {}", path.parent().unwrap_or(path).display()))?;
        self.check()?;
        Ok(time)
    }

    /// When the first process was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Fails when one of the processes has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.servers.iter_mut().try_for_each(Server::check)
    }

    /// CPU time of all processes so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.servers.iter().map(Server::cpu).sum()
    }

    /// CPU time of its etcd so far, if it has one.
    pub(crate) fn etcd_cpu(&self) -> Result<Option<Duration>> {
        self.etcd.as_ref().and(self.servers.last()).map(Server::cpu).transpose()
    }

    /// Where its etcd listens, if it has one.
    pub(crate) fn etcd_url(&self) -> Option<&str> {
        self.etcd.as_deref()
    }

    /// Resident memory of all processes in MB.
    pub(crate) fn resident(&self) -> Result<f64> {
        self.servers.iter().map(Server::resident).sum()
    }

    /// The most resident memory of each process since [`ControlPlane::forget_peak`], in MB.
    pub(crate) fn peak(&self) -> Result<f64> {
        self.servers.iter().map(Server::peak).sum()
    }

    /// Peaks are what is resident now.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        self.servers.iter().try_for_each(Server::forget_peak)
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.servers.into_iter().try_for_each(Server::stop)
    }
}

/// An etcd with its defaults, alone in the folder, and where it listens.
pub(crate) fn etcd(programs: &str, folder: &Path) -> Result<(Server, String)> {
    let path = text(folder)?;
    let (client, peer) = (format!("http://127.0.0.1:{}", free_port()?), format!("http://127.0.0.1:{}", free_port()?));
    let line = [
        format!("--data-dir={path}/etcd"),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".to_owned(),
    ];
    Ok((Server::start(&format!("{programs}/etcd"), &line, &folder.join("etcd.log"))?, client))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a folder's name is no UTF-8")
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
