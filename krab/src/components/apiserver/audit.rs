//! What the flags of the audit log mean together. Upstream: `apiserver/pkg/server/options.AuditOptions`.

use anyhow::{Result, bail, ensure};
use apiserver::audit::{Batching, Config, Format, LogConfig, Mode, PolicyFile, Rotation, WebhookConfig};
use component::duration::GoDuration;
use component::flags::FlagSet;

use super::files;

/// Without a policy nothing is logged, as upstream warns; without a file and a webhook there is nowhere to log to.
pub(super) fn config(flags: &FlagSet) -> Result<Option<Config>> {
    let log = flags.optional("audit-log-path").map(|path| log(flags, path)).transpose()?;
    let webhook = flags.optional("audit-webhook-config-file").map(|path| webhook(flags, path)).transpose()?;
    if log.is_none() && webhook.is_none() {
        return Ok(None);
    }
    let Some(text) = files::optional(flags, "audit-policy-file")? else {
        tracing::warn!("No audit policy file provided, no events will be recorded");
        return Ok(None);
    };
    let policy = PolicyFile { path: flags.text("audit-policy-file").into(), text };
    Ok(Some(Config { policy, log, webhook }))
}

fn log(flags: &FlagSet, path: &str) -> Result<LogConfig> {
    let format = match flags.text("audit-log-format") {
        "json" => Format::Json,
        "legacy" => Format::Legacy,
        format => bail!("invalid audit log format {format}, allowed formats are \"legacy,json\""),
    };
    Ok(LogConfig {
        path: path.into(),
        format,
        rotation: Rotation {
            max_size: flags.parse::<u64>("audit-log-maxsize")? << 20,
            max_age_days: flags.parse("audit-log-maxage")?,
            max_backups: flags.parse("audit-log-maxbackup")?,
            compress: flags.is_set("audit-log-compress"),
        },
        mode: mode(flags, "log")?,
        max_event_size: max_event_size(flags, "log")?,
    })
}

fn webhook(flags: &FlagSet, kubeconfig: &str) -> Result<WebhookConfig> {
    let backoff = ["audit-webhook-batch-initial-backoff", "audit-webhook-initial-backoff"];
    // The older name of the two, where only that is given.
    let name = backoff.into_iter().find(|name| flags.given(name)).unwrap_or(backoff[1]);
    Ok(WebhookConfig {
        kubeconfig: kubeconfig.into(),
        initial_backoff: flags.parse::<GoDuration>(name)?.0,
        mode: mode(flags, "webhook")?,
        max_event_size: max_event_size(flags, "webhook")?,
    })
}

/// `--audit-BACKEND-mode` and its batches, and the version, of which there is one.
fn mode(flags: &FlagSet, backend: &str) -> Result<Mode> {
    let name = |own: &str| format!("audit-{backend}-{own}");
    let version = flags.text(&name("version"));
    ensure!(version == "audit.k8s.io/v1", "invalid group version, allowed versions are [\"audit.k8s.io/v1\"]");
    Ok(match flags.text(&name("mode")) {
        "blocking" => Mode::Blocking,
        "blocking-strict" => Mode::BlockingStrict,
        "batch" => Mode::Batch(batching(flags, backend)?),
        mode => bail!("invalid audit {backend} mode {mode}, allowed modes are \"batch,blocking,blocking-strict\""),
    })
}

fn batching(flags: &FlagSet, backend: &str) -> Result<Batching> {
    let name = |own: &str| format!("audit-{backend}-batch-{own}");
    let positive = |own: &str, what: &str| {
        let number: i64 = flags.parse(&name(own))?;
        ensure!(number > 0, "invalid audit batch {backend} {what} {number}, must be a positive number");
        Ok(usize::try_from(number)?)
    };
    let (buffer_size, max_size) = (positive("buffer-size", "buffer size")?, positive("max-size", "max batch size")?);
    let throttle = if flags.is_set(&name("throttle-enable")) {
        let rate: f64 = flags.parse(&name("throttle-qps"))?;
        ensure!(rate > 0.0, "invalid audit batch {backend} throttle QPS {rate}, must be a positive number");
        let burst = positive("throttle-burst", "throttle burst")?;
        Some((rate, u32::try_from(burst)?))
    } else {
        None
    };
    let max_wait = flags.parse::<GoDuration>(&name("max-wait"))?.0;
    Ok(Batching { buffer_size, max_size, max_wait, throttle })
}

/// Where events are truncated. They come one by one, as upstream's do, so that the size of batches limits nothing.
fn max_event_size(flags: &FlagSet, backend: &str) -> Result<Option<usize>> {
    let name = |own: &str| format!("audit-{backend}-truncate-{own}");
    let (event, batch): (i64, i64) = (flags.parse(&name("max-event-size"))?, flags.parse(&name("max-batch-size"))?);
    ensure!(event > 0, "invalid audit truncate {backend} max event size {event}, must be a positive number");
    ensure!(
        batch >= event,
        "invalid audit truncate {backend} max batch size {batch}, must be greater than max event size ({event})"
    );
    Ok(flags.is_set(&name("enabled")).then_some(usize::try_from(event)?))
}
