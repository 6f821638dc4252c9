//! Speed and size, measured: `bench/run` builds krab, runs this, and writes `bench/results.md`.
//!
//! Each figure comes with its target and, where upstream can be run beside krab, with upstream's figure from the same run. The machine
//! and its load are named, since absolute numbers move from machine to machine: what counts is the ratio.

#![allow(clippy::print_stdout, reason = "a command that reports on standard output")]

mod api;
mod bare_etcd;
mod control_plane;
mod definitions;
mod informers;
mod loadgen;
mod node;
mod process;
mod report;
mod scheduler;
mod start;

use anyhow::{Result, bail};
use component::flags::{Flag, FlagSet};

use api::Datastore;
use report::Report;

const FLAGS: &[Flag] = &[
    Flag::text("krab", "target/release/krab", "the binary to measure"),
    Flag::text("build", "release", "how it was built, for the tables: release, guided"),
    Flag::text("upstream", "", "folder with upstream's programs; empty measures krab alone"),
    Flag::text("loadgen", "", "api, informers, definitions, scheduler: the load generator, as bench/run builds it"),
    Flag::text("runs", "5", "start: runs of each control plane"),
    Flag::list("content-type", "json,protobuf", "api: encodings of the bodies, a table each"),
    Flag::list(
        "datastore",
        "embedded",
        "api: where krab keeps objects: embedded, etcd (from --programs); tables for each",
    ),
    Flag::text("programs", "", "api --datastore etcd: folder with etcd (default: that of --upstream)"),
    Flag::text("objects", "10000", "api, scheduler: pods"),
    Flag::text("clients", "16", "api, scheduler: clients at the same time"),
    Flag::text("watchers", "50", "api: watchers"),
    Flag::text("connections", "1", "api, scheduler: connections the clients share, and as many for the watchers"),
    Flag::text("nodes", "5000", "scheduler: nodes"),
    Flag::text("padding", "0", "api: bytes of an annotation that makes each pod larger"),
    Flag::switch("smoke", "api: a few objects on krab alone, to see that the measurement works; writes no results"),
    Flag::text("pods", "20", "node: pods to start, one after another"),
    Flag::text("image", "registry.k8s.io/e2e-test-images/agnhost:2.66.1", "node: image of these pods, already there"),
    Flag::text("results", "bench/results.md", "where the tables go"),
    Flag::switch("help", "this text"),
];

const USAGE: &str =
    "usage: bench MEASUREMENT... [FLAGS]; measurements: start, node, api, informers, definitions, scheduler";

/// What a measurement needs to know.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) krab: String,
    pub(crate) upstream: Option<String>,
    /// Where etcd is found.
    pub(crate) programs: Option<String>,
    pub(crate) loadgen: String,
    pub(crate) runs: usize,
    pub(crate) objects: usize,
    pub(crate) clients: usize,
    pub(crate) watchers: usize,
    pub(crate) connections: usize,
    pub(crate) nodes: usize,
    pub(crate) padding: usize,
    pub(crate) smoke: bool,
    pub(crate) pods: usize,
    pub(crate) image: String,
}

impl Settings {
    fn from_flags(flags: &FlagSet) -> Result<Settings> {
        let smoke = flags.parse("smoke")?;
        // A smoke test is to end within seconds, of a debug build too.
        let count = |name: &str, few: usize| -> Result<usize> {
            let asked: usize = flags.parse(name)?;
            Ok(if smoke { asked.min(few) } else { asked })
        };
        Ok(Settings {
            krab: flags.text("krab").to_owned(),
            upstream: flags.optional("upstream").filter(|_| !smoke).map(str::to_owned),
            programs: flags.optional("programs").or(flags.optional("upstream")).map(str::to_owned),
            loadgen: flags.text("loadgen").to_owned(),
            runs: count("runs", 1)?,
            objects: count("objects", 40)?,
            clients: count("clients", 4)?,
            watchers: count("watchers", 5)?,
            connections: count("connections", 2)?,
            nodes: count("nodes", 10)?,
            padding: flags.parse("padding")?,
            smoke,
            pods: flags.parse("pods")?,
            image: flags.text("image").to_owned(),
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = arguments.iter().position(|argument| argument.starts_with("--")).unwrap_or(arguments.len());
    let flags = FlagSet::resolve(FLAGS, arguments.split_off(at), |name| std::env::var(name).ok())?;
    if flags.parse("help")? {
        println!("{USAGE}\n{}", component::flags::help(FLAGS));
        return Ok(());
    }
    if arguments.is_empty() {
        bail!(USAGE);
    }
    let settings = Settings::from_flags(&flags)?;
    let mut report = Report::open(flags.text("results"))?;
    for measurement in &arguments {
        let mut tables = match measurement.as_str() {
            "start" => vec![start::measure(&settings).await?],
            "node" => vec![node::measure(&settings).await?],
            "informers" => vec![informers::measure(&settings).await?],
            "definitions" => vec![definitions::measure(&settings).await?],
            "scheduler" => vec![scheduler::measure(&settings).await?],
            "api" => {
                let mut tables = Vec::new();
                for datastore in flags.list("datastore") {
                    let datastore = Datastore::named(datastore)?;
                    for content_type in flags.list("content-type") {
                        tables.push(api::measure(&settings, datastore, content_type).await?);
                    }
                }
                tables
            }
            other => bail!("no measurement {other:?}; {USAGE}"),
        };
        for table in &mut tables {
            table.how.push_str(&format!(" krab is a {} build.", flags.text("build")));
            println!("{}", table.markdown());
            report.replace(table);
        }
        if !settings.smoke {
            report.write()?;
        }
    }
    Ok(())
}
