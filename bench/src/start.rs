//! A control plane on an empty store: how long until /readyz, how much memory, and the same again with its data there.
//! Upstream: etcd and kube-apiserver started together, as `hack/upstream` starts them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::Settings;
use crate::process::{Server, client, ready, until};
use crate::report::{Row, Table, machine, median};

const PATIENCE: Duration = Duration::from_secs(60);
/// Time for background work to settle before memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// What issue 3 asks for.
const TARGET_SECONDS: f64 = 0.5;
const TARGET_MB: f64 = 60.0;

/// Seconds to ready, and MB resident.
type Figures = (f64, f64);

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let (mut empty, mut again, mut upstream) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        let folder = tempfile::tempdir()?;
        empty.push(krab(&settings.krab, folder.path()).await?);
        again.push(krab(&settings.krab, folder.path()).await?);
        if let Some(programs) = &settings.upstream {
            upstream.push(self::upstream(programs).await?);
        }
    }
    let seconds = |figures: &[Figures]| median(figures.iter().map(|figure| figure.0).collect());
    let memory = |figures: &[Figures]| median(figures.iter().map(|figure| figure.1).collect());
    let beside = |text: String| settings.upstream.as_ref().map(|_| text);
    let (first, second, resident) = (seconds(&empty), seconds(&again), memory(&empty));
    Ok(Table {
        name: "start",
        how: format!(
            "`krab server --disable-node` (controllers and scheduler included) and upstream's kube-apiserver + etcd in turn, {} runs each, on {}.",
            settings.runs,
            machine()
        ),
        rows: vec![
            Row {
                what: "start on an empty store to /readyz".to_owned(),
                krab: format!("{first:.3} s"),
                upstream: beside(format!("{:.2} s", seconds(&upstream))),
                target: format!("≤ {TARGET_SECONDS} s"),
                met: first <= TARGET_SECONDS,
            },
            Row {
                what: "restart on its data to /readyz".to_owned(),
                krab: format!("{second:.3} s"),
                upstream: None,
                target: format!("≤ {TARGET_SECONDS} s"),
                met: second <= TARGET_SECONDS,
            },
            Row {
                what: format!("resident memory {} s later", SETTLE.as_secs()),
                krab: format!("{resident:.1} MB"),
                upstream: beside(format!("{:.0} MB", memory(&upstream))),
                target: format!("≤ {TARGET_MB:.0} MB"),
                met: resident <= TARGET_MB,
            },
        ],
    })
}

async fn krab(program: &str, folder: &Path) -> Result<Figures> {
    let kubeconfig = folder.join("admin.kubeconfig");
    // The port is krab's choice, so that runs do not wait for each other's sockets; the kubeconfig names it.
    if kubeconfig.exists() {
        std::fs::remove_file(&kubeconfig)?;
    }
    let line: Vec<String> = [
        "server",
        "--disable-node",
        "--bind-address",
        "127.0.0.1",
        "--secure-port",
        "0",
        "--data-dir",
        folder.to_str().context("a folder's name is no UTF-8")?,
    ]
    .map(str::to_owned)
    .to_vec();
    let since = Instant::now();
    let mut server = Server::start(program, &line, &folder.join("log"))?;
    let time = until(since, PATIENCE, || async {
        match client(&kubeconfig).await {
            Some(client) => ready(&client).await,
            None => false,
        }
    })
    .await?;
    server.check()?;
    tokio::time::sleep(SETTLE).await;
    let resident = server.resident()?;
    server.stop()?;
    Ok((time.as_secs_f64(), resident))
}

async fn upstream(programs: &str) -> Result<Figures> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().context("a folder's name is no UTF-8")?;
    let (etcd_port, peer_port, port) = (free_port()?, free_port()?, free_port()?);
    openssl_key(path)?;
    let etcd_url = format!("http://127.0.0.1:{etcd_port}");
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    let etcd_line = [
        format!("--data-dir={path}/etcd"),
        format!("--listen-client-urls={etcd_url}"),
        format!("--advertise-client-urls={etcd_url}"),
        format!("--listen-peer-urls={peer_url}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--initial-cluster=default={peer_url}"),
    ];
    let server_line = [
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={path}/certs"),
        "--service-cluster-ip-range=10.96.0.0/12".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={path}/sa.key"),
        format!("--service-account-signing-key-file={path}/sa.key"),
        "--authorization-mode=RBAC".to_owned(),
    ];
    let since = Instant::now();
    let etcd = Server::start(&format!("{programs}/etcd"), &etcd_line, &folder.path().join("etcd.log"))?;
    let mut server =
        Server::start(&format!("{programs}/kube-apiserver"), &server_line, &folder.path().join("apiserver.log"))?;
    let url = format!("https://127.0.0.1:{port}").parse()?;
    let mut config = kube::Config::new(url);
    // Its certificate is signed by itself; only the time is of interest here.
    config.accept_invalid_certs = true;
    let client = kube::Client::try_from(config)?;
    let time = until(since, PATIENCE, || ready(&client)).await?;
    server.check()?;
    tokio::time::sleep(SETTLE).await;
    let resident = server.resident()? + etcd.resident()?;
    server.stop()?;
    etcd.stop()?;
    Ok((time.as_secs_f64(), resident))
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn openssl_key(folder: &str) -> Result<()> {
    let key = format!("{folder}/sa.key");
    let status = std::process::Command::new("openssl")
        .args(["genrsa", "-out", &key, "2048"])
        .stderr(std::process::Stdio::null())
        .status()
        .context("cannot run openssl")?;
    anyhow::ensure!(status.success(), "openssl made no key");
    Ok(())
}
