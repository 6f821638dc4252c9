//! The API server under load: server CPU time, latency and rate of each kind of request, and memory, krab and upstream in turn.
//!
//! Both control planes run all the time; each work is done on one and then on the other, while the other has nothing to do. CPU time
//! of the server is the main figure: on a machine where client and server share the processors it says more than the clock does.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::Settings;
use crate::bare_etcd::{BareEtcd, Write};
use crate::control_plane::ControlPlane;
use crate::loadgen::{Loadgen, Outcome};
use crate::report::{Row, Table, Unit, machine};

/// What a server still does for an operation after it has answered counts as well.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);
/// The pods are spread over this many nodes: ten to a node when there are ten thousand.
const NODES: usize = 1000;
/// Servers that only serve: no controller or scheduler takes part.
const WITHOUT: &str = "scheduler,controller-manager";

/// What a write may cost krab and its etcd together, in times of what it costs an etcd alone.
const WRITE_ON_ETCD: f64 = 1.5;

/// Where krab keeps objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Datastore {
    Embedded,
    Etcd,
}

impl Datastore {
    pub(crate) fn named(name: &str) -> Result<Self> {
        match name {
            "embedded" => Ok(Datastore::Embedded),
            "etcd" => Ok(Datastore::Etcd),
            _ => bail!("--datastore={name} is not known; there are embedded and etcd"),
        }
    }
}

/// One row: a work of the load generator, and the server CPU time it may take.
struct Work {
    name: &'static str,
    what: &'static str,
    unit: Unit,
    /// On the embedded store, and of reads on etcd.
    target: f64,
}

const fn work(name: &'static str, what: &'static str, unit: Unit, target: f64) -> Work {
    Work { name, what, unit, target }
}

impl Work {
    /// What it does to each object in the store.
    fn write(&self) -> Option<Write> {
        match self.name {
            "create" => Some(Write::Create),
            "merge-patch" | "apply" => Some(Write::Update),
            "delete" => Some(Write::Delete),
            _ => None,
        }
    }
}

/// In order: each finds what the ones before it left.
const WORKS: &[Work] = &[
    work("create", "create", Unit::Microseconds, 150.0),
    work("get", "get", Unit::Microseconds, 50.0),
    work("list", "list all pods", Unit::Milliseconds, 15.0),
    work("page", "a page of 500", Unit::Milliseconds, 1.0),
    work("list-by-label", "list by label, 1 of 100", Unit::Milliseconds, 0.5),
    work("list-by-node", "list by spec.nodeName, 1 of 1,000", Unit::Milliseconds, 0.1),
    work("watch", "one update, seen by all watchers", Unit::Milliseconds, 0.4),
    work("merge-patch", "merge patch", Unit::Microseconds, 200.0),
    work("apply", "server-side apply", Unit::Microseconds, 300.0),
];
const DELETE: Work = work("delete", "delete", Unit::Microseconds, 200.0);
const TARGET_EMPTY_MB: f64 = 40.0;
const TARGET_FULL_MB: f64 = 120.0;

/// A control plane and its load.
struct Side {
    plane: ControlPlane,
    load: Loadgen,
    /// How many requests are under way at a time.
    clients: usize,
    /// Outlives the processes that write into it.
    _folder: tempfile::TempDir,
}

/// A work on one side.
struct Measured {
    outcome: Outcome,
    /// Server CPU time of one operation, in seconds; None if the server cannot do it.
    cpu: Option<f64>,
    /// How much of it is etcd's.
    etcd: Option<f64>,
}

impl Side {
    async fn measure(&mut self, work: &Work) -> Result<Measured> {
        let (before, of_etcd) = (self.plane.cpu()?, self.plane.etcd_cpu()?);
        let outcome = self.load.run(work.name)?;
        tokio::time::sleep(SETTLE).await;
        let spent = self.plane.cpu()?.saturating_sub(before);
        let by_etcd = self.plane.etcd_cpu()?.zip(of_etcd).map(|(now, before)| now.saturating_sub(before));
        self.plane.check()?;
        let each = |spent: Duration| spent.as_secs_f64() / f64::from(outcome.operations.max(1));
        let (cpu, etcd) = match outcome.unsupported {
            None => (Some(each(spent)), by_etcd.map(each)),
            Some(_) => (None, None),
        };
        Ok(Measured { outcome, cpu, etcd })
    }
}

pub(crate) async fn measure(settings: &Settings, datastore: Datastore, content_type: &str) -> Result<Table> {
    let programs =
        || settings.programs.as_deref().context("--datastore=etcd needs an etcd: give its folder as --programs");
    let mut krab = start(settings, content_type, |folder| match datastore {
        Datastore::Embedded => ControlPlane::krab(&settings.krab, folder, WITHOUT),
        Datastore::Etcd => ControlPlane::krab_on_etcd(&settings.krab, programs()?, folder, WITHOUT),
    })
    .await?;
    let mut bare = match datastore {
        Datastore::Embedded => None,
        Datastore::Etcd => Some(BareEtcd::start(programs()?).await?),
    };
    let mut upstream = match &settings.upstream {
        Some(programs) => Some(start(settings, content_type, |folder| ControlPlane::upstream(programs, folder)).await?),
        None => None,
    };
    let mut figures = Figures::default();
    figures.memory("resident memory, empty", TARGET_EMPTY_MB, &krab, upstream.as_ref())?;
    for work in WORKS {
        figures.work(work, &mut krab, upstream.as_mut(), bare.as_mut()).await?;
    }
    let full = format!("resident memory with {} pods, after all that", settings.objects);
    figures.memory(&full, TARGET_FULL_MB, &krab, upstream.as_ref())?;
    figures.work(&DELETE, &mut krab, upstream.as_mut(), bare.as_mut()).await?;
    let pod_kilobytes = |list: f64| list / settings.objects.max(1) as f64 / 1000.0;
    let how = format!(
        "Server CPU time of one operation (krab: the whole process{}, without scheduler and controllers; upstream: kube-apiserver + etcd), by client-go with {} bodies \
         over TLS and HTTP/2 without gzip: {} pods of {:.1} KB ({:.1} KB at upstream's), {} clients and {} watchers, {} connection(s) for each of the two groups. krab answers {}, upstream {}. On {}.",
        if bare.is_some() { " + its etcd" } else { "" },
        content_type,
        settings.objects,
        pod_kilobytes(figures.list_size.0),
        pod_kilobytes(figures.list_size.1),
        settings.clients,
        settings.watchers,
        settings.connections,
        figures.answers.0,
        figures.answers.1,
        machine()
    );
    for side in [Some(krab), upstream].into_iter().flatten() {
        drop(side.load);
        side.plane.stop()?;
    }
    let on = if let Some(bare) = bare {
        bare.stop()?;
        " on etcd"
    } else {
        ""
    };
    Ok(Table {
        name: format!("api{on}, {content_type}"),
        how,
        rows: figures.rows,
        more: figures.clock + &figures.shares,
    })
}

async fn start(
    settings: &Settings,
    content_type: &str,
    plane: impl FnOnce(&std::path::Path) -> Result<ControlPlane>,
) -> Result<Side> {
    let folder = tempfile::tempdir()?;
    let mut plane = plane(folder.path())?;
    plane.ready().await?;
    let load = Loadgen::start(settings, &plane, content_type, NODES)?;
    Ok(Side { plane, load, clients: settings.clients, _folder: folder })
}

/// What has been measured so far; pairs are krab's and upstream's.
struct Figures {
    rows: Vec<Row>,
    /// The second table: what the clients saw.
    clock: String,
    /// The encoding the answers had.
    answers: (String, String),
    /// Bytes of the list of all pods.
    list_size: (f64, f64),
    /// The third table, of krab on etcd: who spent what.
    shares: String,
}

impl Default for Figures {
    fn default() -> Self {
        let clock = "What the clients saw, who share the processors with the server:\n\n\
            | | krab | p50 | p99 | upstream | p50 | p99 |\n|---|---|---|---|---|---|---|\n";
        Self {
            rows: Vec::new(),
            clock: clock.to_owned(),
            answers: Default::default(),
            list_size: (0.0, 0.0),
            shares: String::new(),
        }
    }
}

impl Figures {
    fn memory(&mut self, what: &str, target: f64, krab: &Side, upstream: Option<&Side>) -> Result<()> {
        let upstream = upstream.map(|side| side.plane.resident()).transpose()?;
        let krab = Some(krab.plane.resident()?);
        self.rows.push(Row { what: what.to_owned(), unit: Unit::Megabytes, krab, upstream, target });
        Ok(())
    }

    /// Who spent what of a work on etcd, beside what an etcd spends on the same write when it is asked for nothing else.
    fn share(&mut self, work: &Work, krab: &Measured, alone: Option<f64>) {
        let (Some(both), Some(etcd)) = (krab.cpu, krab.etcd) else { return };
        if self.shares.is_empty() {
            self.shares.push_str(
                "\nWhose CPU time it is, and what the same writes cost an etcd that a bare client asks for nothing else:\n\n\
                 | | krab | its etcd | etcd alone | its etcd to etcd alone | krab + etcd to etcd alone |\n|---|---|---|---|---|---|\n",
            );
        }
        let to_alone =
            |spent: f64| alone.map(|alone| format!("{:.1}x", spent / alone.max(f64::MIN_POSITIVE))).unwrap_or_default();
        let time = |seconds: f64| work.unit.text(seconds * scale(work.unit));
        self.shares.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            work.what,
            time(both - etcd),
            time(etcd),
            alone.map(time).unwrap_or_default(),
            to_alone(etcd),
            to_alone(both)
        ));
    }

    async fn work(
        &mut self,
        work: &Work,
        side: &mut Side,
        upstream: Option<&mut Side>,
        bare: Option<&mut BareEtcd>,
    ) -> Result<()> {
        let krab = side.measure(work).await?;
        let alone = match (bare, work.write()) {
            (Some(bare), Some(write)) => {
                // What is deleted is not there to be learnt from any more.
                if write != Write::Delete {
                    bare.learn(side.plane.etcd_url().context("krab has no etcd")?).await?;
                }
                Some(bare.cost(write, side.clients).await?)
            }
            _ => None,
        };
        self.share(work, &krab, alone);
        let upstream = match upstream {
            Some(side) => Some(side.measure(work).await?),
            None => None,
        };
        let scale = scale(work.unit);
        let row = Row {
            what: work.what.to_owned(),
            unit: work.unit,
            krab: krab.cpu.map(|cpu| cpu * scale),
            upstream: upstream.as_ref().and_then(|upstream| upstream.cpu).map(|cpu| cpu * scale),
            target: alone.map_or(work.target, |alone| alone * WRITE_ON_ETCD * scale),
        };
        self.clock.push_str(&format!(
            "| {} | {} | {} |\n",
            work.what,
            clock(&krab.outcome),
            upstream.as_ref().map_or(" | | ".to_owned(), |side| clock(&side.outcome))
        ));
        if work.name == "list" {
            let size = |outcome: &Outcome| outcome.bytes as f64 / f64::from(outcome.operations.max(1));
            self.list_size = (size(&krab.outcome), upstream.as_ref().map_or(0.0, |side| size(&side.outcome)));
        }
        self.answers = (
            krab.outcome.answer_type,
            upstream.map_or_else(|| "was not asked".to_owned(), |side| side.outcome.answer_type),
        );
        self.rows.push(row);
        Ok(())
    }
}

/// How many of the unit make a second.
fn scale(unit: Unit) -> f64 {
    if unit == Unit::Milliseconds { 1e3 } else { 1e6 }
}

/// Operations a second and the time of one, as three cells.
fn clock(outcome: &Outcome) -> String {
    if outcome.unsupported.is_some() || outcome.seconds <= 0.0 {
        return "not yet | |".to_owned();
    }
    let milliseconds = |seconds: f64| Unit::Milliseconds.text(seconds * 1e3);
    let rate = Unit::PerSecond.text(f64::from(outcome.operations) / outcome.seconds);
    format!("{rate} | {} | {}", milliseconds(outcome.p50), milliseconds(outcome.p99))
}
