//! A control plane on an empty store: how long until /readyz, how much memory, and the same again with its data there.

use std::time::Duration;

use anyhow::Result;

use crate::Settings;
use crate::control_plane::ControlPlane;
use crate::report::{Row, Table, Unit, machine, median};

/// Time for background work to settle before memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// What issue 3 asks for.
const TARGET_SECONDS: f64 = 0.5;
const TARGET_MB: f64 = 60.0;

/// What one start showed.
#[derive(Clone, Copy)]
struct Start {
    seconds: f64,
    resident: f64,
}

pub(crate) async fn measure(settings: &Settings) -> Result<Table> {
    let (mut empty, mut again) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..settings.runs {
        let folder = tempfile::tempdir()?;
        for starts in [&mut empty.0, &mut again.0] {
            starts.push(start(ControlPlane::krab(&settings.krab, folder.path(), "")?).await?);
        }
        if let Some(programs) = &settings.upstream {
            let folder = tempfile::tempdir()?;
            for starts in [&mut empty.1, &mut again.1] {
                starts.push(start(ControlPlane::upstream(programs, folder.path())?).await?);
            }
        }
    }
    let row = |what: &str, unit, target, (krab, upstream): &(Vec<Start>, Vec<Start>), figure: fn(&Start) -> f64| Row {
        what: what.to_owned(),
        unit,
        krab: median(krab.iter().map(figure).collect()),
        upstream: median(upstream.iter().map(figure).collect()),
        target,
    };
    let seconds = |start: &Start| start.seconds;
    let resident = format!("resident memory {} s later", SETTLE.as_secs());
    Ok(Table {
        name: "start".to_owned(),
        how: format!(
            "`krab server --disable-node` (controllers and scheduler included) and upstream's kube-apiserver + etcd in turn; medians of {} runs each, on {}.",
            settings.runs,
            machine()
        ),
        rows: vec![
            row("start on an empty store to /readyz", Unit::Seconds, TARGET_SECONDS, &empty, seconds),
            row("restart on its data to /readyz", Unit::Seconds, TARGET_SECONDS, &again, seconds),
            row(&resident, Unit::Megabytes, TARGET_MB, &empty, |start| start.resident),
        ],
        more: String::new(),
    })
}

async fn start(mut plane: ControlPlane) -> Result<Start> {
    let seconds = plane.ready().await?.as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let resident = plane.resident()?;
    plane.stop()?;
    Ok(Start { seconds, resident })
}
