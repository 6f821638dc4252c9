//! Keys of service-account tokens: RSA or elliptic curve, each known by the hash of its public half.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};
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
    /// A PEM private key with its PEM public key.
    pub fn from_pem(private: &str, public: &str) -> Result<SigningKey, Error> {
        let public = PublicPart::from_pem(public)?;
        let bad = |error: jsonwebtoken::errors::Error| Error::Key(error.to_string());
        let key = match public.algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(private.as_bytes()).map_err(bad)?,
            _ => EncodingKey::from_ec_pem(private.as_bytes()).map_err(bad)?,
        };
        // `typ` is absent in upstream's tokens.
        let header = Header { typ: None, kid: Some(public.id), ..Header::new(public.algorithm) };
        Ok(SigningKey { key, header })
    }

    /// The signed token.
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key).map_err(|error| Error::Key(error.to_string()))
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
