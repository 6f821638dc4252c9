//! `krab scheduler`, or krab called `kube-scheduler`. Upstream: cmd/kube-scheduler.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use component::config_file::{self, Error, Field, Fields};
use component::flags::{Flag, FlagSet, Kind};

use super::{EVERYWHERE, SERVING, leader};
use crate::{files, process};

const OWN: &[Flag] = &[
    Flag::text("config", "", "KubeSchedulerConfiguration file"),
    Flag::text("kubeconfig", "", "how to reach the API server"),
    Flag::text("master", "", "address of the API server, over the kubeconfig's"),
    Flag::inert("contention-profiling", Kind::Bool),
    Flag::inert("kube-api-burst", Kind::Text),
    Flag::inert("kube-api-content-type", Kind::Text),
    Flag::inert("kube-api-qps", Kind::Text),
    Flag::inert("pod-max-in-unschedulable-pods-duration", Kind::Text),
    Flag::inert("profiling", Kind::Bool),
    Flag::inert("write-config-to", Kind::Text),
];

/// Fields of KubeSchedulerConfiguration that are known and have no effect here.
const WITHOUT_EFFECT: &[&str] = &[
    "parallelism",
    "leaderElection",
    "enableProfiling",
    "enableContentionProfiling",
    "extenders",
    "delayCacheUntilActive",
];

/// All flags of the scheduler.
pub(crate) fn flags() -> Vec<Flag> {
    [OWN, leader::FLAGS, SERVING, EVERYWHERE].concat()
}

/// Runs the scheduler until a signal.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    let file = flags.optional("config").map(PathBuf::from);
    let mut settings = Settings::default();
    if let Some(path) = &file {
        let applied = settings.apply_file(&files::read(path)?);
        applied.with_context(|| format!("cannot use {}", path.display()))?;
    }
    process::run(&flags, async |shutdown| {
        files::warn_without_effect(Path::new(flags.text("config")), &settings.ineffective);
        let kubeconfig = settings.kubeconfig.as_deref().or(flags.optional("kubeconfig"));
        let client = super::client(kubeconfig, flags.optional("master")).await?;
        let work = |term| scheduler::run(settings.config.clone(), client.clone(), term);
        leader::lead("kube-scheduler", &flags, client.clone(), shutdown, work).await
    })
}

/// What the file sets.
#[derive(Debug, Default)]
struct Settings {
    config: scheduler::Config,
    kubeconfig: Option<String>,
    ineffective: Vec<String>,
}

impl Settings {
    fn apply_file(&mut self, yaml: &str) -> Result<(), Error> {
        let fields = config_file::parse(yaml, "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration")?;
        let mut ineffective = Vec::new();
        let more = config_file::apply(&fields, WITHOUT_EFFECT, |field| {
            let config = &mut self.config;
            match field.name {
                "percentageOfNodesToScore" => config.percentage_of_nodes_to_score = field.number()?,
                "podInitialBackoffSeconds" => config.pod_initial_backoff_seconds = field.number()?,
                "podMaxBackoffSeconds" => config.pod_max_backoff_seconds = field.number()?,
                "profiles" => apply_profiles(config, field, &mut ineffective)?,
                "clientConnection" => self.kubeconfig = kubeconfig(field.map()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        self.ineffective.extend(ineffective.into_iter().chain(more));
        Ok(())
    }
}

/// There is one profile: its name counts, its plugins are the default ones.
fn apply_profiles(
    config: &mut scheduler::Config,
    field: &Field<'_>,
    ineffective: &mut Vec<String>,
) -> Result<(), Error> {
    let profiles = field.list()?;
    for (at, profile) in profiles.iter().enumerate() {
        let profile = Field { name: "profiles", value: profile }.map()?;
        for (name, value) in profile {
            match name.as_str() {
                "schedulerName" if at == 0 => config.scheduler_name = Field { name, value }.text()?.to_owned(),
                "percentageOfNodesToScore" if at == 0 => {
                    config.percentage_of_nodes_to_score = Field { name, value }.number()?;
                }
                "schedulerName" | "percentageOfNodesToScore" | "plugins" | "pluginConfig" => {
                    ineffective.push(format!("profiles[{at}].{name}"));
                }
                other => return Err(Error::Unknown(format!("profiles[{at}].{other}"))),
            }
        }
    }
    Ok(())
}

fn kubeconfig(connection: &Fields) -> Option<String> {
    connection.get("kubeconfig")?.as_str().filter(|path| !path.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_as_kubeadm_users_write_it_is_applied() {
        let mut settings = Settings::default();
        let file = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n\
                    clientConnection: {kubeconfig: /k}\npodMaxBackoffSeconds: 5\nparallelism: 16\n\
                    profiles: [{schedulerName: mine, plugins: {}}, {schedulerName: other}]\n";
        settings.apply_file(file).unwrap();
        assert_eq!((settings.config.scheduler_name.as_str(), settings.config.pod_max_backoff_seconds), ("mine", 5));
        assert_eq!(settings.kubeconfig.as_deref(), Some("/k"));
        assert_eq!(settings.ineffective, ["profiles[0].plugins", "profiles[1].schedulerName", "parallelism"]);
        assert!(Settings::default().apply_file(&file.replace("parallelism", "paralelism")).is_err());
    }
}
