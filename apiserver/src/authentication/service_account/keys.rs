//! Keys of service-account tokens: RSA or elliptic curve, each known by the hash of its public half.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use json::{Value, json};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls::crypto::ring::sign::any_supported_type;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::Claims;
use crate::authentication::Error;

/// The private key, and the name its public half is known by.
pub struct SigningKey {
    key: EncodingKey,
    header: Header,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.header.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A PEM private key: PKCS#8, PKCS#1 or SEC 1.
    pub fn from_pem(text: &str) -> Result<SigningKey, Error> {
        let private = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| Error::Key(error.to_string()))?;
        let public = PublicPart::from_pem(&public_pem(&private)?)?;
        let key = match (public.algorithm, &private) {
            (Algorithm::RS256, _) => {
                EncodingKey::from_rsa_pem(text.as_bytes()).map_err(|error| Error::Key(error.to_string()))?
            }
            (algorithm, PrivateKeyDer::Sec1(key)) => {
                EncodingKey::from_ec_der(&pkcs8_of_sec1(key.secret_sec1_der(), algorithm))
            }
            (_, key) => EncodingKey::from_ec_der(key.secret_der()),
        };
        // `typ` is absent in upstream's tokens.
        let header = Header { typ: None, kid: Some(public.id), ..Header::new(public.algorithm) };
        Ok(SigningKey { key, header })
    }

    /// What its public half is known by.
    fn id(&self) -> &str {
        self.header.kid.as_deref().unwrap_or_default()
    }

    /// The signed token.
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key).map_err(|error| Error::Key(error.to_string()))
    }
}

/// The key in use, which may change.
#[derive(Debug)]
pub struct SigningKeys(ArcSwap<SigningKey>);

impl SigningKeys {
    /// Signs with this key.
    pub fn new(key: SigningKey) -> SigningKeys {
        SigningKeys(ArcSwap::from_pointee(key))
    }

    /// Signs with another key from now on.
    pub fn sign_with(&self, key: SigningKey) {
        self.0.store(Arc::new(key));
    }

    /// The signed token.
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        self.0.load().sign(claims)
    }

    /// What the public half of the key in use is known by.
    pub fn id(&self) -> String {
        self.0.load().id().to_owned()
    }
}

/// All keys tokens may be signed with (several while keys are rotated).
#[derive(Debug)]
pub struct VerifyingKeys {
    keys: Vec<PublicPart>,
}

struct PublicPart {
    id: String,
    algorithm: Algorithm,
    key: DecodingKey,
    jwk: Value,
}

impl fmt::Debug for PublicPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicPart").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl VerifyingKeys {
    /// PEM public keys.
    pub fn from_pems<'a>(pems: impl IntoIterator<Item = &'a str>) -> Result<VerifyingKeys, Error> {
        Ok(VerifyingKeys { keys: pems.into_iter().map(PublicPart::from_pem).collect::<Result<_, _>>()? })
    }

    /// What they are known by.
    pub fn ids(&self) -> Vec<&str> {
        self.keys.iter().map(|key| key.id.as_str()).collect()
    }

    /// The claims of a token one of the keys signed. Times, audience and issuer are not looked at.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, Error> {
        let bad = |error: jsonwebtoken::errors::Error| Error::Token(error.to_string());
        let header = jsonwebtoken::decode_header(token).map_err(bad)?;
        let wanted = header.kid.as_deref().unwrap_or_default();
        let mut refusal = Error::Token("invalid signature, no keys found".to_owned());
        for key in self.keys.iter().filter(|key| wanted.is_empty() || key.id == wanted) {
            let mut validation = Validation::new(key.algorithm);
            validation.validate_exp = false;
            validation.validate_aud = false;
            validation.required_spec_claims.clear();
            match jsonwebtoken::decode::<Claims>(token, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => refusal = bad(error),
            }
        }
        Err(refusal)
    }

    /// The public keys as a JSON Web Key Set, and the algorithms in use.
    pub(super) fn jwks(&self) -> (Value, Vec<String>) {
        let mut algorithms: Vec<String> = self.keys.iter().map(|key| format!("{:?}", key.algorithm)).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        (json!({ "keys": self.keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() }), algorithms)
    }
}

/// The public keys in a `--service-account-key-file`, each as PEM: of public and private keys and of certificates alike.
/// Upstream: keyutil.PublicKeysFromFile.
pub fn public_keys(text: &str) -> Result<Vec<String>, Error> {
    let blocks = pem::parse_many(text).map_err(|error| Error::Key(error.to_string()))?;
    let keys = blocks.iter().filter_map(public_key).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(Error::Key("data does not contain any valid RSA or ECDSA public keys".to_owned()));
    }
    Ok(keys)
}

/// The public key in one PEM block; None for blocks that hold none.
fn public_key(block: &pem::Pem) -> Option<Result<String, Error>> {
    let bad = |error: &dyn fmt::Display| Error::Key(error.to_string());
    let der = block.contents();
    let private = |key: Result<PrivateKeyDer<'_>, &'static str>| public_pem(&key.map_err(|why| bad(&why))?);
    Some(match block.tag() {
        "PUBLIC KEY" => Ok(pem::encode(block)),
        "CERTIFICATE" => X509Certificate::from_der(der)
            .map(|(_, certificate)| spki_pem(certificate.public_key().raw))
            .map_err(|error| bad(&error)),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => private(PrivateKeyDer::try_from(der)),
        _ => return None,
    })
}

/// The public half of a private key, as PEM.
fn public_pem(private: &PrivateKeyDer<'_>) -> Result<String, Error> {
    let key = any_supported_type(private).map_err(|error| Error::Key(error.to_string()))?;
    let public = key.public_key().ok_or_else(|| Error::Key("the key has no public half".to_owned()))?;
    Ok(spki_pem(public.as_ref()))
}

fn spki_pem(der: &[u8]) -> String {
    pem::encode_config(&pem::Pem::new("PUBLIC KEY", der), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// An `EC PRIVATE KEY` in the envelope the signer reads: version 0, the curve, the key itself (RFC 5208).
fn pkcs8_of_sec1(key: &[u8], algorithm: Algorithm) -> Vec<u8> {
    const P256: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P384: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
    const SEQUENCE: u8 = 0x30;
    const OCTETS: u8 = 4;
    let curve = if algorithm == Algorithm::ES384 { P384 } else { P256 };
    let content = [&[2, 1, 0], der_value(SEQUENCE, curve).as_slice(), &der_value(OCTETS, key)].concat();
    der_value(SEQUENCE, &content)
}

/// Tag, length and content in DER, for contents below 64 KiB.
fn der_value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let [.., high, low] = length;
    let mut out = match (high, low) {
        (0, short @ 0..128) => vec![tag, short],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    out.extend_from_slice(content);
    out
}

impl PublicPart {
    fn from_pem(text: &str) -> Result<PublicPart, Error> {
        let bad = |error: &dyn fmt::Display| Error::Key(error.to_string());
        let pem = pem::parse(text).map_err(|error| bad(&error))?;
        let (_, info) = SubjectPublicKeyInfo::from_der(pem.contents()).map_err(|error| bad(&error))?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pem.contents()));
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let parsed = info.parsed().map_err(|error| bad(&error))?;
        let (algorithm, key, jwk) = match &parsed {
            PublicKey::RSA(rsa) => {
                let strip = |bytes: &[u8]| encode(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
                let jwk = json!({
                    "use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": strip(rsa.modulus), "e": strip(rsa.exponent),
                });
                (Algorithm::RS256, DecodingKey::from_rsa_pem(text.as_bytes()), jwk)
            }
            PublicKey::EC(point) => {
                let coordinates = point.data().get(1..).unwrap_or_default();
                let (algorithm, curve) = match coordinates.len() {
                    64 => (Algorithm::ES256, "P-256"),
                    96 => (Algorithm::ES384, "P-384"),
                    _ => return Err(Error::Key("unknown curve, must be P-256 or P-384".to_owned())),
                };
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let jwk = json!({
                    "use": "sig", "kty": "EC", "kid": id, "crv": curve, "alg": format!("{algorithm:?}"), "x": encode(x), "y": encode(y),
                });
                (algorithm, DecodingKey::from_ec_pem(text.as_bytes()), jwk)
            }
            _ => return Err(Error::Key("neither an RSA nor an elliptic-curve key".to_owned())),
        };
        Ok(PublicPart { id, algorithm, key: key.map_err(|error| bad(&error))?, jwk })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key in SEC 1's form, its public half, and a certificate of it.
    fn forms() -> [String; 3] {
        let key = rcgen::KeyPair::generate().expect("a key");
        // RFC 5208 in DER: 29 bytes say that a P-256 key follows.
        let sec1 = pem::encode(&pem::Pem::new("EC PRIVATE KEY", &key.serialize_der()[29..]));
        let params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        [sec1, key.public_key_pem(), params.self_signed(&key).expect("a certificate").pem()]
    }

    #[test]
    fn one_key_is_found_in_each_form_it_is_kept_in() {
        let forms = forms();
        let id = |pem: &String| PublicPart::from_pem(pem).unwrap().id;
        for form in &forms {
            assert_eq!(public_keys(form).unwrap().iter().map(id).collect::<Vec<_>>(), [id(&forms[1])], "{form}");
        }
        assert_eq!(public_keys(&forms.concat()).unwrap().len(), 3);
        assert!(public_keys("no key").is_err());
    }

    #[test]
    fn a_sec1_key_signs_what_its_public_half_verifies() {
        let [private, public, _] = forms();
        let claims = Claims { issuer: "i".to_owned(), ..Claims::default() };
        let token = SigningKey::from_pem(&private).unwrap().sign(&claims).unwrap();
        assert_eq!(VerifyingKeys::from_pems([public.as_str()]).unwrap().verify(&token).unwrap().issuer, "i");
    }
}
