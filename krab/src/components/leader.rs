//! `--leader-elect` and its sisters: work that is done only while leading. Upstream: component-base/config/options.

use anyhow::{Result, ensure};
use client::LeaderElection;
use component::Shutdown;
use component::duration::GoDuration;
use component::flags::{Flag, FlagSet};

/// The flags.
pub(super) const FLAGS: &[Flag] = &[
    Flag { default: "true", ..Flag::switch("leader-elect", "do the work only while holding the lease") },
    Flag::text("leader-elect-lease-duration", "15s", "silence after which others may take over"),
    Flag::text("leader-elect-renew-deadline", "10s", "who cannot renew for so long stops"),
    Flag::text("leader-elect-retry-period", "2s", "between two attempts"),
    Flag::text("leader-elect-resource-lock", "leases", "the kind of lock; there are leases"),
    Flag::text("leader-elect-resource-name", "", "name of the lease (default: the program's)"),
    Flag::text("leader-elect-resource-namespace", "kube-system", "its namespace"),
];

/// Runs `work`, while leading where election is on.
pub(super) async fn lead<E, W>(
    program: &str,
    flags: &FlagSet,
    client: kube::Client,
    shutdown: &Shutdown,
    work: impl FnOnce(Shutdown) -> W,
) -> Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
    W: Future<Output = Result<(), E>>,
{
    let Some(election) = election(program, flags)? else { return Ok(work(shutdown.clone()).await?) };
    match election.lead(client, shutdown, work).await? {
        Some(outcome) => Ok(outcome?),
        None => Ok(()),
    }
}

fn election(program: &str, flags: &FlagSet) -> Result<Option<LeaderElection>> {
    if !flags.is_set("leader-elect") {
        return Ok(None);
    }
    let lock = flags.text("leader-elect-resource-lock");
    ensure!(lock == "leases", "--leader-elect-resource-lock {lock}: only leases are supported");
    let duration = |name: &str| flags.parse::<GoDuration>(name).map(|duration| duration.0);
    let lease_duration = duration("leader-elect-lease-duration")?;
    let renew_deadline = duration("leader-elect-renew-deadline")?;
    let retry_period = duration("leader-elect-retry-period")?;
    ensure!(lease_duration > renew_deadline, "--leader-elect-renew-deadline must be less than the lease duration");
    // Retries are spread over up to 1.2 periods more.
    ensure!(
        renew_deadline > retry_period.mul_f64(1.2),
        "--leader-elect-retry-period leaves no time for a second attempt"
    );
    let identity = format!("{}_{}", crate::node::machine_name()?, uuid::Uuid::new_v4());
    Ok(Some(LeaderElection {
        namespace: flags.text("leader-elect-resource-namespace").to_owned(),
        lease_duration,
        renew_deadline,
        retry_period,
        ..LeaderElection::new(flags.optional("leader-elect-resource-name").unwrap_or(program), identity)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Option<LeaderElection>> {
        election("kube-scheduler", &FlagSet::resolve(FLAGS, line.iter().map(|word| (*word).to_owned()), |_| None)?)
    }

    #[test]
    fn election_is_on_with_upstreams_patience() {
        let election = read(&[]).unwrap().unwrap();
        assert_eq!((election.name.as_str(), election.namespace.as_str()), ("kube-scheduler", "kube-system"));
        assert_eq!(election.lease_duration.as_secs(), 15);
        assert!(read(&["--leader-elect=false"]).unwrap().is_none());
    }

    #[test]
    fn periods_that_cannot_work_are_refused() {
        for line in [
            ["--leader-elect-lease-duration=10s"],
            ["--leader-elect-retry-period=9s"],
            ["--leader-elect-resource-lock=endpoints"],
            ["--leader-elect-renew-deadline=soon"],
        ] {
            assert!(read(&line).is_err(), "{line:?}");
        }
    }
}
