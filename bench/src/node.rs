//! A node on containerd: how long until it is Ready, and how long a pod takes from its creation to Running when its image is there.
//! Runs inside `hack/arena`, which gives it a network and a containerd of its own; krab and upstream have it in turn.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};

use crate::Settings;
use crate::control_plane::{Arena, ControlPlane};
use crate::process::{client, until};
use crate::report::{Row, Table, Unit, machine, median, percentile};

const PATIENCE: Duration = Duration::from_secs(120);
/// How long nothing happens while the idle node is looked at.
const IDLE: Duration = Duration::from_secs(20);

/// What one node showed.
struct Figures {
    ready: f64,
    pods: Vec<f64>,
    resident: f64,
    idle_percent: f64,
}

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let arena = Arena::here()?;
    let folder = arena.folder.join("krab");
    std::fs::create_dir_all(&folder)?;
    let krab = figures(ControlPlane::krab_node(&settings.krab, &folder, &arena)?, settings).await?;
    let upstream = match &settings.upstream {
        None => None,
        Some(programs) => {
            arena.clear_for_upstream()?;
            let folder = arena.folder.join("upstream");
            std::fs::create_dir_all(&folder)?;
            let mut plane = ControlPlane::upstream(programs, &folder)?;
            // Controllers, kubelet and proxy give up on an API server that is not there.
            plane.ready().await?;
            plane.add_upstream_node(programs, &folder, &arena)?;
            Some(figures(plane, settings).await?)
        }
    };
    let row = |what: &str, unit, target, figure: fn(&Figures) -> Option<f64>| Row {
        what: what.to_owned(),
        unit,
        krab: figure(&krab),
        upstream: upstream.as_ref().and_then(figure),
        target,
    };
    Ok(Table {
        name: "node".to_owned(),
        how: format!(
            "`krab server`, and upstream's etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet and kube-proxy \
             (nftables), one after the other on Debian's containerd in `hack/arena`; {} pods, one after another, image present, \
             on {}.",
            settings.pods,
            machine()
        ),
        rows: vec![
            row("start to node Ready", Unit::Seconds, 3.0, |node| Some(node.ready)),
            row("pod created to Running, p50", Unit::Seconds, 1.0, |node| median(node.pods.clone())),
            row("pod created to Running, p99", Unit::Seconds, 5.0, |node| percentile(node.pods.clone(), 0.99)),
            row("whole node resident", Unit::Megabytes, 80.0, |node| Some(node.resident)),
            row("idle, of one core", Unit::Percent, 1.0, |node| Some(node.idle_percent)),
        ],
        more: String::new(),
    })
}

/// Runs the load on a node that has just been started, and ends it.
async fn figures(mut plane: ControlPlane, settings: &Settings) -> Result<Figures> {
    let kubeconfig = plane.kubeconfig().to_owned();
    let ready = until(plane.started(), PATIENCE, || async {
        match client(&kubeconfig).await {
            Some(client) => node_ready(&client).await,
            None => false,
        }
    })
    .await
    .with_context(|| format!("no node is Ready; the logs are beside {}", kubeconfig.display()))?;
    plane.check()?;
    let client = client(&kubeconfig).await.context("no kubeconfig was written")?;
    let mut pods = Vec::new();
    // The first pod also waits for what a new node has to do once; it is not counted.
    for number in 0..=settings.pods {
        let time = Box::pin(pod(&client, &format!("bench-{number}"), &settings.image)).await?;
        if number > 0 {
            pods.push(time.as_secs_f64());
        }
    }
    until(Instant::now(), PATIENCE, || no_pods(&client)).await.context("the pods do not go")?;
    let before = plane.cpu()?;
    tokio::time::sleep(IDLE).await;
    let idle_percent = (plane.cpu()? - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let resident = plane.resident()?;
    plane.stop()?;
    Ok(Figures { ready: ready.as_secs_f64(), pods, resident, idle_percent })
}

impl Arena {
    /// The arena this runs in.
    fn here() -> Result<Arena> {
        let variable =
            |name: &str| std::env::var(name).with_context(|| format!("{name} is not set: run this inside hack/arena"));
        Ok(Arena {
            folder: variable("KRAB_ARENA")?.into(),
            address: variable("KRAB_ARENA_IP")?,
            socket: variable("KRAB_ARENA_SOCKET")?,
            cni: variable("KRAB_ARENA_CNI")?,
            cgroup: variable("KRAB_ARENA_CGROUP")?,
        })
    }

    /// Puts a pod network like krab's in place of krab's own: upstream's kubelet brings none, nor makes its cgroups' parent.
    fn clear_for_upstream(&self) -> Result<()> {
        for entry in std::fs::read_dir(&self.cni)? {
            std::fs::remove_file(entry?.path())?;
        }
        let network = serde_json::json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "bench0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
             "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.245.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ]});
        std::fs::write(format!("{}/10-bridge.conflist", self.cni), network.to_string())?;
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup")? {
            let hierarchy = hierarchy?.path();
            if hierarchy.join("cgroup.procs").exists() {
                std::fs::create_dir_all(hierarchy.join(self.cgroup.trim_start_matches('/')))?;
            }
        }
        Ok(())
    }
}

async fn node_ready(client: &kube::Client) -> bool {
    let Ok(nodes) = Api::<Node>::all(client.clone()).list(&ListParams::default()).await else {
        return false;
    };
    nodes.items.iter().any(|node| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

async fn no_pods(client: &kube::Client) -> bool {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    pods.list_metadata(&ListParams::default()).await.is_ok_and(|pods| pods.items.is_empty())
}

/// Creates a pod, waits until it runs, and deletes it without waiting for its end.
async fn pod(client: &kube::Client, name: &str, image: &str) -> Result<Duration> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let pod: Pod = serde_json::from_value(serde_json::json!({
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": image, "args": ["pause"]}]},
    }))?;
    let watch = WatchParams::default().fields(&format!("metadata.name={name}"));
    let created = create_once_allowed(&pods, &pod).await?;
    let since = Instant::now();
    let version = created.metadata.resource_version.context("no resourceVersion")?;
    let mut changes = std::pin::pin!(pods.watch(&watch, &version).await?);
    while let Some(change) = changes.next().await {
        if let WatchEvent::Modified(pod) = change?
            && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        {
            let time = since.elapsed();
            pods.delete(name, &DeleteParams::default()).await?;
            return Ok(time);
        }
        if since.elapsed() > PATIENCE {
            break;
        }
    }
    bail!("pod {name} did not run")
}

/// A new cluster refuses pods until the namespace's service account is there.
async fn create_once_allowed(pods: &Api<Pod>, pod: &Pod) -> Result<Pod> {
    let since = Instant::now();
    loop {
        match pods.create(&PostParams::default(), pod).await {
            Ok(created) => return Ok(created),
            Err(kube::Error::Api(status)) if status.code == 403 && since.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
