//! Speed and size, measured: `bench/run` builds krab, runs this, and writes `bench/results.md`.
//!
//! Each figure comes with its target and, where upstream can be run beside krab, with upstream's figure from the same run.
//! Figures are medians of several runs; the machine is named, since absolute numbers move from machine to machine.

#![allow(clippy::print_stdout, reason = "a command that reports on standard output")]

mod node;
mod process;
mod report;
mod start;

use anyhow::{Result, bail};
use component::flags::{Flag, FlagSet};

use report::Report;

const FLAGS: &[Flag] = &[
    Flag::text("krab", "target/release/krab", "the binary to measure"),
    Flag::text("upstream", "", "folder with upstream's kube-apiserver and etcd; empty measures krab alone"),
    Flag::text("runs", "5", "runs of each measurement"),
    Flag::text("pods", "20", "pods to start, one after another"),
    Flag::text("image", "registry.k8s.io/e2e-test-images/agnhost:2.66.1", "image of these pods, already on the node"),
    Flag::text("results", "bench/results.md", "where the tables go"),
];

/// What a measurement needs to know.
pub(crate) struct Settings {
    pub(crate) krab: String,
    pub(crate) upstream: Option<String>,
    pub(crate) runs: usize,
    pub(crate) pods: usize,
    pub(crate) image: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = arguments.iter().position(|argument| argument.starts_with("--")).unwrap_or(arguments.len());
    let flags = FlagSet::resolve(FLAGS, arguments.split_off(at), |name| std::env::var(name).ok())?;
    let settings = Settings {
        krab: flags.text("krab").to_owned(),
        upstream: flags.optional("upstream").map(str::to_owned),
        runs: flags.parse("runs")?,
        pods: flags.parse("pods")?,
        image: flags.text("image").to_owned(),
    };
    if arguments.is_empty() {
        bail!("usage: bench MEASUREMENT... [FLAGS]; measurements: start, node");
    }
    let mut report = Report::open(flags.text("results"))?;
    for measurement in &arguments {
        let table = match measurement.as_str() {
            "start" => start::measure(&settings).await?,
            "node" => Box::pin(node::measure(&settings)).await?,
            other => bail!("no measurement {other:?}; there are start, node"),
        };
        println!("{}", table.markdown());
        report.replace(&table);
    }
    report.write()
}
