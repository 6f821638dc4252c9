//! The files kube-apiserver's flags name: certificates, keys, authorities.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use apiserver::admission::{Configurations, Selection};
use apiserver::controlplane::{Credentials, NamedCertificate, Reload, RequestHeader, ServiceAccounts};
use apiserver::pki::{Issued, ServingNames, self_signed_serving};
use component::duration::GoDuration;
use component::flags::FlagSet;
use ipnet::IpNet;

use crate::files::read;

/// All of them.
pub(super) fn credentials(flags: &FlagSet, advertise: IpAddr, service_ranges: &[IpNet]) -> Result<Credentials> {
    Ok(Credentials {
        serving: serving(flags, advertise, service_ranges)?,
        named: all_named(flags)?,
        client_ca: optional(flags, "client-ca-file")?,
        request_header: request_header(flags)?,
        kubelet_client: pair(flags, "kubelet-client-certificate", "kubelet-client-key")?,
        kubelet_ca: optional(flags, "kubelet-certificate-authority")?,
        proxy_client: pair(flags, "proxy-client-cert-file", "proxy-client-key-file")?,
        service_accounts: service_accounts(flags)?,
        token_auth_file: flags.optional("token-auth-file").map(PathBuf::from),
    })
}

pub(super) fn optional(flags: &FlagSet, name: &str) -> Result<Option<String>> {
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

/// A value of `--tls-sni-cert-key`: `CERTIFICATE,KEY[:NAME,...]`.
fn named(value: &str) -> Result<NamedCertificate> {
    let (files, names) = value.split_once(':').unwrap_or((value, ""));
    let Some((certificate, key)) = files.split_once(',').filter(|(_, key)| !key.is_empty() && !key.contains(','))
    else {
        bail!("--tls-sni-cert-key={value}: expected comma separated certificate and key file paths");
    };
    let file = |path: &str| read(Path::new(path)).context("--tls-sni-cert-key");
    Ok(NamedCertificate {
        names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        pair: Issued { certificate_pem: file(certificate)?, key_pem: file(key)? },
    })
}

/// Flags that name one file each whose changes take effect.
const FOLLOWED: [&str; 6] = [
    "tls-cert-file",
    "tls-private-key-file",
    "client-ca-file",
    "requestheader-client-ca-file",
    "service-account-signing-key-file",
    "token-auth-file",
];

/// Follows the files the credentials are from.
pub(super) fn reload(flags: &FlagSet) -> Reload {
    let mut files: Vec<PathBuf> = FOLLOWED.iter().filter_map(|name| flags.optional(name)).map(PathBuf::from).collect();
    files.extend(flags.array("service-account-key-file").into_iter().map(PathBuf::from));
    let named = flags.array("tls-sni-cert-key").into_iter();
    let named = named.flat_map(|value| value.split(':').next().unwrap_or_default().split(',').map(PathBuf::from));
    files.extend(named);
    let flags = flags.clone();
    Reload { files, read: Arc::new(move |known| read_again(&flags, known)) }
}

/// What the files say now; what cannot be read is as it is known.
fn read_again(flags: &FlagSet, known: &Credentials) -> Credentials {
    let mut new = known.clone();
    let accounts = &mut new.service_accounts;
    renew(&mut accounts.signing_key, optional(flags, "service-account-signing-key-file"));
    let signing_key = accounts.signing_key.clone();
    renew(&mut accounts.verifying_keys, verifying_keys(flags, &signing_key).map(Some));
    renew(&mut new.serving, pair(flags, "tls-cert-file", "tls-private-key-file"));
    renew(&mut new.named, all_named(flags).map(Some));
    renew(&mut new.client_ca, optional(flags, "client-ca-file").map(Some));
    renew(&mut new.request_header, request_header(flags).map(Some));
    new
}

fn renew<T>(known: &mut T, read: Result<Option<T>>) {
    match read {
        Ok(Some(new)) => *known = new,
        Ok(None) => {}
        Err(error) => tracing::warn!(error = format!("{error:#}"), "not read again"),
    }
}

fn all_named(flags: &FlagSet) -> Result<Vec<NamedCertificate>> {
    flags.array("tls-sni-cert-key").into_iter().map(named).collect()
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

/// Without files of their own tokens are verified by the key that signs them.
fn verifying_keys(flags: &FlagSet, signing_key: &str) -> Result<Vec<String>> {
    let files = flags.array("service-account-key-file");
    match files.is_empty() {
        true => Ok(vec![signing_key.to_owned()]),
        false => files.into_iter().map(|path| read(Path::new(path))).collect(),
    }
}

fn service_accounts(flags: &FlagSet) -> Result<ServiceAccounts> {
    let Some(signing_key) = optional(flags, "service-account-signing-key-file")? else {
        bail!("--service-account-signing-key-file is needed: without it no pod gets a token");
    };
    let issuers: Vec<String> = flags.array("service-account-issuer").into_iter().map(str::to_owned).collect();
    ensure!(!issuers.is_empty(), "--service-account-issuer is needed: it is what tokens say they are from");
    let verifying = verifying_keys(flags, &signing_key)?;
    let longest = flags.parse::<GoDuration>("service-account-max-token-expiration")?.0.as_secs();
    Ok(ServiceAccounts {
        audiences: flags.list("api-audiences").into_iter().map(str::to_owned).collect(),
        jwks_uri: flags.optional("service-account-jwks-uri").map(str::to_owned),
        extend_expiration: flags.is_set("service-account-extend-token-expiration"),
        max_expiration_seconds: i64::try_from(longest).unwrap_or(i64::MAX),
        ..ServiceAccounts::new(signing_key, verifying, issuers)
    })
}

/// The plugins that are to run, and what they are told.
pub(super) fn admission(flags: &FlagSet) -> Result<Selection> {
    let selection = Selection::new(&flags.list("enable-admission-plugins"), &flags.list("disable-admission-plugins"))?
        .tolerating(
            flags.parse("default-not-ready-toleration-seconds")?,
            flags.parse("default-unreachable-toleration-seconds")?,
        );
    let Some(file) = flags.optional("admission-control-config-file") else { return Ok(selection) };
    Ok(selection.configured(Configurations::read(Path::new(file))?))
}
