use std::io::{Read, Write};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};

use super::*;

/// A certificate for these names, signed by itself; its common name is the first.
fn pair(names: &[&str]) -> KeyPair {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        .expect("names of DNS");
    params.distinguished_name.push(rcgen::DnType::CommonName, names[0]);
    let certificate = params.self_signed(&key).expect("a certificate");
    KeyPair {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key of PKCS#8"),
    }
}

fn identities(serving: KeyPair, named: Vec<Named>) -> Identities {
    Identities { serving, named, client_authorities: Vec::new() }
}

/// Shakes hands in memory; the certificate that was shown and what both agreed on.
fn shake(config: Arc<ServerConfig>, name: &str) -> Option<(CertificateDer<'static>, ClientConnection)> {
    let mut client_config = component::tls::AnyCertificate::client_config();
    client_config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client_config), name).expect("a client");
    let mut server = ServerConnection::new(config).expect("a server");
    for _ in 0..4 {
        let mut buffer = Vec::new();
        client.write_tls(&mut buffer).ok()?;
        server.read_tls(&mut buffer.as_slice()).ok()?;
        server.process_new_packets().ok()?;
        let mut buffer = Vec::new();
        server.write_tls(&mut buffer).ok()?;
        client.read_tls(&mut buffer.as_slice()).ok()?;
        client.process_new_packets().ok()?;
    }
    client.writer().flush().ok()?;
    let _ = client.reader().read(&mut []);
    let shown = client.peer_certificates()?.first()?.clone();
    Some((shown, client))
}

fn leaf(pair: &KeyPair) -> CertificateDer<'static> {
    pair.chain[0].clone()
}

#[test]
fn the_name_a_client_asks_for_chooses_the_certificate() {
    let (default, own, star) = (pair(&["default.test"]), pair(&["own.test"]), pair(&["ignored.test"]));
    let leaves = [leaf(&default), leaf(&own), leaf(&star)];
    let named = vec![
        Named { names: Vec::new(), pair: own },
        Named { names: vec!["*.Star.test".to_owned(), "10.0.0.1".to_owned()], pair: star },
    ];
    let tls = Tls::new(Parameters::default(), identities(default, named)).unwrap();
    let shown = |name: &str, address: Option<&str>| {
        shake(tls.of(address.map(|address| address.parse().unwrap())), name).unwrap().0
    };
    assert_eq!(shown("OWN.test", None), leaves[1]);
    assert_eq!(shown("a.star.test", None), leaves[2]);
    assert_eq!(shown("a.b.star.test", None), leaves[0], "a star is one label");
    assert_eq!(shown("ignored.test", None), leaves[0], "names written down replace the certificate's");
    assert_eq!(shown("10.0.0.1", Some("10.0.0.1")), leaves[2], "who asks for no name gets the address's");
    assert_eq!(shown("own.test", Some("10.0.0.1")), leaves[1]);
}

#[test]
fn a_changed_certificate_is_shown_from_the_next_handshake_on() {
    let (first, second) = (pair(&["a.test"]), pair(&["a.test"]));
    let wanted = leaf(&second);
    let tls = Tls::new(Parameters::default(), identities(first, Vec::new())).unwrap();
    let broken = KeyPair {
        chain: pair(&["b.test"]).chain,
        key: PrivateKeyDer::try_from(vec![1, 2, 3]).unwrap_or_else(|_| second.key.clone_key()),
    };
    assert!(tls.show(identities(broken, Vec::new())).is_err(), "a key that does not fit is refused");
    tls.show(identities(second, Vec::new())).unwrap();
    assert_eq!(shake(tls.of(None), "a.test").unwrap().0, wanted);
}

#[test]
fn versions_suites_and_http2_are_limited_as_told() {
    let agreed = |parameters: Parameters| {
        let tls = Tls::new(parameters, identities(pair(&["a.test"]), Vec::new())).unwrap();
        let (_, client) = shake(tls.of(None), "a.test").unwrap();
        (client.protocol_version(), client.alpn_protocol().map(<[u8]>::to_vec))
    };
    let newest = Some(rustls::ProtocolVersion::TLSv1_3);
    assert_eq!(agreed(Parameters::default()), (newest, Some(b"h2".to_vec())));
    let without = Parameters::new("VersionTLS13", &[], &["29"], false).unwrap();
    assert_eq!(agreed(without), (newest, Some(b"http/1.1".to_vec())));
    let suites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"];
    let chosen = Parameters::new("", &suites, &[], true).unwrap();
    let older = chosen.provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).count();
    assert_eq!(older, 1, "the weak one is left out");
}

#[test]
fn what_is_not_known_is_refused() {
    let refused = |version: &str, suites: &[&str], curves: &[&str]| {
        Parameters::new(version, suites, curves, true).unwrap_err().to_string()
    };
    assert_eq!(refused("VersionTLS9", &[], &[]), "unknown tls version \"VersionTLS9\"");
    assert_eq!(refused("", &["TLS_NOPE"], &[]), "Cipher suite TLS_NOPE not supported or doesn't exist");
    assert!(refused("", &["TLS_RSA_WITH_RC4_128_SHA"], &[]).contains("strong enough"));
    assert!(refused("", &[], &["25"]).contains("29 (X25519)"));
}
