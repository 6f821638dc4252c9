//! The files kube-apiserver's flags name: certificates, keys, authorities.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use apiserver::audit;
use apiserver::controlplane::{Credentials, RequestHeader, ServiceAccounts};
use apiserver::pki::{Issued, ServingNames, self_signed_serving};
use component::duration::GoDuration;
use component::flags::FlagSet;
use ipnet::IpNet;

use crate::files::read;

/// All of them.
pub(super) fn credentials(flags: &FlagSet, advertise: IpAddr, service_ranges: &[IpNet]) -> Result<Credentials> {
    Ok(Credentials {
        serving: serving(flags, advertise, service_ranges)?,
        client_ca: optional(flags, "client-ca-file")?,
        request_header: request_header(flags)?,
        kubelet_client: pair(flags, "kubelet-client-certificate", "kubelet-client-key")?,
        kubelet_ca: optional(flags, "kubelet-certificate-authority")?,
        proxy_client: pair(flags, "proxy-client-cert-file", "proxy-client-key-file")?,
        service_accounts: service_accounts(flags)?,
        token_auth_file: flags.optional("token-auth-file").map(PathBuf::from),
    })
}

fn optional(flags: &FlagSet, name: &str) -> Result<Option<String>> {
    flags.optional(name).map(|path| read(Path::new(path)).with_context(|| format!("--{name}"))).transpose()
}

/// A certificate and its key, of which one without the other is a mistake.
fn pair(flags: &FlagSet, certificate: &str, key: &str) -> Result<Option<Issued>> {
    match (optional(flags, certificate)?, optional(flags, key)?) {
        (Some(certificate_pem), Some(key_pem)) => Ok(Some(Issued { certificate_pem, key_pem })),
        (None, None) => Ok(None),
        _ => bail!("--{certificate} and --{key} must be given together"),
    }
}

/// What was given, what was made before, or a certificate signed by itself in --cert-dir.
fn serving(flags: &FlagSet, advertise: IpAddr, service_ranges: &[IpNet]) -> Result<Issued> {
    if let Some(given) = pair(flags, "tls-cert-file", "tls-private-key-file")? {
        return Ok(given);
    }
    let mut ips = vec![advertise];
    ips.extend(service_ranges.iter().filter_map(|range| range.hosts().next()));
    let names = ServingNames { ips, ..ServingNames::default() };
    let folder = Path::new(flags.text("cert-dir"));
    self_signed_serving(folder, &names, SystemTime::now()).with_context(|| {
        format!(
            "cannot keep a certificate in --cert-dir={}; give --tls-cert-file and --tls-private-key-file",
            folder.display()
        )
    })
}

fn request_header(flags: &FlagSet) -> Result<Option<RequestHeader>> {
    let Some(client_ca) = optional(flags, "requestheader-client-ca-file")? else { return Ok(None) };
    let list = |name: &str| flags.list(name).into_iter().map(str::to_owned).collect();
    Ok(Some(RequestHeader {
        client_ca,
        allowed_names: list("requestheader-allowed-names"),
        username_headers: list("requestheader-username-headers"),
        uid_headers: list("requestheader-uid-headers"),
        group_headers: list("requestheader-group-headers"),
        extra_prefixes: list("requestheader-extra-headers-prefix"),
    }))
}

fn service_accounts(flags: &FlagSet) -> Result<ServiceAccounts> {
    let Some(signing_key) = optional(flags, "service-account-signing-key-file")? else {
        bail!("--service-account-signing-key-file is needed: without it no pod gets a token");
    };
    let issuers: Vec<String> = flags.list("service-account-issuer").into_iter().map(str::to_owned).collect();
    ensure!(!issuers.is_empty(), "--service-account-issuer is needed: it is what tokens say they are from");
    let files = flags.list("service-account-key-file");
    let verifying = match files.is_empty() {
        true => vec![signing_key.clone()],
        false => files.into_iter().map(|path| read(Path::new(path))).collect::<Result<_>>()?,
    };
    let longest = flags.parse::<GoDuration>("service-account-max-token-expiration")?.0.as_secs();
    Ok(ServiceAccounts {
        audiences: flags.list("api-audiences").into_iter().map(str::to_owned).collect(),
        jwks_uri: flags.optional("service-account-jwks-uri").map(str::to_owned),
        extend_expiration: flags.is_set("service-account-extend-token-expiration"),
        max_expiration_seconds: i64::try_from(longest).unwrap_or(i64::MAX),
        ..ServiceAccounts::new(signing_key, verifying, issuers)
    })
}

/// Without a policy nothing is logged, as upstream warns; without a file there is nowhere to log to.
pub(super) fn audit(flags: &FlagSet) -> Result<Option<audit::Config>> {
    let (Some(policy), Some(path)) = (optional(flags, "audit-policy-file")?, flags.optional("audit-log-path")) else {
        return Ok(None);
    };
    let rotation = audit::Rotation {
        max_size: flags.parse::<u64>("audit-log-maxsize")? << 20,
        max_age_days: flags.parse("audit-log-maxage")?,
        max_backups: flags.parse("audit-log-maxbackup")?,
        compress: flags.is_set("audit-log-compress"),
    };
    Ok(Some(audit::Config { policy, path: path.into(), rotation }))
}
