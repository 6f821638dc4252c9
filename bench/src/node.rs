//! A node on containerd: how long until it is Ready, and how long a pod takes from its creation to Running when its image is there.
//! Runs inside `hack/arena`, which gives it a network and a containerd of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, PostParams, WatchEvent, WatchParams};

use crate::Settings;
use crate::process::{Server, client, until};
use crate::report::{Row, Table, Unit, machine, median, percentile};

const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let variable =
        |name: &str| std::env::var(name).with_context(|| format!("{name} is not set: run this inside hack/arena"));
    let arena = variable("KRAB_ARENA")?;
    let data = format!("{arena}/data");
    let line = [
        "server".to_owned(),
        format!("--data-dir={data}"),
        "--node-name=bench".to_owned(),
        format!("--advertise-address={}", variable("KRAB_ARENA_IP")?),
        format!("--container-runtime-endpoint=unix://{}", variable("KRAB_ARENA_SOCKET")?),
        format!("--cni-conf-dir={}", variable("KRAB_ARENA_CNI")?),
        format!("--cgroup-root={}", variable("KRAB_ARENA_CGROUP")?),
    ];
    let since = Instant::now();
    let mut server = Server::start(&settings.krab, &line, &std::path::Path::new(&arena).join("krab.log"))?;
    let kubeconfig = std::path::Path::new(&data).join("admin.kubeconfig");
    let ready = until(since, PATIENCE, || async {
        match client(&kubeconfig).await {
            Some(client) => node_ready(&client).await,
            None => false,
        }
    })
    .await?;
    server.check()?;
    let client = client(&kubeconfig).await.context("no kubeconfig was written")?;
    let mut times = Vec::new();
    // The first pod also waits for what a new node has to do once; it is not counted.
    for number in 0..=settings.pods {
        let time = Box::pin(pod(&client, &format!("bench-{number}"), &settings.image)).await?;
        if number > 0 {
            times.push(time.as_secs_f64());
        }
    }
    let cpu_before = server.cpu()?;
    let idle = Duration::from_secs(20);
    tokio::time::sleep(idle).await;
    let share = (server.cpu()? - cpu_before).as_secs_f64() / idle.as_secs_f64() * 100.0;
    let resident = server.resident()?;
    server.stop()?;
    let row =
        |what: &str, unit, krab: Option<f64>, target| Row { what: what.to_owned(), unit, krab, upstream: None, target };
    Ok(Table {
        name: "node".to_owned(),
        how: format!(
            "`krab server` on Debian's containerd in `hack/arena`; {} pods, one after another, image present, on {}.",
            settings.pods,
            machine()
        ),
        rows: vec![
            row("start to node Ready", Unit::Seconds, Some(ready.as_secs_f64()), 5.0),
            row("pod created to Running, p50", Unit::Seconds, median(times.clone()), 1.0),
            row("pod created to Running, p99", Unit::Seconds, percentile(times, 0.99), 5.0),
            row("whole node resident", Unit::Megabytes, Some(resident), 80.0),
            row("idle, of one core", Unit::Percent, Some(share), 1.0),
        ],
        more: String::new(),
    })
}

async fn node_ready(client: &kube::Client) -> bool {
    let Ok(nodes) = Api::<Node>::all(client.clone()).list(&kube::api::ListParams::default()).await else {
        return false;
    };
    nodes.items.iter().any(|node| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
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
