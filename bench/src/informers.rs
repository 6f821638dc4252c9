//! What many large lists at once cost in memory: informers that start together are what takes API servers down (KEP-3157).
//!
//! 400 MB of secrets; 16 clients list them whole, then 1,024 clients begin to, stop reading and wait for each other; then the same with
//! watches that begin with all secrets. The highest resident memory during that is the figure. Upstream is asked by 16 only: what 1,024 do to it would end the measurement, and maybe the machine.

use anyhow::Result;

use crate::Settings;
use crate::control_plane::ControlPlane;
use crate::loadgen::Loadgen;
use crate::report::{Row, Table, Unit, machine};

/// Each takes 1 MB of a list.
const SECRETS: usize = 400;
const FEW: usize = 16;
const MANY: usize = 1024;
/// Upstream's issue has no figure for one who lists; what is there twice over is room enough.
const TARGET_FEW_MB: f64 = 1000.0;
const TARGET_MANY_MB: f64 = 2000.0;

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let krab =
        side(settings, MANY, |folder| ControlPlane::krab(&settings.krab, folder, "scheduler,controller-manager"));
    let krab = krab.await?;
    let upstream = match &settings.upstream {
        Some(programs) => Some(side(settings, FEW, |folder| ControlPlane::upstream(programs, folder)).await?),
        None => None,
    };
    let row = |what: String, figure: fn(&Peaks) -> Option<f64>, target| Row {
        what,
        unit: Unit::Megabytes,
        krab: figure(&krab),
        upstream: upstream.as_ref().and_then(figure),
        target,
    };
    let rows = vec![
        row(format!("resident memory with {SECRETS} MB of secrets"), |peaks| Some(peaks.before), TARGET_FEW_MB),
        row(format!("highest while {FEW} clients list them whole"), |peaks| Some(peaks.few), TARGET_FEW_MB),
        row(format!("highest while {MANY} clients are in the middle of it"), |peaks| peaks.many, TARGET_MANY_MB),
        row(
            format!("highest while {MANY} clients are in the middle of the first events of a watch"),
            |peaks| peaks.watches,
            TARGET_MANY_MB,
        ),
    ];
    let how = format!(
        "{SECRETS} secrets of 1 MB, listed by clients that have a connection each, without gzip, as JSON. {FEW} read to the end; {MANY} read 1 MB, \
         wait for each other and go away; as do {MANY} whose watch begins with the secrets. One control plane after the other. On {}.",
        machine()
    );
    Ok(Table { name: "informers".to_owned(), how, rows, more: String::new() })
}

/// In MB.
struct Peaks {
    before: f64,
    few: f64,
    many: Option<f64>,
    watches: Option<f64>,
}

async fn side(
    settings: &Settings,
    most: usize,
    plane: impl FnOnce(&std::path::Path) -> Result<ControlPlane>,
) -> Result<Peaks> {
    let folder = tempfile::tempdir()?;
    let mut plane = plane(folder.path())?;
    plane.ready().await?;
    let few = Settings { objects: SECRETS, clients: FEW, ..settings.clone() };
    let mut load = Loadgen::start(&few, &plane, "json", 1)?;
    load.run("secrets")?;
    let before = plane.resident()?;
    let few = peak(&mut plane, &mut load, "list-secrets")?;
    drop(load);
    let (many, watches) = if most < MANY {
        (None, None)
    } else {
        let mut load = Loadgen::start(&Settings { clients: MANY, ..settings.clone() }, &plane, "json", 1)?;
        let many = peak(&mut plane, &mut load, "hold-secrets")?;
        (Some(many), Some(peak(&mut plane, &mut load, "hold-watches")?))
    };
    plane.stop()?;
    Ok(Peaks { before, few, many, watches })
}

fn peak(plane: &mut ControlPlane, load: &mut Loadgen, work: &str) -> Result<f64> {
    plane.forget_peak()?;
    load.run(work)?;
    plane.check()?;
    plane.peak()
}
