//! `krab server`: the whole cluster in one process.
//!
//! ```text
//! store -> API server (port open, first objects) -> kubeconfig -> controllers, scheduler -> node: kubelet, kube-proxy, DNS -> Ready
//! ```
//! Components get a client whose requests are calls of the API server in this process, under the identity they have in any
//! cluster, so RBAC holds for them too. At SIGTERM everything ends; containers stay and are adopted by the next start.

mod cluster_dns;
mod flags;
mod kubeconfig;
mod node;
mod progress;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ::store::Store;
use anyhow::{Context, Result};
use apiserver::ControlPlane;
use apiserver::authentication::UserInfo;
use apiserver::controlplane::Credentials;
use apiserver::pki::{Pki, ServingNames};
use component::Shutdown;
use component::flags::FlagSet;

use flags::Options;
pub(crate) use flags::data_dir;
use kubeconfig::InvokingUser;
use progress::Progress;

use crate::process::{self, Parts};

pub(crate) use flags::flags;

/// Runs until a signal, or until something that cannot be done without has failed.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let options = Options::new(&flags)?;
    process::run(&flags, async |shutdown| serve(&options, shutdown).await)
}

async fn serve(options: &Options, shutdown: &Shutdown) -> Result<()> {
    let mut progress = Progress::new();
    let store = Arc::new(options.storage.open().await?);
    progress.step(&format!("store open at revision {}", store.revision().0));
    let mut parts = Parts::new(shutdown);
    let outcome = serve_from(options, &store, &mut parts, progress).await;
    shutdown.cancel();
    parts.join().await;
    store.close().await.context("the store did not close in order")?;
    outcome
}

/// Starts everything above the store and runs until shutdown or a failure.
async fn serve_from(options: &Options, store: &Arc<Store>, parts: &mut Parts, mut progress: Progress) -> Result<()> {
    let shutdown = parts.shutdown();
    let pki = Arc::new(open_pki(options).await?);
    let plane = ControlPlane::start(plane_options(options, &pki), store.clone(), shutdown.clone()).await?;
    progress.step(&format!("API server listening on https://{}", plane.address));
    let merged = write_kubeconfig(options, &plane, &pki)?;
    progress.step(&format!("kubeconfig in {}", options.kubeconfig.display()));

    start_control_loops(options, &plane, &pki, parts);
    let what = if options.with_node {
        node::start(options, &plane, &pki, parts).await?;
        // A kubelet that cannot run is no reason to wait for its node.
        tokio::select! {
            ready = node::wait_until_ready(&plane, &options.node.name, &progress, &shutdown) => ready?,
            failure = parts.failure() => return Err(failure),
        }
        if !shutdown.is_cancelled() {
            progress.step(&format!("node {} Ready", options.node.name));
        }
        "The cluster is ready"
    } else {
        "The control plane is ready"
    };
    if !shutdown.is_cancelled() {
        progress.ready(what, &options.kubeconfig, merged);
    }
    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        failure = parts.failure() => Err(failure),
    };
    shutdown.cancel();
    plane.departed().await;
    outcome
}

/// Keys and certificates, made at the first start.
async fn open_pki(options: &Options) -> Result<Pki> {
    let mut ips = vec![options.listen.ip(), options.advertise];
    ips.extend(options.service_cidr.hosts().next());
    let cluster_domain = options.node.cluster_domain.clone();
    let names = ServingNames { dns: vec![options.node.name.clone()], ips, cluster_domain };
    let folder = options.data_dir.join("pki");
    let opening = tokio::task::spawn_blocking(move || Pki::open(&folder, &names, SystemTime::now()));
    Ok(opening.await.context("interrupted while opening keys and certificates")??)
}

fn plane_options(options: &Options, pki: &Pki) -> apiserver::Options {
    let credentials = Credentials {
        token_auth_file: options.token_auth_file.clone(),
        ..Credentials::of(pki, &options.node.cluster_domain)
    };
    apiserver::Options::new(options.listen, options.advertise, vec![options.service_cidr], credentials)
}

/// Writes the administrator's kubeconfig; true when it was merged into the user's own.
fn write_kubeconfig(options: &Options, plane: &ControlPlane, pki: &Pki) -> Result<bool> {
    let host = match plane.address.ip() {
        ip if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        ip => ip,
    };
    let server = format!("https://{}", std::net::SocketAddr::new(host, plane.address.port()));
    let config = pki.kubeconfig(&server, "krab-admin", &pki.admin);
    config.write(&options.kubeconfig).map_err(anyhow::Error::new)?;
    let Some(user) = InvokingUser::from_environment() else { return Ok(false) };
    user.own(&options.kubeconfig)?;
    match user.merge(&config.to_yaml()) {
        Ok(()) => Ok(true),
        Err(error) => {
            // The cluster works without it.
            tracing::warn!(error = format!("{error:#}"), "not merged into ~/.kube/config");
            Ok(false)
        }
    }
}

/// An identity that cluster components have by convention.
fn system(name: &str) -> UserInfo {
    UserInfo::new(format!("system:{name}"), &[])
}

/// The service account of a controller.
fn service_account(name: &str) -> UserInfo {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system"];
    UserInfo::new(format!("system:serviceaccount:kube-system:{name}"), &groups)
}

fn start_control_loops(options: &Options, plane: &ControlPlane, pki: &Pki, parts: &mut Parts) {
    if options.runs("controller-manager") {
        let config = controller_manager::Config {
            cluster_cidr: vec![options.node.cluster_cidr],
            allocate_node_cidrs: true,
            service_cluster_ip_range: vec![options.service_cidr],
            root_ca_pem: pki.ca.certificate_pem().to_owned(),
            // There is one API server, so a namespace's end is known everywhere at once.
            namespace_deletion_grace: std::time::Duration::ZERO,
            ..controller_manager::Config::default()
        };
        plane.metrics.join(config.registry.clone());
        let client = plane.server.client(system("kube-controller-manager"));
        let server = plane.server.clone();
        let clients: controller_manager::Clients = Arc::new(move |account| server.client(service_account(account)));
        let running = controller_manager::run(config, client, Some(clients), parts.shutdown());
        let running = parts.start("controller-manager", running);
        plane.components.join("controller-manager", move || running.upgrade().is_some());
    }
    if options.runs("scheduler") {
        let config = scheduler::Config::default();
        plane.metrics.join(config.registry.clone());
        let client = plane.server.client(system("kube-scheduler"));
        let running = parts.start("scheduler", scheduler::run(config, client, parts.shutdown()));
        plane.components.join("scheduler", move || running.upgrade().is_some());
    }
}
