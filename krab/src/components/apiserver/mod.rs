//! `krab apiserver`, or krab called `kube-apiserver`. Upstream: cmd/kube-apiserver.

mod audit;
mod authentication;
mod authorization;
mod files;
mod flags;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use apiserver::controlplane::{EndpointReconciler, Limits, RuntimeConfig};
use apiserver::endpoints::negotiation::Formats;
use apiserver::filters::cors::Cors;
use apiserver::server::settings::{Settings, strict_transport_security};
use apiserver::server::tls;
use apiserver::{ControlPlane, Options};
use component::Shutdown;
use component::duration::GoDuration;
use component::flags::FlagSet;
use ipnet::IpNet;

pub(crate) use self::flags::flags;
use crate::storage::Storage;
use crate::{node, process};

/// Serves until a signal.
pub(crate) fn run(flags: FlagSet) -> Result<()> {
    flags::refuse(&flags)?;
    let options = options(&flags)?;
    process::run(&flags, async |shutdown| serve(&flags, options, shutdown).await)
}

async fn serve(flags: &FlagSet, options: Options, shutdown: &Shutdown) -> Result<()> {
    let store = Arc::new(Storage::new(flags)?.open().await?);
    let served = async {
        let plane = ControlPlane::start(options, store.clone(), shutdown.clone()).await?;
        tracing::info!(address = %plane.address, "serving");
        shutdown.cancelled().await;
        plane.drained().await;
        anyhow::Ok(())
    };
    let outcome = served.await;
    shutdown.cancel();
    store.close().await.context("the store did not close in order")?;
    outcome
}

/// What the flags mean together. Upstream: `app/options.CompletedOptions`.
fn options(flags: &FlagSet) -> Result<Options> {
    let bind: IpAddr = flags.parse("bind-address")?;
    let advertise = match flags.optional("advertise-address") {
        Some(_) => flags.parse("advertise-address")?,
        None if bind.is_unspecified() || bind.is_loopback() => node::own_address(),
        None => bind,
    };
    let service_ranges = flags
        .list("service-cluster-ip-range")
        .into_iter()
        .map(|range| range.parse().with_context(|| format!("--service-cluster-ip-range: {range:?} is no range")))
        .collect::<Result<Vec<IpNet>>>()?;
    ensure!(service_ranges.len() <= 2, "--service-cluster-ip-range must not contain more than two entries");
    let authorization = authorization::configuration(flags)?;
    // As upstream has it, only where flags say so.
    let always_allowed = authorization.always_allows() && authorization.source.is_none();
    let issuers = authentication::issuers(flags)?;
    let credentials = files::credentials(flags, advertise, &service_ranges)?;
    let listen = SocketAddr::new(bind, flags.parse("secure-port")?);
    Ok(Options {
        endpoint_reconciler: endpoint_reconciler(flags)?,
        reload: Some(files::reload(flags)),
        external_hostname: flags.optional("external-hostname").map(str::to_owned),
        anonymous: authentication::anonymous(flags, &issuers, always_allowed)?,
        issuers,
        token_webhook: authentication::token_webhook(flags)?,
        formats: Formats { cbor: cbor_is_on(flags)?, ..Formats::default() },
        runtime_config: runtime_config(flags)?,
        audit: audit::config(flags)?,
        limits: Limits {
            max_requests_inflight: flags.parse("max-requests-inflight")?,
            max_mutating_requests_inflight: flags.parse("max-mutating-requests-inflight")?,
            priority_and_fairness: flags.is_set("enable-priority-and-fairness"),
        },
        settings: settings(flags)?,
        tls: tls::Parameters::new(
            flags.text("tls-min-version"),
            &flags.list("tls-cipher-suites"),
            &flags.list("tls-curve-preferences"),
            !flags.is_set("disable-http2-serving"),
        )?,
        permit_port_sharing: flags.is_set("permit-port-sharing"),
        event_ttl: flags.parse::<GoDuration>("event-ttl")?.0,
        bootstrap_tokens: flags.is_set("enable-bootstrap-token-auth"),
        authorization,
        admission: files::admission(flags)?,
        ..Options::new(listen, advertise, service_ranges, credentials)
    })
}

/// How requests and connections are treated. Upstream: `options.ServerRunOptions`.
fn settings(flags: &FlagSet) -> Result<Settings> {
    let duration = |name: &str| flags.parse::<GoDuration>(name).map(|duration| duration.0);
    let goaway_chance: f64 = flags.parse("goaway-chance")?;
    ensure!((0.0..=0.02).contains(&goaway_chance), "--goaway-chance can not be less than 0 or greater than 0.02");
    let streams: u32 = flags.parse("http2-max-streams-per-connection")?;
    Ok(Settings {
        flags: self::flags::shown(&self::flags(), flags),
        profiling: flags.is_set("profiling"),
        request_timeout: duration("request-timeout")?,
        min_request_timeout: Duration::from_secs(flags.parse("min-request-timeout")?),
        cors: Cors::new(&flags.list("cors-allowed-origins"))?,
        strict_transport_security: strict_transport_security(&flags.list("strict-transport-security-directives"))?,
        goaway_chance,
        livez_grace_period: duration("livez-grace-period")?,
        shutdown_delay: duration("shutdown-delay-duration")?,
        http2_max_streams: (streams > 0).then_some(streams),
    })
}

/// Is CBOR served? The only feature gate there is: the others are as upstream has them by default.
fn cbor_is_on(flags: &FlagSet) -> Result<bool> {
    let mut on = false;
    for gate in flags.list("feature-gates") {
        let (name, value) =
            gate.split_once('=').with_context(|| format!("--feature-gates: missing bool value for {gate}"))?;
        let value = value.parse().with_context(|| format!("--feature-gates: invalid value of {name}: {value}"))?;
        match name {
            "CBORServingAndStorage" => on = value,
            _ => tracing::warn!(gate, "--feature-gates: this gate stays as upstream has it by default"),
        }
    }
    Ok(on)
}

fn endpoint_reconciler(flags: &FlagSet) -> Result<EndpointReconciler> {
    let count: usize = flags.parse("apiserver-count")?;
    ensure!(count > 0, "--apiserver-count should be a positive number, but value '0' provided");
    Ok(match flags.text("endpoint-reconciler-type") {
        "lease" => EndpointReconciler::Lease,
        "master-count" => EndpointReconciler::MasterCount(count),
        "none" => EndpointReconciler::None,
        other => bail!(
            "--endpoint-reconciler-type: unknown endpoint reconciler {other:?}; there are lease, master-count, none"
        ),
    })
}

fn runtime_config(flags: &FlagSet) -> Result<RuntimeConfig> {
    let config = RuntimeConfig::parse(&flags.list("runtime-config")).context("--runtime-config")?;
    if config.asks_for_more() {
        tracing::warn!("--runtime-config: what upstream does not serve by default is not part of krab");
    }
    Ok(config)
}
