//! What differs from one API server to the next. Everything that is not said is upstream's default.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::{Credentials, EndpointReconciler, Reload, RuntimeConfig};
use crate::admission;
use crate::audit;
use crate::authentication::{Anonymous, oidc, token_webhook};
use crate::authorization::{self, configuration::Mode};
use crate::endpoints::negotiation::Formats;
use crate::filters::priority_and_fairness::Limits;
use crate::registry::rules::EVENT_TTL;
use crate::server::settings::Settings;
use crate::server::tls;

/// See the module header.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address others reach this server at.
    pub advertise: IpAddr,
    /// `--external-hostname`, where it is not the advertised address.
    pub external_hostname: Option<String>,
    /// `--service-cluster-ip-range`, one a family.
    pub service_ranges: Vec<IpNet>,
    /// How the addresses of the Service `kubernetes` are found.
    pub endpoint_reconciler: EndpointReconciler,
    /// Keys, certificates and tokens.
    pub credentials: Credentials,
    /// Follows the files the credentials are from; None where they are not from files, or do not change.
    pub reload: Option<Reload>,
    /// `--anonymous-auth`, or what `--authentication-config` says of it.
    pub anonymous: Anonymous,
    /// `--authentication-config` or `--oidc-*`: whose ID tokens are believed.
    pub issuers: oidc::Options,
    /// `--authentication-token-webhook-*`: who is asked about tokens.
    pub token_webhook: Option<token_webhook::Settings>,
    /// `--enable-bootstrap-token-auth`
    pub bootstrap_tokens: bool,
    /// `--authorization-*`
    pub authorization: authorization::Configuration,
    /// The encodings on offer. `--feature-gates CBORServingAndStorage`
    pub formats: Formats,
    /// What is served of what there is.
    pub runtime_config: RuntimeConfig,
    /// `--audit-*`
    pub audit: Option<audit::Config>,
    /// How many requests are served at a time.
    pub limits: Limits,
    /// How requests and connections are treated.
    pub settings: Settings,
    /// `--tls-*`
    pub tls: tls::Parameters,
    /// `--permit-port-sharing`: other processes may listen on the same port.
    pub permit_port_sharing: bool,
    /// `--event-ttl`: how long events are kept; zero is for ever.
    pub event_ttl: Duration,
    /// Which admission plugins run.
    pub admission: admission::Selection,
}

impl Options {
    /// A server with nodes: RBAC, the node authorizer, and what keeps a node to its own.
    pub fn new(listen: SocketAddr, advertise: IpAddr, service_ranges: Vec<IpNet>, credentials: Credentials) -> Options {
        Options {
            listen,
            advertise,
            external_hostname: None,
            service_ranges,
            endpoint_reconciler: EndpointReconciler::Lease,
            credentials,
            reload: None,
            anonymous: Anonymous::everywhere(true),
            issuers: oidc::Options::default(),
            token_webhook: None,
            bootstrap_tokens: true,
            authorization: authorization::Configuration::of([Mode::Node, Mode::Rbac]),
            formats: Formats::default(),
            runtime_config: RuntimeConfig::default(),
            audit: None,
            limits: Limits::default(),
            settings: Settings::default(),
            tls: tls::Parameters::default(),
            permit_port_sharing: false,
            event_ttl: EVENT_TTL,
            admission: admission::Selection::of(&["NodeRestriction"], &[]),
        }
    }
}
