//! One certificate authority: its files, what it issues, and when a certificate has to be issued anew.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use super::{Error, files};

const DAY: Duration = Duration::from_secs(24 * 3600);
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(3650 * 24 * 3600);
const LEAF_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
/// Certificates are valid from a little before now, for peers whose clock is behind.
const BACKDATE: Duration = Duration::from_secs(3600);

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Client,
    Server,
}

/// The certificate wanted.
#[derive(Debug, Clone)]
pub struct Request {
    pub common_name: String,
    pub organizations: Vec<String>,
    pub dns: Vec<String>,
    pub ips: Vec<IpAddr>,
    pub usages: Vec<Usage>,
}

impl Request {
    /// A client certificate: CN is the user, O its groups.
    pub fn client(user: &str, groups: &[&str]) -> Request {
        Request {
            common_name: user.to_owned(),
            organizations: groups.iter().map(|group| (*group).to_owned()).collect(),
            dns: Vec::new(),
            ips: Vec::new(),
            usages: vec![Usage::Client],
        }
    }

    /// What a kubelet proves itself with to the API server: user `system:node:NAME`, group `system:nodes`.
    pub fn kubelet_client(node: &str) -> Request {
        Request::client(&format!("system:node:{node}"), &["system:nodes"])
    }

    /// What a kubelet serves its API with.
    pub fn kubelet_serving(node: &str, ips: &[IpAddr]) -> Request {
        Request {
            dns: vec![node.to_owned()],
            ips: ips.to_vec(),
            usages: vec![Usage::Server],
            ..Request::kubelet_client(node)
        }
    }
}

/// A certificate and its key, as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// A certificate authority with its key.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// Loads `NAME.crt` and `NAME.key`, or makes both when neither is there.
    pub(super) fn open(dir: &Path, name: &str, common_name: &str, now: SystemTime) -> Result<Authority, Error> {
        let (certificate_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        let (certificate, key) = (files::read(&certificate_path)?, files::read(&key_path)?);
        let (certificate_pem, key) = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let key =
                    KeyPair::from_pem(&key).map_err(|error| unusable(&key_path, "private key (PKCS#8 PEM)", &error))?;
                (certificate, key)
            }
            // A certificate without its key: a crash between the two writes (the key goes first) cannot leave this.
            (Some(_), None) => {
                return Err(unusable(&certificate_path, "authority", &format!("{} is missing", key_path.display())));
            }
            (None, key) => {
                let issue = |source| Error::Issue { subject: common_name.to_owned(), source };
                let key = match key {
                    Some(key) => KeyPair::from_pem(&key)
                        .map_err(|error| unusable(&key_path, "private key (PKCS#8 PEM)", &error))?,
                    None => KeyPair::generate().map_err(issue)?,
                };
                let certificate = authority_params(common_name, now).self_signed(&key).map_err(issue)?.pem();
                files::write_private(&key_path, key.serialize_pem().as_bytes())?;
                files::write_private(&certificate_path, certificate.as_bytes())?;
                (certificate, key)
            }
        };
        let public_key = key.public_key_raw().to_vec();
        let fits =
            inspect(&certificate_pem, |parsed| parsed.public_key().subject_public_key.data.as_ref() == public_key)
                .map_err(|reason| unusable(&certificate_path, "certificate", &reason))?;
        if !fits {
            return Err(unusable(
                &certificate_path,
                "authority",
                &format!("{} is the key of another certificate", key_path.display()),
            ));
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)
            .map_err(|error| unusable(&certificate_path, "certificate", &error))?;
        Ok(Authority { certificate_pem, issuer })
    }

    /// Loads `NAME.crt` and `NAME.key` of an authority that must be there.
    pub fn load(dir: &Path, name: &str) -> Result<Authority, Error> {
        for path in [dir.join(format!("{name}.crt")), dir.join(format!("{name}.key"))] {
            std::fs::File::open(&path).map_err(files::at(&path))?;
        }
        // Both are there, so nothing is made and the time does not matter.
        Authority::open(dir, name, "", SystemTime::UNIX_EPOCH)
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A new key with a certificate of this authority, valid for a year.
    pub fn issue(&self, request: &Request, now: SystemTime) -> Result<Issued, Error> {
        let fail = |source| Error::Issue { subject: request.common_name.clone(), source };
        let key = KeyPair::generate().map_err(fail)?;
        let certificate = leaf_params(request, now).map_err(fail)?.signed_by(&key, &self.issuer).map_err(fail)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// What is in `NAME.crt` and `NAME.key` if it still is what `request` asks for; else issued anew into them.
    pub(super) fn ensure(&self, dir: &Path, name: &str, request: &Request, now: SystemTime) -> Result<Issued, Error> {
        let (certificate_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
        if let (Some(certificate_pem), Some(key_pem)) = (files::read(&certificate_path)?, files::read(&key_path)?)
            && self.still_good(&certificate_pem, &key_pem, request, now)
        {
            return Ok(Issued { certificate_pem, key_pem });
        }
        let issued = self.issue(request, now)?;
        files::write_private(&key_path, issued.key_pem.as_bytes())?;
        files::write_private(&certificate_path, issued.certificate_pem.as_bytes())?;
        Ok(issued)
    }

    /// Key and certificate belong together, this authority made them, the names are those wanted, 30 % of the time is left.
    fn still_good(&self, certificate_pem: &str, key_pem: &str, request: &Request, now: SystemTime) -> bool {
        let Ok(key) = KeyPair::from_pem(key_pem) else { return false };
        let Ok(wanted_issuer) =
            inspect(&self.certificate_pem, |ca| (ca.subject().as_raw().to_vec(), subject_key_identifier(ca)))
        else {
            return false;
        };
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        inspect(certificate_pem, |leaf| {
            let (begin, end) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
            let issuer = (leaf.issuer().as_raw().to_vec(), authority_key_identifier(leaf));
            leaf.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
                && begin <= now
                && (end - now) * 10 >= (end - begin) * 3
                && issuer == wanted_issuer
                && names_of(leaf) == wanted_names(request)
        })
        .unwrap_or(false)
    }
}

/// A certificate signed by nobody but itself: what `NAME.crt` and `NAME.key` hold, made where they are missing.
pub(super) fn self_signed(dir: &Path, name: &str, request: &Request, now: SystemTime) -> Result<Issued, Error> {
    let (certificate_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    if let (Some(certificate_pem), Some(key_pem)) = (files::read(&certificate_path)?, files::read(&key_path)?) {
        return Ok(Issued { certificate_pem, key_pem });
    }
    let fail = |source| Error::Issue { subject: request.common_name.clone(), source };
    let key = KeyPair::generate().map_err(fail)?;
    let certificate = leaf_params(request, now).and_then(|params| params.self_signed(&key)).map_err(fail)?;
    let issued = Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() };
    files::create_private_dir(dir)?;
    files::write_private(&key_path, issued.key_pem.as_bytes())?;
    files::write_private(&certificate_path, issued.certificate_pem.as_bytes())?;
    Ok(issued)
}

/// The key that signs service-account tokens (`sa.key`) and its public half (`sa.pub`), made when missing. P-256, or whatever
/// key an operator put there. Returns (private PEM, public PEM).
pub(super) fn service_account_key(dir: &Path) -> Result<(String, String), Error> {
    let (key_path, public_path) = (dir.join("sa.key"), dir.join("sa.pub"));
    let key_pem = match files::read(&key_path)? {
        Some(pem) => pem,
        None => {
            let key = KeyPair::generate()
                .map_err(|source| Error::Issue { subject: "service accounts".to_owned(), source })?;
            let pem = key.serialize_pem();
            files::write_private(&key_path, pem.as_bytes())?;
            files::write_private(&public_path, key.public_key_pem().as_bytes())?;
            pem
        }
    };
    if let Some(public) = files::read(&public_path)? {
        return Ok((key_pem, public));
    }
    let key = KeyPair::from_pem(&key_pem).map_err(|error| unusable(&key_path, "private key (PKCS#8 PEM)", &error))?;
    let public = key.public_key_pem();
    files::write_private(&public_path, public.as_bytes())?;
    Ok((key_pem, public))
}

fn unusable(path: &Path, what: &'static str, reason: &dyn std::fmt::Display) -> Error {
    Error::Unusable { path: path.to_path_buf(), what, reason: reason.to_string() }
}

fn authority_params(common_name: &str, now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + AUTHORITY_VALIDITY).into();
    params
}

fn leaf_params(request: &Request, now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for organization in &request.organizations {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    params.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
    for name in request.dns.iter().collect::<BTreeSet<_>>() {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params
        .subject_alt_names
        .extend(request.ips.iter().collect::<BTreeSet<_>>().into_iter().map(|ip| SanType::IpAddress(*ip)));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = request
        .usages
        .iter()
        .map(|usage| match usage {
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        })
        .collect();
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now + LEAF_VALIDITY + DAY).into();
    Ok(params)
}

/// Common name, organisations, and alternative names, in an order of their own.
type Names = (String, BTreeSet<String>, BTreeSet<String>);

fn wanted_names(request: &Request) -> Names {
    let alternative = request.dns.iter().cloned().chain(request.ips.iter().map(ToString::to_string)).collect();
    (request.common_name.clone(), request.organizations.iter().cloned().collect(), alternative)
}

fn names_of(certificate: &X509Certificate<'_>) -> Names {
    let text =
        |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| attribute.as_str().unwrap_or_default().to_owned();
    let common_name = certificate.subject().iter_common_name().next().map(text).unwrap_or_default();
    let organizations = certificate.subject().iter_organization().map(text).collect();
    let alternative = certificate.subject_alternative_name().ok().flatten().map_or_else(BTreeSet::new, |names| {
        let names = names.value.general_names.iter();
        names
            .map(|name| match name {
                GeneralName::DNSName(dns) => (*dns).to_owned(),
                GeneralName::IPAddress(octets) => {
                    ip_of(octets).map_or_else(|| format!("{octets:?}"), |ip| ip.to_string())
                }
                other => other.to_string(),
            })
            .collect()
    });
    (common_name, organizations, alternative)
}

fn ip_of(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

fn subject_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn authority_key_identifier(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    })
}

/// Parses the first certificate of a PEM text and looks at it.
fn inspect<T>(certificate_pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Result<T, String> {
    let pem = pem::parse(certificate_pem).map_err(|error| error.to_string())?;
    let (_, certificate) = X509Certificate::from_der(pem.contents()).map_err(|error| error.to_string())?;
    Ok(look(&certificate))
}
