//! Whose tokens are believed, and who may come without a name: `--authentication-config`, `--oidc-*`, `--anonymous-auth` and
//! `--authentication-token-webhook-*`. Upstream: pkg/kubeapiserver/options.BuiltInAuthenticationOptions.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use apiserver::authentication::oidc::{ClaimRule, Issuer, Mappings, Options, Settings, Source};
use apiserver::authentication::{Anonymous, token_webhook};
use component::duration::GoDuration;
use component::flags::FlagSet;

use crate::files::read;

const CONFIG: &str = "authentication-config";
const OIDC: [&str; 9] = [
    "oidc-issuer-url",
    "oidc-client-id",
    "oidc-ca-file",
    "oidc-username-claim",
    "oidc-username-prefix",
    "oidc-groups-claim",
    "oidc-groups-prefix",
    "oidc-required-claim",
    "oidc-signing-algs",
];

/// The issuers of ID tokens: those of the file, or the one the flags describe.
pub(super) fn issuers(flags: &FlagSet) -> Result<Options> {
    let described = OIDC.iter().any(|name| flags.given(name));
    match flags.optional(CONFIG) {
        Some(_) if described => bail!("authentication-config file and oidc-* flags are mutually exclusive"),
        Some(file) => Ok(Options::of_file(Path::new(file))?),
        None if described => Ok(Options {
            issuers: vec![settings(flags)?],
            algorithms: flags.list("oidc-signing-algs").into_iter().map(str::to_owned).collect(),
            file: None,
        }),
        None => Ok(Options::default()),
    }
}

/// What the flags say of their issuer, in the terms of the file.
fn settings(flags: &FlagSet) -> Result<Settings> {
    let (Some(url), Some(client)) = (flags.optional("oidc-issuer-url"), flags.optional("oidc-client-id")) else {
        bail!("oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set");
    };
    let claim = flags.text("oidc-username-claim");
    let prefix = match flags.text("oidc-username-prefix") {
        "-" => String::new(),
        "" if claim != "email" => format!("{url}#"),
        prefix => prefix.to_owned(),
    };
    let of_claim =
        |claim: &str, prefix: String| Source { claim: claim.to_owned(), prefix: Some(prefix), ..Source::default() };
    let groups = flags.optional("oidc-groups-claim");
    let groups = groups.map(|claim| of_claim(claim, flags.text("oidc-groups-prefix").to_owned()));
    let authorities = flags.optional("oidc-ca-file").map(|path| read(Path::new(path)).context("--oidc-ca-file"));
    Ok(Settings {
        issuer: Issuer {
            url: url.to_owned(),
            audiences: vec![client.to_owned()],
            certificate_authority: authorities.transpose()?.unwrap_or_default(),
            ..Issuer::default()
        },
        claim_validation_rules: flags.array("oidc-required-claim").into_iter().map(required).collect::<Result<_>>()?,
        claim_mappings: Mappings {
            username: of_claim(claim, prefix),
            groups: groups.unwrap_or_default(),
            ..Mappings::default()
        },
        ..Settings::default()
    })
}

fn required(text: &str) -> Result<ClaimRule> {
    let pair = text.split_once('=').with_context(|| {
        format!("invalid argument {text:?} for \"--oidc-required-claim\" flag: malformed pair, expect string=string")
    });
    let (claim, value) = pair?;
    Ok(ClaimRule { claim: claim.trim().to_owned(), required_value: value.trim().to_owned(), ..ClaimRule::default() })
}

/// Who may come without a name: what the file says, or else the flag.
pub(super) fn anonymous(flags: &FlagSet, issuers: &Options, always_allowed: bool) -> Result<Anonymous> {
    let Some(of_file) = issuers.anonymous() else {
        // Whoever anybody is, they may do everything: then they are to say at least who they are.
        return Ok(Anonymous::everywhere(flags.is_set("anonymous-auth") && !always_allowed));
    };
    ensure!(
        !flags.given("anonymous-auth"),
        "anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file"
    );
    Ok(of_file.clone())
}

/// The server that is asked about tokens.
pub(super) fn token_webhook(flags: &FlagSet) -> Result<Option<token_webhook::Settings>> {
    let Some(kubeconfig) = flags.optional("authentication-token-webhook-config-file") else { return Ok(None) };
    let GoDuration(cache_ttl) = flags.parse("authentication-token-webhook-cache-ttl")?;
    Ok(Some(token_webhook::Settings {
        kubeconfig: PathBuf::from(kubeconfig),
        version: flags.text("authentication-token-webhook-version").to_owned(),
        cache_ttl,
    }))
}
