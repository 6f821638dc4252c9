//! What the flags of authorization mean together. Upstream: `pkg/kubeapiserver/options.BuiltInAuthorizationOptions`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use apiserver::authorization::configuration::{Configuration, Mode, ReviewVersion, WebhookSettings};
use component::duration::GoDuration;
use component::flags::FlagSet;

/// How long a webhook named by flags may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// The flags that say what a configuration file would say.
const IN_PLACE_OF_A_FILE: [&str; 5] = [
    "authorization-mode",
    "authorization-webhook-config-file",
    "authorization-webhook-version",
    "authorization-webhook-cache-authorized-ttl",
    "authorization-webhook-cache-unauthorized-ttl",
];

/// The authorizers that are wanted, in their order.
pub(super) fn configuration(flags: &FlagSet) -> Result<Configuration> {
    let policy_file = flags.optional("authorization-policy-file").map(PathBuf::from);
    if let Some(file) = flags.optional("authorization-config") {
        ensure!(
            !IN_PLACE_OF_A_FILE.iter().any(|name| flags.given(name)),
            "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined"
        );
        return Ok(Configuration { policy_file, ..Configuration::read(Path::new(file))? });
    }
    let modes = flags.list("authorization-mode");
    let has = |mode: &str| modes.contains(&mode);
    ensure!(policy_file.is_none() || has("ABAC"), "cannot specify --authorization-policy-file without mode ABAC");
    ensure!(
        flags.optional("authorization-webhook-config-file").is_none() || has("Webhook"),
        "cannot specify --authorization-webhook-config-file without mode Webhook"
    );
    let repeated = modes.iter().enumerate().any(|(at, mode)| modes[..at].contains(mode));
    ensure!(!repeated, "authorization-mode {modes:?} has mode specified more than once");
    let authorizers = modes.into_iter().map(|name| mode(flags, name)).collect::<Result<Vec<_>>>()?;
    Ok(Configuration { policy_file, ..Configuration::of(authorizers) })
}

fn mode(flags: &FlagSet, name: &str) -> Result<Mode> {
    if name == "Webhook" {
        return webhook(flags).map(|settings| Mode::Webhook(Box::new(settings)));
    }
    let Some(mode) = Mode::plain(name) else { bail!("authorization-mode {name:?} is not a valid mode") };
    ensure!(
        mode != Mode::Abac || flags.optional("authorization-policy-file").is_some(),
        "authorization-mode ABAC's authorization policy file not passed"
    );
    Ok(mode)
}

/// The webhook of flags: who cannot ask it asks the others.
fn webhook(flags: &FlagSet) -> Result<WebhookSettings> {
    let kubeconfig = flags
        .optional("authorization-webhook-config-file")
        .context("authorization-mode Webhook's authorization config file not passed")?;
    let ttl = |name: &str| flags.parse::<GoDuration>(name).map(|duration| duration.0);
    let version = flags.text("authorization-webhook-version");
    Ok(WebhookSettings {
        kubeconfig: PathBuf::from(kubeconfig),
        version: ReviewVersion::parse(version).with_context(|| {
            format!("unsupported webhook authorizer version {version:?}, supported versions are \"v1\", \"v1beta1\"")
        })?,
        authorized_ttl: ttl("authorization-webhook-cache-authorized-ttl")?,
        unauthorized_ttl: ttl("authorization-webhook-cache-unauthorized-ttl")?,
        timeout: WEBHOOK_TIMEOUT,
        fails_closed: false,
        match_conditions: Vec::new(),
    })
}
