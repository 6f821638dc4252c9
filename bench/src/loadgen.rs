//! The load: `bench/loadgen`, a program on client-go, as a child that does one work at a time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::Settings;
use crate::control_plane::ControlPlane;

/// How one work went. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) operations: u32,
    pub(crate) seconds: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Bytes of the answers, where they are counted.
    #[serde(default)]
    pub(crate) bytes: u64,
    /// Why the server does not do this at all.
    pub(crate) unsupported: Option<String>,
    /// The encoding of the answers so far: json, protobuf or mixed.
    pub(crate) answer_type: String,
}

/// A running load generator, connected to one control plane. Ends with its input, that is when dropped.
pub(crate) struct Loadgen {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Loadgen {
    pub(crate) fn start(settings: &Settings, plane: &ControlPlane, content_type: &str, nodes: usize) -> Result<Self> {
        let program = &settings.loadgen;
        let mut child = Command::new(program)
            .arg("--kubeconfig")
            .arg(plane.kubeconfig())
            .arg(format!("--content-type={content_type}"))
            .arg(format!("--objects={}", settings.objects))
            .arg(format!("--clients={}", settings.clients))
            .arg(format!("--watchers={}", settings.watchers))
            .arg(format!("--connections={}", settings.connections))
            .arg(format!("--padding={}", settings.padding))
            .arg(format!("--nodes={nodes}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}; bench/run builds it"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the load generator has no output")?);
        Ok(Self { child, input, output })
    }

    /// Does one work to its end.
    pub(crate) fn run(&mut self, work: &str) -> Result<Outcome> {
        let input = self.input.as_mut().context("the load generator has no input")?;
        writeln!(input, "{work}").context("the load generator has ended")?;
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the load generator gave up at {work:?}; it said why above");
        }
        serde_json::from_str(&line).with_context(|| format!("the load generator said {line:?}"))
    }
}

impl Drop for Loadgen {
    fn drop(&mut self) {
        self.input = None;
        // It ends by itself then; what it ends with is of no interest any more.
        let _ = self.child.wait();
    }
}
