//! What one CustomResourceDefinition costs: clusters have hundreds, most of them of operators that use a few.
//!
//! Definitions of 22 KB with 210 fields come from several clients at once, and the resource of each is listed as soon as it is served;
//! then an object of each is made, which takes its schema and its rules. One control plane after the other.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::Settings;
use crate::control_plane::ControlPlane;
use crate::loadgen::Loadgen;
use crate::report::{Row, Table, Unit, machine};

const DEFINITIONS: usize = 500;
const CLIENTS: usize = 8;
/// Time for background work to settle before memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// What issue 4 asks for.
const TARGET_MB: f64 = 0.5;
/// What it took before there was a target, and half as much again.
const TARGET_MS: f64 = 20.0;

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let settings = Settings { objects: settings.objects.min(DEFINITIONS), clients: CLIENTS, ..settings.clone() };
    let krab =
        side(&settings, |folder| ControlPlane::krab(&settings.krab, folder, "scheduler,controller-manager")).await?;
    let upstream = match &settings.upstream {
        Some(programs) => Some(side(&settings, |folder| ControlPlane::upstream(programs, folder)).await?),
        None => None,
    };
    let row = |what: &str, unit, target, figure: fn(&Costs) -> f64| Row {
        what: what.to_owned(),
        unit,
        krab: Some(figure(&krab)),
        upstream: upstream.as_ref().map(figure),
        target,
    };
    let rows = vec![
        row("CPU time of one definition, until its resource is listed", Unit::Milliseconds, TARGET_MS, |costs| {
            costs.cpu
        }),
        row("resident memory of one definition", Unit::Megabytes, TARGET_MB, |costs| costs.listed),
        row("the same, with an object of it", Unit::Megabytes, TARGET_MB, |costs| costs.used),
    ];
    let how = format!(
        "{} definitions of 22 KB with 210 fields, made by {CLIENTS} clients at once who list each resource when it is served, then an object of \
         each; what the server's memory grew by, divided by their number. One control plane after the other. On {}.",
        settings.objects,
        machine()
    );
    Ok(Table { name: "definitions".to_owned(), how, rows, more: String::new() })
}

/// Of one definition, in milliseconds and MB.
struct Costs {
    cpu: f64,
    listed: f64,
    used: f64,
}

async fn side(settings: &Settings, plane: impl FnOnce(&Path) -> Result<ControlPlane>) -> Result<Costs> {
    let folder = tempfile::tempdir()?;
    let mut plane = plane(folder.path())?;
    plane.ready().await?;
    let mut load = Loadgen::start(settings, &plane, "json", 1)?;
    tokio::time::sleep(SETTLE).await;
    #[allow(clippy::cast_precision_loss, reason = "some hundred")]
    let each = settings.objects as f64;
    let (empty, idle) = (plane.resident()?, plane.cpu()?);
    load.run("definitions")?;
    let cpu = (plane.cpu()? - idle).as_secs_f64() * 1000.0 / each;
    tokio::time::sleep(SETTLE).await;
    let listed = (plane.resident()? - empty) / each;
    load.run("custom")?;
    tokio::time::sleep(SETTLE).await;
    let used = (plane.resident()? - empty) / each;
    plane.check()?;
    drop(load);
    plane.stop()?;
    Ok(Costs { cpu, listed, used })
}
