//! Pods scheduled end to end: created by clients, bound by the scheduler, seen bound by a watcher. krab's scheduler on krab, then
//! upstream's on upstream; each with the whole machine, since here the rate is the figure.

use anyhow::Result;

use crate::Settings;
use crate::control_plane::ControlPlane;
use crate::loadgen::{Loadgen, Outcome};
use crate::report::{Row, Table, Unit, machine};

const TARGET_RATE: f64 = 1000.0;
/// Of what a pod may take from its creation to being bound there is no target for a burst of all pods at once; this is the time at the
/// rate above.
const TARGET_LATENCY_OF_ALL: f64 = 1.0 / TARGET_RATE;
/// Server CPU time of a pod: what leaves the clients half of two processors at the rate above.
const TARGET_CPU: f64 = 1000.0;

/// One control plane's run.
struct Run {
    outcome: Outcome,
    /// Of API server and scheduler together, in microseconds a pod.
    cpu: f64,
    resident: f64,
}

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let krab = {
        let folder = tempfile::tempdir()?;
        run(settings, ControlPlane::krab(&settings.krab, folder.path(), "controller-manager")?, None).await?
    };
    let upstream = match &settings.upstream {
        Some(programs) => {
            let folder = tempfile::tempdir()?;
            let plane = ControlPlane::upstream(programs, folder.path())?;
            Some(run(settings, plane, Some((programs, folder.path()))).await?)
        }
        None => None,
    };
    let row = |what: &str, unit, target, figure: fn(&Run) -> f64| Row {
        what: what.to_owned(),
        unit,
        krab: Some(figure(&krab)),
        upstream: upstream.as_ref().map(figure),
        target,
    };
    let all = f64::from(krab.outcome.operations) * TARGET_LATENCY_OF_ALL;
    Ok(Table {
        name: "scheduler".to_owned(),
        how: format!(
            "{} pods with requests, created by {} clients as fast as they can, on {} nodes in 3 zones, until all are bound; client-go with JSON bodies. \
             krab: one process with its scheduler; upstream: kube-apiserver, etcd and kube-scheduler with 5,000 requests a second. On {}.",
            settings.objects,
            settings.clients,
            settings.nodes,
            machine()
        ),
        rows: vec![
            row("created to bound, all pods", Unit::PerSecond, TARGET_RATE, |run| {
                f64::from(run.outcome.operations) / run.outcome.seconds
            }),
            row("created to bound, one pod of the burst, p50", Unit::Seconds, all / 2.0, |run| run.outcome.p50),
            row("created to bound, one pod of the burst, p99", Unit::Seconds, all, |run| run.outcome.p99),
            row("CPU time of a pod", Unit::Microseconds, TARGET_CPU, |run| run.cpu),
            row("resident memory after", Unit::Megabytes, 200.0, |run| run.resident),
        ],
        more: String::new(),
    })
}

/// Makes the nodes before the scheduler of `upstream` is there (krab's is from the start), then schedules.
async fn run(settings: &Settings, mut plane: ControlPlane, upstream: Option<(&str, &std::path::Path)>) -> Result<Run> {
    plane.ready().await?;
    let mut load = Loadgen::start(settings, &plane, "json", settings.nodes)?;
    load.run("nodes")?;
    if let Some((programs, folder)) = upstream {
        plane.add_upstream_scheduler(programs, folder)?;
    }
    // Time to take in the nodes.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let before = plane.cpu()?;
    let outcome = load.run("schedule")?;
    let spent = plane.cpu()?.saturating_sub(before);
    let resident = plane.resident()?;
    drop(load);
    plane.stop()?;
    let cpu = spent.as_secs_f64() * 1e6 / f64::from(outcome.operations.max(1));
    Ok(Run { outcome, cpu, resident })
}
