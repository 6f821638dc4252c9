//! TLS of the listener: rustls on ring, certificates that can be changed while serving, client certificates taken but not judged.
//!
//! A client certificate is asked for and its possession of the key is proven here; whether its chain is to be trusted is the
//! authenticator's business, because upstream answers a bad certificate with 401 and not with a broken handshake.
//! Which certificate is shown follows from the name the client asks for ([`Named`]), or from the address it came to where it
//! asks for none. Upstream: k8s.io/apiserver/pkg/server/dynamiccertificates.

mod client;
mod names;
mod parameters;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, ServerConfig};

use self::client::Unjudged;
use self::names::{ByName, names_of};
pub use self::parameters::{Error as ParameterError, Parameters};

/// What went wrong with certificates given to the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key does not fit, or is of an unknown kind.
    #[error("the serving certificate cannot be used: {0}")]
    Certificate(#[source] rustls::Error),
    /// The protocol versions could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// A chain, leaf first, and its key.
#[derive(Debug)]
pub struct KeyPair {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Of the leaf.
    pub key: PrivateKeyDer<'static>,
}

/// `--tls-sni-cert-key`: a certificate for names of its own.
#[derive(Debug)]
pub struct Named {
    /// Names with or without a star in front, and addresses; none are those in the certificate.
    pub names: Vec<String>,
    /// The certificate.
    pub pair: KeyPair,
}

/// What the listener proves itself with.
#[derive(Debug)]
pub struct Identities {
    /// Shown to who asks for no name of another.
    pub serving: KeyPair,
    /// In this order, where several have the same name.
    pub named: Vec<Named>,
    /// Names of the authorities clients may have their certificates from, as a hint to them (DER).
    pub client_authorities: Vec<DistinguishedName>,
}

impl Identities {
    /// One certificate for all.
    pub fn of(serving: KeyPair) -> Identities {
        Identities { serving, named: Vec::new(), client_authorities: Vec::new() }
    }
}

/// The TLS of a listener; [`Tls::show`] changes what new connections are shown.
#[derive(Debug)]
pub struct Tls {
    parameters: Parameters,
    shown: ArcSwap<Shown>,
}

#[derive(Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    /// For connections to these addresses that ask for no name.
    by_address: HashMap<IpAddr, Arc<ServerConfig>>,
}

impl Tls {
    /// # Errors
    /// See [`Error`].
    pub fn new(parameters: Parameters, identities: Identities) -> Result<Arc<Tls>, Error> {
        let shown = Shown::new(&parameters, identities)?;
        Ok(Arc::new(Tls { parameters, shown: ArcSwap::from_pointee(shown) }))
    }

    /// Shows something else from the next handshake on.
    ///
    /// # Errors
    /// See [`Error`]; what was shown before is shown on.
    pub fn show(&self, identities: Identities) -> Result<(), Error> {
        self.shown.store(Arc::new(Shown::new(&self.parameters, identities)?));
        Ok(())
    }

    /// The configuration for a connection that came to this address.
    pub(crate) fn of(&self, address: Option<IpAddr>) -> Arc<ServerConfig> {
        let shown = self.shown.load();
        let own = address.and_then(|address| shown.by_address.get(&address.to_canonical()));
        Arc::clone(own.unwrap_or(&shown.config))
    }
}

impl Shown {
    fn new(parameters: &Parameters, identities: Identities) -> Result<Shown, Error> {
        let certified = |pair: KeyPair| {
            let certified = CertifiedKey::from_der(pair.chain, pair.key, &parameters.provider);
            certified.map(Arc::new).map_err(Error::Certificate)
        };
        let serving = certified(identities.serving)?;
        let (mut explicit, mut extracted) = (HashMap::new(), HashMap::new());
        for Named { names, pair } in identities.named {
            let (target, names) = match names.is_empty() {
                true => (&mut extracted, names_of(&pair.chain)),
                false => (&mut explicit, names),
            };
            let certificate = certified(pair)?;
            for name in names {
                target.entry(name.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&certificate));
            }
        }
        // Names somebody wrote down are stronger than those in a certificate.
        extracted.extend(explicit);
        let config = |default: &Arc<CertifiedKey>| {
            let names = ByName::new(Arc::clone(default), extracted.clone());
            parameters.server_config(Unjudged::new(parameters, &identities.client_authorities), names).map(Arc::new)
        };
        let addresses = extracted.iter().filter_map(|(name, own)| Some((name.parse::<IpAddr>().ok()?, own)));
        let by_address = addresses.map(|(address, own)| Ok((address.to_canonical(), config(own)?)));
        Ok(Shown { by_address: by_address.collect::<Result<_, Error>>()?, config: config(&serving)? })
    }
}
